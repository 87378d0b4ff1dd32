//! Canonical Huffman codes with a table that decodes several symbols a look.
//!
//! The two commonest symbols, 0 and 1, are the digits of a run length and come in rows. One look at the next
//! [`WIDE_BITS`] bits therefore yields all run digits that lie in them, already summed up, and the symbol after them.

/// Symbols up to this one are digits of a run length in bijective base two: symbol 0 is digit 1, symbol 1 digit 2.
pub(super) const LAST_DIGIT: u16 = 1;
/// Largest alphabet: 256 bytes, less the one at the front of the list, two run digits, and the end.
pub(super) const MAX_SYMBOLS: usize = 258;
/// Longest code.
pub(super) const MAX_CODE_BITS: u32 = 20;
/// Bits looked at together; wider tables cost more to fill, for every block anew, than they save.
pub(super) const WIDE_BITS: u32 = 10;

const WIDE: usize = 1 << WIDE_BITS;

/// What one look yields: run digits, then perhaps one other symbol. Zero: nothing, the code is longer or invalid.
#[derive(Clone, Copy, Default)]
pub(super) struct Look(u32);

impl Look {
    const SYMBOL_AT: u32 = 9;
    const RUN_AT: u32 = 18;

    fn new(bits: u32, symbols: u32, symbol: u16, run: u32) -> Self {
        Look(bits | symbols << 5 | u32::from(symbol) << Self::SYMBOL_AT | run << Self::RUN_AT)
    }

    /// Whether nothing was found.
    #[inline(always)]
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Bits of all symbols found.
    #[inline(always)]
    pub(super) fn bits(self) -> u32 {
        self.0 & 31
    }

    /// Number of symbols found, run digits included.
    #[inline(always)]
    pub(super) fn symbols(self) -> u32 {
        self.0 >> 5 & 15
    }

    /// The symbol after the run digits; zero: none.
    #[inline(always)]
    pub(super) fn symbol(self) -> u16 {
        (self.0 >> Self::SYMBOL_AT & 511) as u16
    }

    /// Value of the run digits, the first one having weight one.
    #[inline(always)]
    pub(super) fn run(self) -> u32 {
        self.0 >> Self::RUN_AT
    }
}

/// One code of a block.
pub(super) struct Code {
    wide: [Look; WIDE],
    /// Symbols in order of their codes.
    ordered: [u16; MAX_SYMBOLS],
    /// For each length: the first code not of that length or shorter, left-aligned to [`MAX_CODE_BITS`] bits.
    limit: [u32; MAX_CODE_BITS as usize + 1],
    /// For each length: index in `ordered` of its first symbol, less its first code.
    base: [i32; MAX_CODE_BITS as usize + 1],
}

impl Code {
    /// A code without any symbol.
    pub(super) fn new() -> Self {
        Code { wide: [Look(0); WIDE], ordered: [0; MAX_SYMBOLS], limit: [0; 21], base: [0; 21] }
    }

    /// Makes this the canonical code with these lengths, each 1 to 20. False when they demand more codes than exist;
    /// fewer are allowed, as some compressors write them, and bits without a meaning show when they are met.
    pub(super) fn assign(&mut self, lengths: &[u8]) -> bool {
        let mut counts = [0u32; MAX_CODE_BITS as usize + 1];
        for &length in lengths {
            counts[length as usize] += 1;
        }
        let mut starts = [0usize; MAX_CODE_BITS as usize + 1];
        let mut narrow = [(0u16, 0u8); WIDE];
        let (mut code, mut index) = (0u32, 0u32);
        for length in 1..=MAX_CODE_BITS {
            let count = counts[length as usize];
            starts[length as usize] = index as usize;
            self.base[length as usize] = index as i32 - code as i32;
            code += count;
            index += count;
            if code > 1 << length {
                return false;
            }
            self.limit[length as usize] = code << (MAX_CODE_BITS - length);
            code <<= 1;
        }
        for (symbol, &length) in lengths.iter().enumerate() {
            let at = &mut starts[length as usize];
            self.ordered[*at] = symbol as u16;
            if u32::from(length) <= WIDE_BITS {
                let code = (*at as i32 - self.base[length as usize]) as usize;
                let span = WIDE >> length;
                narrow[code * span..][..span].fill((symbol as u16, length));
            }
            *at += 1;
        }
        for (bits, look) in self.wide.iter_mut().enumerate() {
            *look = widen(&narrow, bits);
        }
        true
    }

    /// What the next [`WIDE_BITS`] bits mean.
    #[inline(always)]
    pub(super) fn look(&self, bits: u64) -> Look {
        self.wide[bits as usize % WIDE]
    }

    /// The single symbol at the beginning of the next [`MAX_CODE_BITS`] bits, and its length.
    #[cold]
    pub(super) fn symbol(&self, bits: u64) -> Option<(u16, u32)> {
        let bits = bits as u32;
        let length = (1..=MAX_CODE_BITS).find(|&length| bits < self.limit[length as usize])?;
        let index = self.base[length as usize] + (bits >> (MAX_CODE_BITS - length)) as i32;
        Some((*self.ordered.get(index as usize)?, length))
    }
}

fn widen(narrow: &[(u16, u8); WIDE], bits: usize) -> Look {
    let (mut used, mut digits, mut run) = (0, 0, 0);
    loop {
        let (symbol, length) = narrow[bits << used & (WIDE - 1)];
        let length = u32::from(length);
        if length == 0 || used + length > WIDE_BITS {
            return Look::new(used, digits, 0, run);
        }
        used += length;
        if symbol > LAST_DIGIT {
            return Look::new(used, digits + 1, symbol, run);
        }
        run += (u32::from(symbol) + 1) << digits;
        digits += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_looks_agree_with_one_symbol_at_a_time() {
        let mut code = Box::new(Code::new());
        for lengths in [&[1, 2, 3, 3][..], &[2, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12], &[9; 258], &[1, 1, 20]] {
            if !code.assign(lengths) {
                assert_eq!(lengths, [1, 1, 20]);
                continue;
            }
            for bits in 0..1u64 << MAX_CODE_BITS {
                let look = code.look(bits >> (MAX_CODE_BITS - WIDE_BITS));
                let (mut used, mut run, mut symbol) = (0, 0, 0);
                for at in 0..look.symbols() {
                    let rest = bits << used & ((1 << MAX_CODE_BITS) - 1);
                    let (next, length) = code.symbol(rest).unwrap();
                    if next <= LAST_DIGIT {
                        run += (u32::from(next) + 1) << at;
                    } else {
                        assert_eq!(at + 1, look.symbols());
                        symbol = next;
                    }
                    used += length;
                }
                assert_eq!((used, run, symbol), (look.bits(), look.run(), look.symbol()));
            }
        }
    }

    #[test]
    fn incomplete_codes_have_bits_without_meaning_and_oversubscribed_ones_are_refused() {
        let mut code = Box::new(Code::new());
        assert!(code.assign(&[2, 2, 2]));
        assert!(code.look(0x3ff).is_empty());
        assert_eq!(code.symbol(0xfffff), None);
        assert!(!code.assign(&[1, 2, 2, 2]));
    }
}
