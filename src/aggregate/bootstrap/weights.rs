//! How often replicates have a row.

use crate::batch::hash::mix;

/// Of 16 random bits: from these numbers on, a weight is at least 1, 2, … The probabilities are those of the Poisson distribution
/// with mean 1 to within 2⁻¹⁷; their mean is 1 exactly, and their variance 0.99997. Larger weights than 8 would come up once in a
/// million.
const FROM: [u16; 8] = [24_109, 48_219, 60_273, 64_292, 65_296, 65_497, 65_531, 65_535];

/// Weights from each hash.
const OF_A_HASH: usize = 4;

/// The weights of all replicates for the row whose hash is `hash`.
#[inline]
pub(super) fn draw(hash: u64, weights: &mut [u16]) {
    let mut at = 0;
    let (fours, rest) = weights.as_chunks_mut::<OF_A_HASH>();
    for four in fours {
        let bits = mix(hash.wrapping_add(at));
        *four = [bits as u16, (bits >> 16) as u16, (bits >> 32) as u16, (bits >> 48) as u16];
        at += 1;
    }
    let bits = mix(hash.wrapping_add(at));
    rest.iter_mut().zip(0..).for_each(|(weight, place)| *weight = (bits >> (16 * place)) as u16);
    // Without a branch, so that many are told at once.
    for weight in weights {
        *weight = FROM.iter().map(|from| u16::from(*weight >= *from)).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The weight of these bits.
    fn of(bits: u16) -> u16 {
        FROM.iter().map(|from| u16::from(bits >= *from)).sum()
    }

    #[test]
    fn weights_are_poisson() {
        let mut counts = [0_u64; FROM.len() + 1];
        (0..=u16::MAX).for_each(|bits| counts[usize::from(of(bits))] += 1);
        let mut probability = (-1.0_f64).exp() * 65_536.0;
        for (weight, count) in counts.iter().enumerate() {
            assert!((*count as f64 - probability).abs() < 1.0, "{weight}: {count}");
            probability /= (weight + 1) as f64;
        }
        let moment = |power: i32| -> f64 {
            counts.iter().enumerate().map(|(weight, count)| (weight as f64).powi(power) * *count as f64).sum()
        };
        assert_eq!(moment(1), 65_536.0);
        assert!((moment(2) / 65_536.0 - 2.0).abs() < 1e-4);
    }

    #[test]
    fn each_replicate_has_weights_of_its_own_however_many_there_are() {
        let mut many = [0; 1003];
        draw(42, &mut many);
        for length in [1, 4, 6, 999] {
            let mut few = vec![0; length];
            draw(42, &mut few);
            assert_eq!(few, many[..length]);
        }
        let equal = |shift: usize| many.iter().zip(&many[shift..]).filter(|(a, b)| a == b).count();
        // Two independent weights are equal with a probability of 0.309.
        assert!((1..8).all(|shift| (250..370).contains(&equal(shift))));
    }
}
