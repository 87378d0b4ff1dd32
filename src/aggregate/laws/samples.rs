//! Data that hurt: nulls, duplicates, extremes, cancellation, NaN, infinities, both zeros.

use crate::batch::Mask;
use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, NullArray, StringViewArray,
    TimestampMicrosecondArray, UInt64Array,
};
use std::sync::Arc;

const ROWS: usize = 45;

/// Values, the group of each (the last group stays without rows), which count, and where they came from.
pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) values: ArrayRef,
    pub(super) groups: Vec<u32>,
    pub(super) mask: Option<BooleanArray>,
    /// Ascending, as in any batch.
    pub(super) positions: Arc<[u64]>,
}

impl Sample {
    /// The values in the opposite order, as a second argument.
    pub(super) fn reversed(&self) -> ArrayRef {
        let order = UInt64Array::from_iter_values((0..self.values.len() as u64).rev());
        arrow::compute::take(&self.values, &order, None).unwrap()
    }

    /// Leaves only the rows that `mask` keeps.
    pub(super) fn keep(&mut self, mask: &BooleanArray) {
        let kept: Vec<usize> = (0..mask.len()).filter(|row| mask.is_valid_and_true(*row)).collect();
        self.values = arrow::compute::filter(&self.values, mask).unwrap();
        self.groups = kept.iter().map(|row| self.groups[*row]).collect();
        self.positions = kept.iter().map(|row| self.positions[*row]).collect();
        self.mask = None;
    }
}

/// Pseudo-random numbers, the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[(self.next() >> 33) as usize % from.len()]
    }
}

type Floats = fn(&mut Random) -> f64;

const FLOATS: [(&str, Floats); 7] = [
    ("Float64, small integers", |random| (random.next() % 17) as f64 - 8.0),
    ("Float64, decimals", |random| (random.next() % 20_001) as f64 / 100.0 - 100.0),
    ("Float64, any finite", |random| {
        loop {
            let value = f64::from_bits(random.next());
            if value.is_finite() {
                break value;
            }
        }
    }),
    ("Float64, any bits and specials", |random| match random.next() % 4 {
        0 => f64::from_bits(random.next()),
        1 => f64::from_bits(random.next() | 0x7ff8 << 48),
        _ => random.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1.0]),
    }),
    ("Float64, cancellation of extremes", |random| {
        random.pick(&[f64::MAX, -f64::MAX, 5e-324, -5e-324, 1e16, -1e16, 1.0, 2.5e-308, 1e-30, 70_368_744_177_664.0])
    }),
    ("Float64, beside the fixed-point range", |random| {
        let magnitude = f64::from_bits((1023 - 30 + random.pick(&[0, 1, 2, 3, 74, 75, 76, 77, 78])) << 52 | 0xf_ffff);
        if random.next() & 1 << 40 == 0 { magnitude } else { -magnitude }
    }),
    ("Float64, both zeros", |random| random.pick(&[0.0, -0.0])),
];

type Integers = fn(&mut Random) -> i64;

const INTEGERS: [(&str, Integers); 3] = [
    ("Int64, small", |random| (random.next() % 200) as i64 - 100),
    ("Int64, extremes", |random| random.pick(&[i64::MIN, i64::MAX, 0, -1, i64::MIN + 1, 1 << 62])),
    ("Int64, large", |random| random.next() as i64 >> 8),
];

/// Every type, with and without nulls, and with a mask.
pub(super) fn samples() -> Vec<Sample> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut columns: Vec<(&'static str, ArrayRef)> = vec![("Null", Arc::new(NullArray::new(ROWS)))];
    for null_one_in in [4, u64::MAX] {
        let mut values = |make: &mut dyn FnMut(&mut Random) -> i64| -> Vec<Option<i64>> {
            let mut value = || {
                let valid = !random.next().is_multiple_of(null_one_in);
                valid.then(|| make(&mut random))
            };
            (0..ROWS).map(|_| value()).collect()
        };
        for (name, integers) in INTEGERS {
            columns.push((name, Arc::new(Int64Array::from(values(&mut |random| integers(random))))));
        }
        for (name, floats) in FLOATS {
            let bits = values(&mut |random| floats(random).to_bits() as i64);
            let floats = bits.into_iter().map(|bits| bits.map(|bits| f64::from_bits(bits as u64)));
            columns.push((name, Arc::new(floats.collect::<Float64Array>())));
        }
        let times = values(&mut |random| random.pick(&[i64::MIN, i64::MAX, 0, 1_000_000]));
        columns.push(("Timestamp", Arc::new(TimestampMicrosecondArray::from(times))));
        let days = values(&mut |random| random.pick(&[i32::MIN, i32::MAX, 0, 7]).into()).into_iter();
        columns.push(("Date", Arc::new(days.map(|day| day.map(|day| day as i32)).collect::<Date32Array>())));
        let bits = values(&mut |random| (random.next() >> 20 & 1) as i64).into_iter();
        columns.push(("Boolean", Arc::new(bits.map(|bit| bit.map(|bit| bit == 1)).collect::<BooleanArray>())));
        let texts = ["", "a", "aa", "twelve bytes", "thirteen byte", "thirteen bytf", "Ä", "\u{10ffff}", "\0"];
        let places = values(&mut |random| (random.next() >> 20) as i64 % texts.len() as i64).into_iter();
        let texts = places.map(|place| place.map(|place| texts[place as usize]));
        columns.push(("Utf8", Arc::new(texts.collect::<StringViewArray>())));
    }
    let mut samples = Vec::new();
    for (name, values) in columns {
        for masked in [false, true] {
            samples.push(Sample {
                name,
                values: Arc::clone(&values),
                groups: (0..ROWS).map(|_| random.pick(&[0, 1, 2])).collect(),
                mask: masked.then(|| (0..ROWS).map(|_| Some(random.pick(&[true, true, false]))).collect()),
                positions: (0..ROWS as u64).map(|row| row * 3 + random.next() % 3).collect(),
            });
        }
    }
    samples
}
