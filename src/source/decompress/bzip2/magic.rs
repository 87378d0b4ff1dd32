//! Finding the 48-bit block magic at any bit offset.
//!
//! Wherever the magic starts, it covers five whole bytes, so some pair of bytes at an index divisible by four lies
//! inside it. Only 32 values of that pair are possible (8 shifts, 4 places), and a bitmap over all pairs tells them:
//! one look for every four bytes.

/// Starts a block: the digits of π.
pub(super) const BLOCK_MAGIC: u64 = 0x3141_5926_5359;
/// Starts the end of a stream: the digits of √π.
pub(super) const END_MAGIC: u64 = 0x1772_4538_5090;
/// Length of both.
pub(super) const MAGIC_BITS: u64 = 48;

const MASK: u64 = (1 << MAGIC_BITS) - 1;

static PAIRS: [u64; 1024] = pairs();

const fn pairs() -> [u64; 1024] {
    let mut bitmap = [0; 1024];
    let mut shift = 1;
    while shift <= 32 {
        let pair = (BLOCK_MAGIC >> shift) as u16 as usize;
        bitmap[pair / 64] |= 1 << (pair % 64);
        shift += 1;
    }
    bitmap
}

/// Appends the bit offsets in `bytes`, ascending, at which a whole block magic starts.
pub(super) fn find_block_magics(bytes: &[u8], found: &mut Vec<u64>) {
    let (quads, _) = bytes.as_chunks::<4>();
    for (at, quad) in quads.iter().enumerate() {
        let pair = u16::from_be_bytes([quad[0], quad[1]]) as usize;
        if PAIRS[pair / 64] >> (pair % 64) & 1 == 1 {
            verify(bytes, at * 4, found);
        }
    }
    // A last pair without two more bytes can still be the end of a magic.
    if let [_, _, ..] = bytes[quads.len() * 4..] {
        verify(bytes, quads.len() * 4, found);
    }
}

/// Looks at the 32 bit offsets for which the pair at `index` would be the one that is looked up.
#[cold]
fn verify(bytes: &[u8], index: usize, found: &mut Vec<u64>) {
    // Only a magic at bit 0 has its pair at index 0.
    let first = (8 * index as u64).saturating_sub(31);
    for bit in first..=8 * index as u64 {
        found.extend((bits48(bytes, bit) == Some(BLOCK_MAGIC)).then_some(bit));
    }
}

/// The 48 bits at bit offset `at`, unless `bytes` ends before.
pub(super) fn bits48(bytes: &[u8], at: u64) -> Option<u64> {
    let first = usize::try_from(at / 8).ok()?;
    let last = usize::try_from((at + MAGIC_BITS).div_ceil(8)).ok()?;
    let mut word = [0; 8];
    word[..last - first].copy_from_slice(bytes.get(first..last)?);
    Some(u64::from_be_bytes(word) >> (64 - MAGIC_BITS - at % 8) & MASK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(bytes: &mut [u8], at: u64) {
        for bit in 0..MAGIC_BITS {
            let (byte, mask) = (((at + bit) / 8) as usize, 0x80u8 >> ((at + bit) % 8));
            bytes[byte] &= !mask;
            bytes[byte] |= mask * (BLOCK_MAGIC >> (MAGIC_BITS - 1 - bit) & 1) as u8;
        }
    }

    #[test]
    fn magic_is_found_at_every_bit_offset_of_every_length() {
        for filler in [0, 0xff, 0x31, 0x59] {
            for length in 6..24 {
                for at in 0..=length as u64 * 8 - MAGIC_BITS {
                    let mut bytes = vec![filler; length];
                    put(&mut bytes, at);
                    let mut found = vec![];
                    find_block_magics(&bytes, &mut found);
                    assert_eq!(found, [at], "length {length} filler {filler}");
                }
            }
        }
    }

    #[test]
    fn adjacent_magics_are_all_found_once() {
        let mut bytes = vec![0; 100];
        let places: Vec<u64> = (0..15).map(|k| 5 + k * 49).collect();
        places.iter().for_each(|&at| put(&mut bytes, at));
        let mut found = vec![];
        find_block_magics(&bytes, &mut found);
        assert_eq!(found, places);
    }
}
