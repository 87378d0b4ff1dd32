//! The cells of a decimal grid, and the ranges that are made of them.

/// The double nearest to j · 10ᵏ.
fn bound(j: i64, k: i32) -> f64 {
    // These powers and integers below 2⁵³ are doubles, so one operation rounds once.
    let power = POWERS.get(k.unsigned_abs() as usize).filter(|_| j.unsigned_abs() < 1 << 53);
    match power {
        Some(power) if k < 0 => j as f64 / power,
        Some(power) => j as f64 * power,
        None => fast_float2::parse(format!("{j}e{k}")).unwrap_or(f64::INFINITY),
    }
}

const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// The cell of a finite value on the grid of 10ᵏ, for values below 10¹⁶ cells.
pub(super) fn cell(value: f64, k: i32) -> i64 {
    // The division is off by a place at most.
    let mut guess = (value / bound(1, k)).floor() as i64;
    while bound(guess, k) > value {
        guess -= 1;
    }
    while bound(guess + 1, k) <= value {
        guess += 1;
    }
    guess
}

/// The cell on a grid so many powers of ten coarser.
fn coarser(cell: i64, powers: i32) -> i64 {
    (0..powers.min(19)).fold(cell, |cell, _| cell.div_euclid(10))
}

/// The finest grid on which doubles of this size are below 10¹⁵ cells; of 0, which is cell 0 of any, that of 1.
fn finest(magnitude: f64) -> i32 {
    if magnitude == 0.0 {
        return -DIGITS;
    }
    if magnitude < bound(1, LEAST_EXPONENT) {
        return LEAST_EXPONENT;
    }
    let mut exponent = magnitude.log10().floor() as i32;
    while bound(1, exponent) > magnitude {
        exponent -= 1;
    }
    while bound(1, exponent + 1) <= magnitude {
        exponent += 1;
    }
    (exponent - DIGITS).max(LEAST_EXPONENT)
}

/// Grids are at most so many powers of ten finer than values.
const DIGITS: i32 = 14;

/// No grid is finer than this.
const LEAST_EXPONENT: i32 = -300;

/// The counts of a group.
#[derive(Clone, Debug, Default)]
pub(super) struct Cells {
    /// Exponent of the grid.
    pub(super) k: i32,
    /// The first cell; the others follow it.
    pub(super) first: i64,
    pub(super) counts: Vec<u64>,
    pub(super) below: u64,
    pub(super) above: u64,
    /// The extremes of what is in cells.
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Cells {
    /// Makes the grid fit finite values from `least` to `most`.
    pub(super) fn cover(&mut self, least: f64, most: f64, most_cells: i64, whole: bool) {
        let is_new = self.counts.is_empty();
        if !is_new && least >= self.least && most <= self.most {
            return;
        }
        let (least, most) = if is_new { (least, most) } else { (least.min(self.least), most.max(self.most)) };
        let mut k = finest(least.abs().max(most.abs())).max(if whole { 0 } else { LEAST_EXPONENT });
        while cell(most, k) - cell(least, k) >= most_cells {
            k += 1;
        }
        let (first, last) = (cell(least, k), cell(most, k));
        let old = std::mem::take(self);
        let counts = vec![0; (last - first + 1) as usize];
        *self = Cells { k, first, counts, least, most, ..old };
        self.add_counts(old.k, old.first, &old.counts);
    }

    /// Adds counts on another grid, which is not coarser.
    pub(super) fn add_counts(&mut self, k: i32, first: i64, counts: &[u64]) {
        for (cell, count) in (first..).zip(counts).filter(|(_, count)| **count > 0) {
            self.counts[(coarser(cell, self.k - k) - self.first) as usize] += count;
        }
    }

    /// Ranges of at most so many round ones.
    pub(super) fn nice(&self, ranges: usize, rows: &mut Table) {
        let Some(last) = (self.counts.len() as i64).checked_sub(1).filter(|last| *last >= 0) else {
            return rows.outer(self.below, None, self.above, None);
        };
        let (first, last) = (self.first, self.first + last);
        // No round bounds but 0 lie on both sides of it.
        let most = (ranges as i64).max(if first < 0 && last >= 0 { 2 } else { 1 });
        let widths = (0..18).flat_map(|power| [1, 2, 5].map(|width| width * 10i64.pow(power)));
        let fits = |width: &i64| last.div_euclid(*width) - first.div_euclid(*width) < most;
        let is_lone = self.least == self.most && self.k == finest(self.most.abs());
        // A lone value has a range as wide as its first digit.
        let width = if is_lone { 10i64.pow(DIGITS as u32) } else { { widths }.find(fits).unwrap_or(i64::MAX) };
        let edge = |range: i64| bound(range * width, self.k);
        let (lowest, highest) = (first.div_euclid(width), last.div_euclid(width));
        let place = |range: i64| (range * width - first).clamp(0, self.counts.len() as i64) as usize;
        rows.outer(self.below, Some(edge(lowest)), 0, None);
        for range in lowest..=highest {
            let count = self.counts[place(range)..place(range + 1)].iter().sum();
            rows.push(Some(edge(range)), Some(edge(range + 1)), count);
        }
        rows.outer(0, None, self.above, Some(edge(highest + 1)));
    }

    /// Ranges between these bounds.
    pub(super) fn between(&self, edges: &[f64], rows: &mut Table) {
        if self.counts.is_empty() && self.below + self.above == 0 {
            return;
        }
        rows.outer(self.below, edges.first().copied(), 0, None);
        for (at, bounds) in edges.windows(2).enumerate() {
            rows.push(Some(bounds[0]), Some(bounds[1]), self.counts.get(at).copied().unwrap_or(0));
        }
        rows.outer(0, None, self.above, edges.last().copied());
    }

    pub(super) fn bytes_held(&self) -> usize {
        self.counts.capacity() * size_of::<u64>()
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.k.to_le_bytes().to_vec();
        let head = [self.first as u64, self.below, self.above, self.least.to_bits(), self.most.to_bits()];
        bytes.extend(head.iter().chain(&self.counts).flat_map(|word| word.to_le_bytes()));
        bytes
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (k, rest) = bytes.split_first_chunk()?;
        let (words, rest) = rest.as_chunks::<8>();
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let ([first, below, above, least, most], counts) = words.split_first_chunk()?;
        rest.is_empty().then(|| Cells {
            k: i32::from_le_bytes(*k),
            first: *first as i64,
            counts: counts.to_vec(),
            below: *below,
            above: *above,
            least: f64::from_bits(*least),
            most: f64::from_bits(*most),
        })
    }
}

/// Rows of the result.
#[derive(Default)]
pub(super) struct Table {
    pub(super) lower: Vec<Option<f64>>,
    pub(super) upper: Vec<Option<f64>>,
    pub(super) counts: Vec<i64>,
}

impl Table {
    fn push(&mut self, lower: Option<f64>, upper: Option<f64>, count: u64) {
        self.lower.push(lower);
        self.upper.push(upper);
        self.counts.push(count.cast_signed());
    }

    /// Rows of what lies below a bound and above one, if there is any.
    fn outer(&mut self, below: u64, upper: Option<f64>, above: u64, lower: Option<f64>) {
        if below > 0 {
            self.push(None, upper, below);
        }
        if above > 0 {
            self.push(lower, None, above);
        }
    }
}
