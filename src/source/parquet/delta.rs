//! Lengths of texts, packed as differences (`DELTA_BINARY_PACKED`).
//!
//! Values come in blocks: the least difference, the widths of the miniblocks in bits, and these, in each of which what the
//! differences have above the least is packed in its width.

use parquet::errors::{ParquetError, Result};

/// The lengths of the texts of a page.
pub(super) struct Lengths<'a> {
    bytes: &'a [u8],
    /// Values of a miniblock, and miniblocks of a block.
    mini_values: u64,
    minis: usize,
    values: u64,
    first: i32,
    /// Where the first block begins.
    at: usize,
}

impl<'a> Lengths<'a> {
    /// Reads the head of the stream that `bytes` begin with.
    ///
    /// # Errors
    /// A head that is not whole or not possible.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self> {
        let mut at = 0;
        let (block_values, minis) = (number(bytes, &mut at)?, number(bytes, &mut at)?);
        let (values, first) = (number(bytes, &mut at)?, zigzag(number(bytes, &mut at)?)?);
        let whole = |of_mini: &u64| {
            of_mini.is_multiple_of(32) && of_mini * minis == block_values && (*of_mini > 0 || values < 2)
        };
        let mini_values = block_values.checked_div(minis).filter(whole);
        let (Some(mini_values), Ok(minis)) = (mini_values, usize::try_from(minis)) else {
            return Err(broken("packed lengths have impossible blocks"));
        };
        Ok(Lengths { bytes, mini_values, minis, values, first, at })
    }

    /// How many there are, as their head claims.
    pub(super) fn count(&self) -> u64 {
        self.values
    }

    /// Their sum, and where their bytes end.
    ///
    /// # Errors
    /// A negative length; fewer lengths than the head claims.
    pub(super) fn sum(&self) -> Result<(u64, usize)> {
        let (mut at, mut left, mut length) = (self.at, self.values, self.first);
        let mut sum = 0;
        let mut add = |length: i32| -> Result<()> {
            sum += u64::try_from(length).map_err(|_| broken("a text claims to have a negative length"))?;
            Ok(())
        };
        if left > 0 {
            add(length)?;
            left -= 1;
        }
        while left > 0 {
            let least = zigzag(number(self.bytes, &mut at)?)?;
            let widths = self.bytes.get(at..at.saturating_add(self.minis)).ok_or_else(ended)?;
            at += self.minis;
            for &width in widths {
                // Behind the last value, widths may be anything, and have no bytes.
                if left == 0 {
                    break;
                }
                let packed = &self.bytes[at.min(self.bytes.len())..];
                let own = left.min(self.mini_values);
                for value in 0..own {
                    let above = packed_value(packed, value, u64::from(width)).ok_or_else(ended)?;
                    length = length.wrapping_add(least).wrapping_add(above.cast_signed());
                    add(length)?;
                }
                left -= own;
                at = (u64::from(width) * self.mini_values / 8)
                    .try_into()
                    .ok()
                    .and_then(|bytes: usize| at.checked_add(bytes))
                    .ok_or_else(ended)?;
            }
        }
        Ok((sum, at))
    }
}

/// Value `index` of those that are packed in `width` bits each, the lowest bits first.
fn packed_value(packed: &[u8], index: u64, width: u64) -> Option<u32> {
    if width == 0 {
        return Some(0);
    }
    let (first, end) = (index.checked_mul(width)?, (index + 1).checked_mul(width)?);
    let from = usize::try_from(first / 8).ok()?;
    let bytes = packed.get(from..usize::try_from(end.div_ceil(8)).ok()?).filter(|_| width <= 32)?;
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    let mask = u32::MAX >> (32 - width);
    Some((u64::from_le_bytes(word) >> (first % 8)) as u32 & mask)
}

/// A number of seven bits a byte, the lowest first.
fn number(bytes: &[u8], at: &mut usize) -> Result<u64> {
    let mut value = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = *bytes.get(*at).ok_or_else(ended)?;
        *at += 1;
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(broken("a number is too long"))
}

/// The signed number that such a one stands for.
fn zigzag(value: u64) -> Result<i32> {
    let signed = (value >> 1).cast_signed() ^ -(value & 1).cast_signed();
    i32::try_from(signed).map_err(|_| broken("a length is too large"))
}

fn ended() -> ParquetError {
    ParquetError::EOF("packed lengths go on beyond the end of their page".to_owned())
}

fn broken(text: &str) -> ParquetError {
    ParquetError::General(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks of 128 values in four miniblocks, as most writers make them.
    fn packed(lengths: &[i32]) -> Vec<u8> {
        fn put(bytes: &mut Vec<u8>, mut value: u64) {
            while value >= 0x80 {
                bytes.push(value as u8 | 0x80);
                value >>= 7;
            }
            bytes.push(value as u8);
        }
        let zigzag = |value: i32| u64::from(((value << 1) ^ (value >> 31)).cast_unsigned());
        let mut bytes = Vec::new();
        put(&mut bytes, 128);
        put(&mut bytes, 4);
        put(&mut bytes, lengths.len() as u64);
        put(&mut bytes, zigzag(lengths.first().copied().unwrap_or_default()));
        let deltas: Vec<i32> = lengths.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
        for block in deltas.chunks(128) {
            let least = block.iter().copied().min().unwrap_or_default();
            put(&mut bytes, zigzag(least));
            let minis: Vec<Vec<u32>> = block
                .chunks(32)
                .map(|mini| mini.iter().map(|delta| delta.wrapping_sub(least).cast_unsigned()).collect())
                .collect();
            let width = |mini: &Vec<u32>| 32 - mini.iter().fold(0, |all, value| all | value).leading_zeros();
            // Those behind the last are arbitrary.
            bytes.extend((0..4).map(|mini| minis.get(mini).map_or(77, |mini| width(mini) as u8)));
            for mini in &minis {
                let width = width(mini) as usize;
                let mut bits = vec![0_u8; width * 4];
                for (at, value) in mini.iter().enumerate() {
                    for bit in (0..width).filter(|bit| value >> bit & 1 == 1) {
                        bits[(at * width + bit) / 8] |= 1 << ((at * width + bit) % 8);
                    }
                }
                bytes.extend(bits);
            }
        }
        bytes
    }

    #[test]
    fn lengths_are_added_up_and_their_end_is_found() {
        let cases: [Vec<i32>; 6] = [
            vec![],
            vec![5],
            vec![7; 1000],
            (0..300).collect(),
            (0..129).map(|at| at * at % 37).collect(),
            vec![i32::MAX, 0, i32::MAX, 0],
        ];
        for lengths in cases {
            let mut bytes = packed(&lengths);
            let end = bytes.len();
            bytes.extend(b"texts");
            let stream = Lengths::new(&bytes).unwrap();
            assert_eq!(stream.count(), lengths.len() as u64);
            let sum = lengths.iter().map(|&length| u64::from(length.cast_unsigned())).sum();
            assert_eq!(stream.sum().unwrap(), (sum, end), "{lengths:?}");
        }
    }

    #[test]
    fn what_is_cut_off_or_negative_is_an_error() {
        let bytes = packed(&(0..200).map(|at| at * 31 % 64).collect::<Vec<_>>());
        for end in 0..bytes.len() {
            let whole = Lengths::new(&bytes[..end]).and_then(|stream| stream.sum());
            // Bytes that pad the last miniblock may be missing.
            assert!(whole.is_err() || bytes.len() - end < 24, "{end} of {}", bytes.len());
        }
        assert!(Lengths::new(&packed(&[3, -1])).unwrap().sum().is_err());
        // Blocks of no value, and a width of 40 bits.
        assert!(Lengths::new(&[0, 4, 2, 0]).is_err());
        assert!(Lengths::new(&[0x80, 1, 0, 1, 0]).is_err());
        let wide = [&[0x80, 1, 4, 5, 0, 0, 40, 0, 0, 0][..], &[0xFF; 200]].concat();
        assert!(Lengths::new(&wide).unwrap().sum().is_err());
    }
}
