//! The sketch of a set of hashes from which its size is estimated.

/// Bits of a hash that choose a register: the standard error is 1.04 / √2¹⁴ = 0.8 %.
const INDEX_BITS: u32 = 14;
const REGISTERS: usize = 1 << INDEX_BITS;
/// A register holds at most this: one more than the number of the other bits.
const MOST: u8 = (64 - INDEX_BITS + 1) as u8;
/// So many registers that are not 0 are kept in a list.
const SPARSE: usize = REGISTERS / 16;

/// HyperLogLog (Flajolet et al. 2007): in each register, the most leading zeros, plus one, of the hashes that fall to it.
/// What is held depends on the registers alone.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sketch {
    /// Those that are not 0, ascending, as index and value in one number.
    Sparse(Vec<u32>),
    Dense(Box<[u8]>),
}

impl Sketch {
    pub(super) fn new() -> Self {
        Sketch::Sparse(Vec::new())
    }

    pub(super) fn add(&mut self, hash: u64) {
        let zeros = (hash << INDEX_BITS).leading_zeros().min(64 - INDEX_BITS);
        self.raise((hash >> (64 - INDEX_BITS)) as usize, zeros as u8 + 1);
    }

    /// `value` is not 0.
    fn raise(&mut self, register: usize, value: u8) {
        match self {
            Sketch::Dense(registers) => registers[register] = registers[register].max(value),
            Sketch::Sparse(entries) => {
                let entry = pack(register, value);
                let at = entries.partition_point(|other| other >> 8 < entry >> 8);
                if entries.get(at).is_some_and(|known| known >> 8 == entry >> 8) {
                    entries[at] = entry.max(entries[at]);
                } else if entries.len() < SPARSE {
                    entries.insert(at, entry);
                } else {
                    *self = Sketch::Dense(self.registers());
                    self.raise(register, value);
                }
            }
        }
    }

    fn registers(&self) -> Box<[u8]> {
        let mut registers = vec![0; REGISTERS].into_boxed_slice();
        match self {
            Sketch::Dense(dense) => registers.copy_from_slice(dense),
            Sketch::Sparse(entries) => {
                entries.iter().map(|entry| unpack(*entry)).for_each(|(register, value)| registers[register] = value);
            }
        }
        registers
    }

    /// The sketch of both sets together.
    pub(super) fn merge(&mut self, other: &Sketch) {
        match other {
            Sketch::Sparse(entries) => {
                entries.iter().map(|entry| unpack(*entry)).for_each(|(register, value)| self.raise(register, value));
            }
            Sketch::Dense(theirs) => {
                if let Sketch::Sparse(_) = self {
                    *self = Sketch::Dense(self.registers());
                }
                if let Sketch::Dense(ours) = self {
                    ours.iter_mut().zip(theirs).for_each(|(ours, theirs)| *ours = (*ours).max(*theirs));
                }
            }
        }
    }

    /// The estimated number of distinct hashes: the improved estimator of Ertl, *New cardinality estimation algorithms for
    /// HyperLogLog sketches*, 2017, algorithm 6, without bias at any size.
    pub(super) fn estimate(&self) -> f64 {
        let mut counts = [0u32; MOST as usize + 1];
        match self {
            Sketch::Dense(registers) => registers.iter().for_each(|value| counts[*value as usize] += 1),
            Sketch::Sparse(entries) => {
                counts[0] = (REGISTERS - entries.len()) as u32;
                entries.iter().for_each(|entry| counts[unpack(*entry).1 as usize] += 1);
            }
        }
        let registers = REGISTERS as f64;
        let mut z = registers * tau(1.0 - f64::from(counts[MOST as usize]) / registers);
        for count in counts[1..MOST as usize].iter().rev() {
            z = 0.5 * (z + f64::from(*count));
        }
        z += registers * sigma(f64::from(counts[0]) / registers);
        registers * registers / (2.0 * std::f64::consts::LN_2 * z)
    }

    /// Bytes on the heap, at most, the sparse form included that a dense one is made of.
    pub(super) const MOST_BYTES: usize = 2 * REGISTERS;

    /// Bytes on the heap.
    pub(super) fn bytes_held(&self) -> usize {
        match self {
            Sketch::Sparse(entries) => entries.capacity() * size_of::<u32>(),
            Sketch::Dense(registers) => registers.len(),
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Sketch::Sparse(entries) => entries.iter().flat_map(|entry| entry.to_le_bytes()).collect(),
            Sketch::Dense(registers) => registers.to_vec(),
        }
    }

    /// `None` for bytes that are no sketch.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() == REGISTERS {
            return bytes.iter().all(|value| *value <= MOST).then(|| Sketch::Dense(bytes.into()));
        }
        let (entries, rest) = bytes.as_chunks::<4>();
        let entries: Vec<u32> = entries.iter().map(|entry| u32::from_le_bytes(*entry)).collect();
        let is_entry = |entry: &u32| {
            let (register, value) = unpack(*entry);
            register < REGISTERS && (1..=MOST).contains(&value)
        };
        let ascend = entries.is_sorted_by(|a, b| a >> 8 < b >> 8);
        let fits = rest.is_empty() && entries.len() <= SPARSE && ascend && entries.iter().all(is_entry);
        fits.then_some(Sketch::Sparse(entries))
    }
}

fn pack(register: usize, value: u8) -> u32 {
    (register as u32) << 8 | u32::from(value)
}

fn unpack(entry: u32) -> (usize, u8) {
    ((entry >> 8) as usize, entry as u8)
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::hash::mix;
    use super::*;

    #[test]
    fn estimates_stay_within_four_standard_errors_at_any_size() {
        let mut sketch = Sketch::new();
        assert_eq!(sketch.estimate(), 0.0);
        for count in 1..=300_000u64 {
            sketch.add(mix(count * 1_000_003));
            if count.is_power_of_two() || count % 25_000 == 0 {
                let error = (sketch.estimate() - count as f64).abs() / count as f64;
                assert!(error < 4.0 * 0.0081, "{count}: off by {error}");
            }
        }
    }

    #[test]
    fn few_registers_and_many_are_one_sketch() {
        let of = |range: std::ops::Range<u64>| {
            let mut sketch = Sketch::new();
            range.for_each(|value| sketch.add(mix(value)));
            sketch
        };
        for split in [0, 1, 500, 1010, 1500, 20_000, 39_000, 40_000] {
            for (one, two) in [(0..split, split..40_000), (split..40_000, 0..split)] {
                let mut merged = of(one);
                merged.merge(&of(two));
                assert_eq!(merged, of(0..40_000));
            }
            let sketch = of(0..split);
            assert_eq!(Sketch::read(&sketch.to_bytes()), Some(sketch));
        }
        assert!(matches!(of(0..1000), Sketch::Sparse(_)) && matches!(of(0..2000), Sketch::Dense(_)));
        assert_eq!(Sketch::read(&[0, 0, 0]), None);
        assert_eq!(Sketch::read(&[0, 0, 0, 0]), None, "a register in the list is not 0");
        assert_eq!(Sketch::read(&vec![MOST + 1; REGISTERS]), None);
    }
}
