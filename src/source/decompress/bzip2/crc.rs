//! The checksum of bzip2: polynomial 0x04c11db7, most significant bit first, sixteen bytes a step.
//!
//! "Slicing" (Kounavis and Berry, 2005): `TABLES[k][b]` is what byte `b` contributes when `k` bytes follow it.

const POLYNOMIAL: u32 = 0x04c1_1db7;
const SLICES: usize = 16;

static TABLES: [[u32; 256]; SLICES] = tables();

const fn tables() -> [[u32; 256]; SLICES] {
    let mut tables = [[0; 256]; SLICES];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc >> 31 == 1 { (crc << 1) ^ POLYNOMIAL } else { crc << 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut slice = 1;
    while slice < SLICES {
        let mut byte = 0;
        while byte < 256 {
            let shorter = tables[slice - 1][byte];
            tables[slice][byte] = (shorter << 8) ^ tables[0][(shorter >> 24) as usize];
            byte += 1;
        }
        slice += 1;
    }
    tables
}

/// The checksum of one block's text.
pub(super) fn block_crc(text: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    let (chunks, rest) = text.as_chunks::<SLICES>();
    for chunk in chunks {
        let first = crc ^ u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        let mut sum = 0;
        for (at, byte) in first.to_be_bytes().into_iter().enumerate() {
            sum ^= TABLES[SLICES - 1 - at][byte as usize];
        }
        for at in 4..SLICES {
            sum ^= TABLES[SLICES - 1 - at][chunk[at] as usize];
        }
        crc = sum;
    }
    for &byte in rest {
        crc = (crc << 8) ^ TABLES[0][((crc >> 24) as u8 ^ byte) as usize];
    }
    !crc
}

/// The checksum of a stream, given that of the blocks before and that of one more block.
pub(super) fn combine(stream: u32, block: u32) -> u32 {
    stream.rotate_left(1) ^ block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_equals_the_bitwise_definition() {
        let text: Vec<u8> = (0..1000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for length in (0..70).chain([999, 1000]) {
            let mut crc = u32::MAX;
            for &byte in &text[..length] {
                for bit in (0..8).rev() {
                    let top = (crc >> 31) ^ u32::from(byte >> bit & 1);
                    crc = (crc << 1) ^ (top * POLYNOMIAL);
                }
            }
            assert_eq!(block_crc(&text[..length]), !crc, "length {length}");
        }
        assert_eq!(block_crc(b"123456789"), 0xfc89_1918);
    }
}
