//! Reading bits, most significant first.

/// A reader over bytes that yields zero bits after their end, so that inner loops need not ask; who decodes asks
/// [`BitReader::is_past_end`] at convenient places.
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    next_byte: usize,
    /// The next bits, left-aligned; at least `held` of them are valid, and what follows them is true or zero.
    window: u64,
    held: u32,
}

impl<'a> BitReader<'a> {
    /// A reader at bit offset `at` of `bytes`.
    pub(super) fn new(bytes: &'a [u8], at: u64) -> Self {
        let next_byte = usize::try_from(at / 8).unwrap_or(usize::MAX / 2);
        let mut reader = BitReader { bytes, next_byte, window: 0, held: 0 };
        reader.refill();
        reader.consume((at % 8) as u32);
        reader
    }

    /// Makes at least 56 bits available.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        let word = match self.bytes.get(self.next_byte..).and_then(|rest| rest.first_chunk::<8>()) {
            Some(chunk) => u64::from_be_bytes(*chunk),
            None => self.last_word(),
        };
        self.window |= word >> self.held;
        self.next_byte += ((63 - self.held) >> 3) as usize;
        self.held |= 56;
    }

    #[cold]
    fn last_word(&self) -> u64 {
        let rest = self.bytes.get(self.next_byte..).unwrap_or_default();
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        u64::from_be_bytes(word)
    }

    /// The next `count` bits, 1 to 56, which stay; fewer than that are valid without a [`BitReader::refill`].
    #[inline(always)]
    pub(super) fn peek(&self, count: u32) -> u64 {
        self.window >> (64 - count)
    }

    /// Skips `count` bits that were refilled.
    #[inline(always)]
    pub(super) fn consume(&mut self, count: u32) {
        self.window <<= count;
        self.held -= count;
    }

    /// Takes the next `count` bits, 1 to 48.
    pub(super) fn take(&mut self, count: u32) -> u64 {
        self.refill();
        let bits = self.peek(count);
        self.consume(count);
        bits
    }

    /// Offset of the next bit in the bytes.
    pub(super) fn position(&self) -> u64 {
        8 * self.next_byte as u64 - u64::from(self.held)
    }

    /// Whether bits were taken that are not there.
    pub(super) fn is_past_end(&self) -> bool {
        self.position() > 8 * self.bytes.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_in_order_from_any_offset_and_end_in_zeros() {
        let bytes: Vec<u8> = (0..40u8).map(|at| at.wrapping_mul(73) ^ 0x5a).collect();
        let bit = |at: u64| bytes.get((at / 8) as usize).map_or(0, |byte| u64::from(byte >> (7 - at % 8) & 1));
        for start in 0..64 {
            for width in [1, 3, 7, 20, 48] {
                let mut reader = BitReader::new(&bytes, start);
                let mut at = start;
                while at < 350 {
                    assert_eq!((reader.position(), reader.is_past_end()), (at, at > 320));
                    let expected = (at..at + u64::from(width)).fold(0, |sum, at| sum << 1 | bit(at));
                    assert_eq!(reader.take(width), expected);
                    at += u64::from(width);
                }
            }
        }
    }
}
