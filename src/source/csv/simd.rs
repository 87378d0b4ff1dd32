//! Separators of a text, 64 bytes at a time.
//!
//! Each block becomes three bit masks: delimiters, line ends, quotes. Without quotes, the set bits are written out as
//! offsets. With quotes, a prefix XOR over the quote mask tells inside from outside, as long as every quote stands at
//! a field border or is doubled; a quote anywhere else makes the text *odd*, and the caller reads it byte by byte.
//! Quotes after an escape byte do not count; dialects without one run code that knows nothing of it.
//! Flattening set bits in unrolled groups and the prefix XOR are known from Langdale and Lemire, "Parsing Gigabytes of
//! JSON per Second" (2019).

use super::dialect::Dialect;
use std::mem::MaybeUninit;

/// Which instructions find the separators. All give the same answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Record by record with byte search: the slow twin.
    Scalar,
    /// 64-bit words, on any machine.
    Words,
    /// 16-byte vectors.
    #[cfg(target_arch = "x86_64")]
    Sse2,
    /// 32-byte vectors.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 64-byte vectors with byte compression (VBMI2).
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Engine {
    /// Every engine that this machine can run, slowest first.
    pub fn available() -> Vec<Engine> {
        let mut engines = vec![Engine::Scalar, Engine::Words];
        #[cfg(target_arch = "x86_64")]
        {
            engines.push(Engine::Sse2);
            if avx2_detected() {
                engines.push(Engine::Avx2);
            }
            if avx512_detected() {
                engines.push(Engine::Avx512);
            }
        }
        engines
    }

    /// The fastest engine that this machine can run.
    pub fn best() -> Engine {
        #[cfg(target_arch = "x86_64")]
        {
            if avx512_detected() {
                Engine::Avx512
            } else if avx2_detected() {
                Engine::Avx2
            } else {
                Engine::Sse2
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        Engine::Words
    }
}

#[cfg(target_arch = "x86_64")]
fn avx2_detected() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("popcnt")
}

#[cfg(target_arch = "x86_64")]
fn avx512_detected() -> bool {
    avx2_detected()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi2")
}

/// What [`separators`] saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Line ends outside quotes.
    pub(super) newlines: usize,
    /// Any quote at all.
    pub(super) quotes: bool,
    /// A quote stands where well-formed text has none; the offsets are worthless.
    pub(super) odd: bool,
}

/// Appends `base` plus the offset of every delimiter and line end outside quotes to `out`. `text` starts at a record's
/// start. [`Engine::Scalar`] has no masks and calls everything odd; so does an engine this machine lacks.
pub(super) fn separators(engine: Engine, text: &[u8], base: u32, dialect: &Dialect, out: &mut Vec<u32>) -> Seen {
    match engine {
        Engine::Scalar => Seen { odd: true, ..Seen::default() },
        Engine::Words => scan_any::<words::Words>(text, base, dialect, out),
        #[cfg(target_arch = "x86_64")]
        Engine::Sse2 => scan_any::<x86::Sse2>(text, base, dialect, out),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the features were detected.
        Engine::Avx2 if avx2_detected() => unsafe { x86::scan_avx2(text, base, dialect, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the features were detected.
        Engine::Avx512 if avx512_detected() => unsafe { x86::scan_avx512(text, base, dialect, out) },
        #[cfg(target_arch = "x86_64")]
        Engine::Avx2 | Engine::Avx512 => Seen { odd: true, ..Seen::default() },
    }
}

/// Offsets of the special bytes of a text, ascending, whatever quotes make of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    /// Delimiters and line ends.
    pub(super) separators: Vec<u32>,
    pub(super) line_ends: Vec<u32>,
    pub(super) quotes: Vec<u32>,
}

impl Marks {
    /// Lists those of `text`, which lies at offset `base`. An engine that this machine lacks lists them by words.
    pub(super) fn list(&mut self, engine: Engine, text: &[u8], base: u32, dialect: &Dialect) {
        for list in [&mut self.separators, &mut self.line_ends, &mut self.quotes] {
            list.clear();
        }
        match engine {
            #[cfg(target_arch = "x86_64")]
            Engine::Sse2 => mark::<x86::Sse2>(text, base, dialect, self),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the features were detected.
            Engine::Avx2 if avx2_detected() => unsafe { x86::mark_avx2(text, base, dialect, self) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the features were detected.
            Engine::Avx512 if avx512_detected() => unsafe { x86::mark_avx512(text, base, dialect, self) },
            _ => mark::<words::Words>(text, base, dialect, self),
        }
    }

    /// Entries that there is room for.
    pub(super) fn capacity(&self) -> usize {
        self.separators.capacity() + self.line_ends.capacity() + self.quotes.capacity()
    }
}

/// 64 bytes of text in registers. Methods are `inline(always)` so that they compile with the features of the `scan`
/// they are inlined into; implementations may rely on those features being present.
trait Block {
    fn load(bytes: &[u8; 64]) -> Self;

    /// Bit `i` is set where byte `i` equals `byte`.
    fn equal(&self, byte: u8) -> u64;

    /// Writes `base + i` for every set bit `i`, ascending, to the front of `out`; what follows them is garbage. `scan`
    /// relies on as many slots being initialised as bits are set.
    #[inline(always)]
    fn flatten(mut bits: u64, base: u32, out: &mut [MaybeUninit<u32>; 64]) {
        for group in out.chunks_exact_mut(8) {
            for slot in group {
                slot.write(base.wrapping_add(bits.trailing_zeros()));
                bits &= bits.wrapping_sub(1);
            }
            if bits == 0 {
                break;
            }
        }
    }
}

#[inline(always)]
fn scan_any<B: Block>(text: &[u8], base: u32, dialect: &Dialect, out: &mut Vec<u32>) -> Seen {
    match dialect.quote().and(dialect.escape()) {
        None => scan::<B, false>(text, base, dialect, out),
        Some(_) => scan::<B, true>(text, base, dialect, out),
    }
}

#[inline(always)]
fn scan<B: Block, const ESCAPES: bool>(text: &[u8], base: u32, dialect: &Dialect, out: &mut Vec<u32>) -> Seen {
    let mut seen = Seen::default();
    let mut state = QuoteState { inside: 0, border: 1, closed: 0, return_after_close: 0, escaped: 0 };
    let (blocks, tail) = text.as_chunks::<64>();
    let mut offset = base;
    for bytes in blocks {
        if step::<B, ESCAPES>(bytes, u64::MAX, offset, dialect, &mut state, &mut seen, out) {
            return seen;
        }
        offset = offset.wrapping_add(64);
    }
    if !tail.is_empty() {
        let mut bytes = [0; 64];
        bytes[..tail.len()].copy_from_slice(tail);
        step::<B, ESCAPES>(&bytes, (1 << tail.len()) - 1, offset, dialect, &mut state, &mut seen, out);
    }
    seen
}

/// What one block tells the next. All but `inside` are 0 or 1: a fact about the last byte, or the first that follows.
struct QuoteState {
    /// All ones when the text after the block is inside quotes, else 0.
    inside: u64,
    /// It is a separator outside quotes or a closing quote, so that a quote may follow.
    border: u64,
    /// It is a closing quote.
    closed: u64,
    /// It is a carriage return right after a closing quote.
    return_after_close: u64,
    /// The byte after it is escaped.
    escaped: u64,
}

/// Takes in one block, of which only the bytes of `valid` are text. True when the text is odd.
#[inline(always)]
fn step<B: Block, const ESCAPES: bool>(
    bytes: &[u8; 64],
    valid: u64,
    offset: u32,
    dialect: &Dialect,
    state: &mut QuoteState,
    seen: &mut Seen,
    out: &mut Vec<u32>,
) -> bool {
    let block = B::load(bytes);
    let newlines = block.equal(dialect.line_end().byte()) & valid;
    let either = (block.equal(dialect.delimiter()) & valid) | newlines;
    let mut quotes = dialect.quote().map_or(0, |quote| block.equal(quote)) & valid;
    if ESCAPES && let Some(escape) = dialect.escape() {
        // An escaped quote outside quotes does not count either: the escape byte before it makes it data amid a field.
        quotes &= !escaped(block.equal(escape) & valid, &mut state.escaped);
    }
    let mut separators = either;
    if (quotes | state.inside | state.closed | state.return_after_close) == 0 {
        state.border = either >> 63;
        seen.newlines += newlines.count_ones() as usize;
    } else {
        seen.quotes |= quotes != 0;
        // Bits from each opening quote up to the byte before its closing quote.
        let inside = prefix_xor(quotes) ^ state.inside;
        separators = either & !inside;
        let (opening, closing) = (quotes & inside, quotes & !inside);
        let border = separators | closing;
        let returns = block.equal(b'\r') & valid & !newlines;
        let after_close = (closing << 1) | state.closed;
        let must_be_newline = ((after_close & returns) << 1) | state.return_after_close;
        let odd = (opening & !((border << 1) | state.border))
            | (after_close & !(separators | opening | returns) & valid)
            | (must_be_newline & !newlines & valid);
        if odd != 0 {
            seen.odd = true;
            return true;
        }
        state.inside = ((inside as i64) >> 63) as u64;
        state.border = border >> 63;
        state.closed = closing >> 63;
        state.return_after_close = (after_close & returns) >> 63;
        seen.newlines += (newlines & !inside).count_ones() as usize;
    }
    append::<B>(separators, offset, out);
    false
}

/// Appends `base + i` for every set bit `i`.
#[inline(always)]
fn append<B: Block>(bits: u64, base: u32, out: &mut Vec<u32>) {
    out.reserve(64);
    let length = out.len();
    let count = bits.count_ones() as usize;
    if let Some(slots) = out.spare_capacity_mut().first_chunk_mut::<64>() {
        B::flatten(bits, base, slots);
        // SAFETY: `flatten` has initialised the first `count` ≤ 64 of the spare slots.
        unsafe { out.set_len(length + count) };
    }
}

#[inline(always)]
fn mark<B: Block>(text: &[u8], base: u32, dialect: &Dialect, marks: &mut Marks) {
    let (blocks, tail) = text.as_chunks::<64>();
    let mut offset = base;
    for bytes in blocks {
        mark_block::<B>(bytes, u64::MAX, offset, dialect, marks);
        offset = offset.wrapping_add(64);
    }
    if !tail.is_empty() {
        let mut bytes = [0; 64];
        bytes[..tail.len()].copy_from_slice(tail);
        mark_block::<B>(&bytes, (1 << tail.len()) - 1, offset, dialect, marks);
    }
}

/// One block, of which only the bytes of `valid` are text. A closure in [`mark`] would not have its features.
#[inline(always)]
fn mark_block<B: Block>(bytes: &[u8; 64], valid: u64, offset: u32, dialect: &Dialect, marks: &mut Marks) {
    let block = B::load(bytes);
    let line_ends = block.equal(dialect.line_end().byte()) & valid;
    append::<B>((block.equal(dialect.delimiter()) & valid) | line_ends, offset, &mut marks.separators);
    append::<B>(line_ends, offset, &mut marks.line_ends);
    let quotes = dialect.quote().map_or(0, |quote| block.equal(quote)) & valid;
    if quotes != 0 {
        append::<B>(quotes, offset, &mut marks.quotes);
    }
}

/// The bytes that an escape byte before them makes data, escape bytes included. `carry`: see [`QuoteState::escaped`].
#[inline(always)]
fn escaped(escapes: u64, carry: &mut u64) -> u64 {
    let mut escaped = std::mem::take(carry);
    let mut left = escapes & !escaped;
    while left != 0 {
        let first = left & left.wrapping_neg();
        escaped |= first << 1;
        *carry = first >> 63;
        left &= !(first | first << 1);
    }
    escaped
}

/// Bit `i` of the result is the XOR of bits `0..=i`.
#[inline(always)]
fn prefix_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

mod words {
    /// Eight little-endian words.
    pub(super) struct Words([u64; 8]);

    impl super::Block for Words {
        #[inline(always)]
        fn load(bytes: &[u8; 64]) -> Self {
            let mut words = [0; 8];
            for (word, chunk) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
                *word = u64::from_le_bytes(*chunk);
            }
            Words(words)
        }

        #[inline(always)]
        fn equal(&self, byte: u8) -> u64 {
            const LOW: u64 = 0x7F7F_7F7F_7F7F_7F7F;
            let pattern = u64::from(byte) * 0x0101_0101_0101_0101;
            self.0.iter().rev().fold(0, |mask, word| {
                let differs = word ^ pattern;
                // The high bit of each byte, set where the byte is zero; exact, without carries between bytes.
                let zero = !(((differs & LOW) + LOW) | differs | LOW);
                // Gathers the eight high bits into the top byte.
                (mask << 8) | ((zero >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56)
            })
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Block, Dialect, Marks, MaybeUninit, Seen, mark, scan_any};
    use std::arch::x86_64::*;

    pub(super) struct Sse2([__m128i; 4]);

    impl Block for Sse2 {
        #[inline(always)]
        fn load(bytes: &[u8; 64]) -> Self {
            let from = bytes.as_ptr().cast::<__m128i>();
            // SAFETY: four unaligned loads of 16 bytes from 64 valid bytes; every x86-64 has SSE2.
            Sse2(unsafe { [0, 1, 2, 3].map(|part| _mm_loadu_si128(from.add(part))) })
        }

        #[inline(always)]
        fn equal(&self, byte: u8) -> u64 {
            self.0.iter().rev().fold(0, |mask, &part| {
                // SAFETY: every x86-64 has SSE2.
                let bits = unsafe { _mm_movemask_epi8(_mm_cmpeq_epi8(part, _mm_set1_epi8(byte as i8))) };
                (mask << 16) | u64::from(bits as u16)
            })
        }
    }

    struct Avx2([__m256i; 2]);

    impl Block for Avx2 {
        #[inline(always)]
        fn load(bytes: &[u8; 64]) -> Self {
            let from = bytes.as_ptr().cast::<__m256i>();
            // SAFETY: two unaligned loads of 32 bytes from 64 valid bytes; only `scan_avx2` uses this type.
            Avx2(unsafe { [_mm256_loadu_si256(from), _mm256_loadu_si256(from.add(1))] })
        }

        #[inline(always)]
        fn equal(&self, byte: u8) -> u64 {
            // SAFETY: only `scan_avx2` uses this type.
            let half =
                |part| unsafe { _mm256_movemask_epi8(_mm256_cmpeq_epi8(part, _mm256_set1_epi8(byte as i8))) as u32 };
            u64::from(half(self.0[0])) | u64::from(half(self.0[1])) << 32
        }
    }

    struct Avx512(__m512i);

    impl Block for Avx512 {
        #[inline(always)]
        fn load(bytes: &[u8; 64]) -> Self {
            // SAFETY: one unaligned load of 64 valid bytes; only `scan_avx512` uses this type.
            Avx512(unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) })
        }

        #[inline(always)]
        fn equal(&self, byte: u8) -> u64 {
            // SAFETY: only `scan_avx512` uses this type.
            unsafe { _mm512_cmpeq_epi8_mask(self.0, _mm512_set1_epi8(byte as i8)) }
        }

        #[inline(always)]
        fn flatten(bits: u64, base: u32, out: &mut [MaybeUninit<u32>; 64]) {
            const POSITIONS: [u8; 64] = {
                let mut positions = [0; 64];
                let mut at = 0;
                while at < 64 {
                    positions[at] = at as u8;
                    at += 1;
                }
                positions
            };
            let count = bits.count_ones();
            // SAFETY: only `scan_avx512` uses this type; each store covers 16 of the 64 slots.
            unsafe {
                let packed = _mm512_maskz_compress_epi8(bits, _mm512_loadu_si512(POSITIONS.as_ptr().cast()));
                let base = _mm512_set1_epi32(base as i32);
                let to = out.as_mut_ptr().cast::<__m512i>();
                let widened = |part| _mm512_add_epi32(base, _mm512_cvtepu8_epi32(part));
                _mm512_storeu_si512(to, widened(_mm512_castsi512_si128(packed)));
                if count > 16 {
                    _mm512_storeu_si512(to.add(1), widened(_mm512_extracti32x4_epi32::<1>(packed)));
                }
                if count > 32 {
                    _mm512_storeu_si512(to.add(2), widened(_mm512_extracti32x4_epi32::<2>(packed)));
                    _mm512_storeu_si512(to.add(3), widened(_mm512_extracti32x4_epi32::<3>(packed)));
                }
            }
        }
    }

    /// # Safety
    /// The machine must have the features.
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
    pub(super) unsafe fn scan_avx2(text: &[u8], base: u32, dialect: &Dialect, out: &mut Vec<u32>) -> Seen {
        scan_any::<Avx2>(text, base, dialect, out)
    }

    /// # Safety
    /// The machine must have the features.
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,avx512f,avx512bw,avx512vbmi2")]
    pub(super) unsafe fn scan_avx512(text: &[u8], base: u32, dialect: &Dialect, out: &mut Vec<u32>) -> Seen {
        scan_any::<Avx512>(text, base, dialect, out)
    }

    /// # Safety
    /// The machine must have the features.
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
    pub(super) unsafe fn mark_avx2(text: &[u8], base: u32, dialect: &Dialect, marks: &mut Marks) {
        mark::<Avx2>(text, base, dialect, marks);
    }

    /// # Safety
    /// The machine must have the features.
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,avx512f,avx512bw,avx512vbmi2")]
    pub(super) unsafe fn mark_avx512(text: &[u8], base: u32, dialect: &Dialect, marks: &mut Marks) {
        mark::<Avx512>(text, base, dialect, marks);
    }
}
