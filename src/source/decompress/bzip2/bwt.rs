//! The inverse Burrows-Wheeler transform, walked at several places of one block at once.
//!
//! **Problem.** Undoing the transform means following a chain of 900,000 links through a table that fits no near
//! cache; every step waits for the one before.
//! **Idea.** The links form a permutation, so the chain can be entered anywhere: mark a few hundred entries as starts,
//! walk [`LANES`] of these segments in lock-step until each meets the next mark, and string the segments together
//! afterwards in the order in which they met. All lanes share one table, where walking several blocks at once would
//! need one table each and miss the cache more often.
//! **Invariants.** Table entries hold link (20 bits), mark and byte, so that a link can never leave the table. Links of
//! entries below `length` are a permutation of `0..length`: every segment ends, and all segments together have
//! `length` steps at most. A text that repeats itself gives several cycles; then the one from the origin is repeated.

/// Entries of the link table: a power of two above the longest block, so that 20-bit links need no check.
pub(super) const TABLE: usize = 1 << 20;

/// Segments walked at the same time; the gain flattens out at about this number.
const LANES: usize = 12;
/// Distance of the lanes' output; not a power of two, or all lanes would share few cache sets.
const STRIDE: usize = TABLE + 576;
/// Segments a block is cut into: many, so that no long one is left to walk alone at the end.
const SEGMENTS: usize = 256;

const LINK_AT: u32 = 12;
const MARK: u32 = 1 << 8;
/// An entry beyond any block that links to itself, for lanes without work.
const IDLE: usize = TABLE - 1;

/// A row of equal bytes in the last column of the sorted rotations.
#[derive(Clone, Copy)]
pub(super) struct Run(u32);

impl Run {
    /// `length` times `byte`; lengths stay below 2²⁴.
    #[inline(always)]
    pub(super) fn new(byte: u8, length: u32) -> Self {
        Run(length << 8 | u32::from(byte))
    }

    fn byte(self) -> u8 {
        self.0 as u8
    }

    fn length(self) -> usize {
        (self.0 >> 8) as usize
    }
}

#[derive(Clone, Copy, Default)]
struct Segment {
    lane: usize,
    from: usize,
    to: usize,
    next: usize,
}

/// The memory of one inverse transform: 16 MiB, of which a block touches what it needs.
pub(super) struct InverseBwt {
    table: Box<[u32; TABLE]>,
    lanes: Box<[u8; LANES * STRIDE]>,
    segments: [Segment; SEGMENTS + 2],
}

impl InverseBwt {
    pub(super) fn new() -> Self {
        let mut table: Box<[u32; TABLE]> = boxed_zeros();
        table[IDLE] = (IDLE as u32) << LINK_AT;
        InverseBwt { table, lanes: boxed_zeros(), segments: [Segment::default(); SEGMENTS + 2] }
    }

    /// Undoes the transform of the last column given as `runs`, which hold `counts[b]` bytes `b`, into `text`.
    /// `origin` is the row of the text itself; it and all lengths together must be below the longest block's length.
    pub(super) fn invert(&mut self, runs: &[Run], counts: &[u32; 256], origin: usize, text: &mut Vec<u8>) {
        let length = self.link(runs, counts);
        text.clear();
        if origin >= length || length > 900_000 {
            return;
        }
        let step = length.div_ceil(SEGMENTS).max(64);
        self.walk(length, step, origin);
        text.reserve(length);
        let mut segment = self.segments[0];
        while text.len() < length {
            let steps = (segment.to - segment.from).min(length - text.len());
            text.extend_from_slice(&self.lanes[segment.lane * STRIDE + segment.from..][..steps]);
            segment = self.segments[segment.next];
        }
    }

    /// Fills the table: the `k`-th `b` of the first column links to the row of the `k`-th `b` of the last one.
    fn link(&mut self, runs: &[Run], counts: &[u32; 256]) -> usize {
        let mut next = [0usize; 256];
        let mut ends = [0usize; 256];
        let mut sum = 0;
        for byte in 0..256 {
            next[byte] = sum;
            sum += counts[byte] as usize;
            ends[byte] = sum;
        }
        let mut row = 0;
        for run in runs {
            let (byte, length) = (run.byte(), run.length());
            let from = next[byte as usize];
            let to = from + length;
            next[byte as usize] = to;
            let entry = |row: usize| (row as u32) << LINK_AT | u32::from(byte);
            if length <= 8 && from + 8 <= ends[byte as usize] {
                // Eight stores without a branch; what is too much belongs to later runs of this byte.
                if let Some(slots) = self.table[from..].first_chunk_mut::<8>() {
                    for (at, slot) in slots.iter_mut().enumerate() {
                        *slot = entry(row + at);
                    }
                }
            } else {
                for (at, slot) in self.table[from..to].iter_mut().enumerate() {
                    *slot = entry(row + at);
                }
            }
            row += length;
        }
        row
    }

    /// Walks all segments. Segment 0 starts at `origin`, segment `k + 1` at row `k * step`.
    fn walk(&mut self, length: usize, step: usize, origin: usize) {
        let table = &mut *self.table;
        let mut starts = std::iter::once(origin).chain((0..length).step_by(step).filter(|&start| start != origin));
        starts.clone().for_each(|start| table[start] |= MARK);
        let name = |row: usize| if row == origin { 0 } else { row / step + 1 };

        let segments = &mut self.segments;
        let lanes = &mut *self.lanes;
        let mut rows = [IDLE; LANES];
        let mut walking = [None; LANES];
        let mut active = 0;
        let mut entries = [0; LANES];
        for lane in 0..LANES {
            if let Some(start) = starts.next() {
                segments[name(start)] = Segment { lane, from: 0, to: 0, next: 0 };
                walking[lane] = Some(name(start));
                entries[lane] = table[start];
                rows[lane] = (entries[lane] >> LINK_AT) as usize;
                lanes[lane * STRIDE] = entries[lane] as u8;
                active += 1;
            }
        }
        let mut round = 1;
        while active > 0 {
            let mut all = 0;
            for lane in 0..LANES {
                entries[lane] = table[rows[lane]];
                all |= entries[lane];
            }
            if all & MARK != 0 {
                for lane in 0..LANES {
                    if entries[lane] & MARK == 0 {
                        continue;
                    }
                    let Some(ended) = walking[lane].take() else { continue };
                    segments[ended].to = round;
                    segments[ended].next = name(rows[lane]);
                    let start = starts.next();
                    match start {
                        Some(start) => {
                            segments[name(start)] = Segment { lane, from: round, to: 0, next: 0 };
                            walking[lane] = Some(name(start));
                        }
                        None => active -= 1,
                    }
                    entries[lane] = table[start.unwrap_or(IDLE)];
                }
            }
            for lane in 0..LANES {
                rows[lane] = (entries[lane] >> LINK_AT) as usize;
                lanes[lane * STRIDE + round % TABLE] = entries[lane] as u8;
            }
            round += 1;
        }
    }
}

fn boxed_zeros<T: Clone + Default, const LENGTH: usize>() -> Box<[T; LENGTH]> {
    match vec![T::default(); LENGTH].into_boxed_slice().try_into() {
        Ok(array) => array,
        Err(_) => unreachable!("allocated with this length"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transform(text: &[u8]) -> (Vec<u8>, usize) {
        let mut rotations: Vec<usize> = (0..text.len()).collect();
        let rotation = |at: usize| text[at..].iter().chain(&text[..at]);
        rotations.sort_by(|&a, &b| rotation(a).cmp(rotation(b)).then(a.cmp(&b)));
        let last = rotations.iter().map(|&at| text[(at + text.len() - 1) % text.len()]).collect();
        (last, rotations.iter().position(|&at| at == 0).unwrap())
    }

    #[test]
    fn inverse_of_the_transform_is_the_text_also_when_it_repeats_itself() {
        let mut inverse = InverseBwt::new();
        let mut state = 5u32;
        for length in (1..200).chain([1000, 1024, 2000, 2047]) {
            for (values, period) in [(1, 1), (2, 7), (3, 500), (40, 5000), (255, 5000)] {
                let mut text: Vec<u8> = vec![];
                for at in 0..length {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    text.push(if at < period { (state >> 24) as u8 % values } else { text[at - period] });
                }
                let (last, origin) = transform(&text);
                let mut counts = [0; 256];
                last.iter().for_each(|&byte| counts[byte as usize] += 1);
                let runs: Vec<Run> =
                    last.chunk_by(|a, b| a == b).map(|row| Run::new(row[0], row.len() as u32)).collect();
                let mut back = vec![];
                inverse.invert(&runs, &counts, origin, &mut back);
                assert_eq!(back, text, "length {length}");
            }
        }
    }
}
