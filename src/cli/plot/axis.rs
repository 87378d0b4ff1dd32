//! Where numbers stand on an axis, and its round marks.

/// A range of numbers, drawn between two places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// An axis that shows all these numbers, of those that are finite; widened to round marks if `round`.
    pub(super) fn over(values: impl Iterator<Item = f64>, round: bool, from: f64, to: f64) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let (low, high) =
            finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        // Halves as in `place`, which divides by what is between them; a lone value is widened by what it can tell apart.
        let (low, high) = match low / 2.0 < high / 2.0 {
            true => (low, high),
            false if low.is_finite() => {
                let around = f64::max(0.5, low.abs() * 1e-9);
                ((low - around).max(f64::MIN), (low + around).min(f64::MAX))
            }
            false => (0.0, 1.0),
        };
        if !round {
            return Axis { low, high, from, to };
        }
        let step = step(high / 2.0 - low / 2.0);
        let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        Axis { low: low.max(f64::MIN), high: high.min(f64::MAX), from, to }
    }

    /// The place of a number.
    pub(super) fn place(&self, value: f64) -> f64 {
        // Halves, so that the widest of ranges has a width.
        let share = (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0);
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Multiples of 1, 2 or 5 times a power of ten, some six of them.
    pub(super) fn marks(&self) -> Vec<f64> {
        let step = step(self.high / 2.0 - self.low / 2.0);
        let first = (self.low / step).ceil();
        let mark = |at: u32| (first + f64::from(at)) * step;
        (0..20).map(mark).take_while(|mark| *mark <= self.high + step * 1e-9).collect()
    }
}

/// The distance of marks on an axis that is twice as long.
fn step(half: f64) -> f64 {
    let rough = (half / 3.0).max(f64::MIN_POSITIVE);
    let power = 10f64.powf(rough.log10().floor());
    let wide = [1.0, 2.0, 5.0].into_iter().find(|digit| digit * power >= rough * (1.0 - 1e-9));
    wide.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_cover_what_is_shown() {
        let axis = Axis::over([3.0, 97.0, f64::NAN].into_iter(), true, 0.0, 100.0);
        assert_eq!((axis.low, axis.high), (0.0, 100.0));
        assert_eq!(axis.marks(), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!((axis.place(0.0), axis.place(50.0), axis.place(1e9)), (0.0, 50.0, 100.0));
        let lone = Axis::over([7.0].into_iter(), false, 0.0, 10.0);
        assert_eq!(lone.place(7.0), 5.0);
        for large in [2f64.powi(54), -1e300, f64::MAX] {
            for round in [true, false] {
                assert!(
                    (0.0..=10.0).contains(&Axis::over([large].into_iter(), round, 0.0, 10.0).place(large)),
                    "{large}"
                );
            }
        }
        for odd in [
            vec![],
            vec![f64::MAX, f64::MIN],
            vec![0.0, 5e-324],
            vec![1e-300, 2e-300],
            vec![5e-324],
            vec![f64::INFINITY],
        ] {
            let axis = Axis::over(odd.iter().copied(), true, 0.0, 10.0);
            assert!(axis.marks().len() < 21 && odd.iter().all(|value| (0.0..=10.0).contains(&axis.place(*value))));
        }
    }
}
