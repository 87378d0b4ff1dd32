//! The outermost layer: four equal bytes are followed by a count of further ones.

/// Appends the expansion of `raw` to `text`: at most 259 bytes for every five.
pub(super) fn expand_runs(mut raw: &[u8], text: &mut Vec<u8>) {
    while let Some(at) = find_four_equal(raw) {
        text.extend_from_slice(&raw[..at + 4]);
        let byte = raw[at];
        // A block may end after four equal bytes without a count; other decoders read that as zero.
        let Some((&count, rest)) = raw[at + 4..].split_first() else { return };
        text.resize(text.len() + count as usize, byte);
        raw = rest;
    }
    text.extend_from_slice(raw);
}

/// Index of the first byte that three equal ones follow.
fn find_four_equal(raw: &[u8]) -> Option<usize> {
    const WIDTH: usize = 32;
    let mut at = 0;
    while let Some(chunk) = raw[at..].first_chunk::<{ WIDTH + 3 }>() {
        let mut any = false;
        for lane in 0..WIDTH {
            let byte = chunk[lane];
            any |= (byte ^ chunk[lane + 1]) | (byte ^ chunk[lane + 2]) | (byte ^ chunk[lane + 3]) == 0;
        }
        if any {
            break;
        }
        at += WIDTH;
    }
    raw[at..].windows(4).position(|four| four[1..].iter().all(|&byte| byte == four[0])).map(|found| at + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow_twin(raw: &[u8]) -> Vec<u8> {
        let (mut text, mut last, mut equal) = (vec![], None, 0);
        for &byte in raw {
            if equal == 4 {
                text.extend(std::iter::repeat_n(last.unwrap_or(0), byte as usize));
                (last, equal) = (None, 0);
                continue;
            }
            equal = if last == Some(byte) { equal + 1 } else { 1 };
            last = Some(byte);
            text.push(byte);
        }
        text
    }

    #[test]
    fn expansion_equals_the_bytewise_twin() {
        let mut state = 1u32;
        for length in 0..300 {
            for values in [1, 2, 3, 100] {
                let raw: Vec<u8> = (0..length)
                    .map(|_| {
                        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        (state >> 24) as u8 % values
                    })
                    .collect();
                let mut text = b"before".to_vec();
                expand_runs(&raw, &mut text);
                assert_eq!(text[6..], slow_twin(&raw), "{raw:?}");
            }
        }
    }
}
