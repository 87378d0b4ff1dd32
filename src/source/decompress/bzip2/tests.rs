//! The `bzip2` crate is the slow twin.

use super::magic::find_block_magics;
use super::{Bzip2Stream, KeptBlocks};
use crate::error::{Error, ErrorKind, Result};
use crate::source::decompress::{Next, Piece, Scratch, TextStream};
use crate::source::input::{InputCounters, InputFile};
use ::bzip2::Compression;
use proptest::prelude::*;
use std::io::{Read, Write};
use std::sync::Arc;

fn compress(text: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = ::bzip2::write::BzEncoder::new(vec![], Compression::new(level));
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn random(length: usize, values: u32, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 12) % values) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn csv(rows: usize) -> Vec<u8> {
    let mut text = b"Year,Month,DepTime,Carrier,Tail,Delay\n".to_vec();
    let mut state = 1u32;
    for row in 0..rows {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let s = state >> 8;
        writeln!(
            text,
            "1987,{},{},{},N{},{}",
            row % 12 + 1,
            s % 2400,
            ["AA", "UA", "WN"][(s % 3) as usize],
            s % 900,
            s % 90
        )
        .unwrap();
    }
    text
}

struct Stored {
    _file: tempfile::NamedTempFile,
    input: Arc<InputFile>,
    stream: Bzip2Stream,
}

fn stored(bytes: &[u8]) -> Stored {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let counters = Arc::new(InputCounters::default());
    let input = Arc::new(InputFile::open(file.path(), &counters).unwrap());
    let stream = Bzip2Stream::new(Arc::clone(&input), Arc::new(KeptBlocks::new(counters))).unwrap();
    Stored { _file: file, input, stream }
}

/// Reads all pieces first and confirms them in order afterwards; the text up to the first error, and that error.
fn read_pieces(stored: &Stored) -> (Vec<u8>, Result<Option<String>, Error>) {
    let mut scratch = Scratch::default();
    let mut pieces: Vec<Piece> = vec![];
    while let Next::Piece(piece) = stored.stream.next(&mut scratch, true).unwrap() {
        assert_eq!(piece.ordinal, pieces.len() as u64);
        pieces.push(piece);
    }
    let mut text = vec![];
    for piece in &mut pieces {
        let outcome = stored.stream.confirm(piece);
        text.extend_from_slice(&piece.text);
        if let Err(error) = outcome {
            return (text, Err(error));
        }
    }
    (text, stored.stream.finish())
}

fn decode(bytes: &[u8]) -> (Vec<u8>, Result<Option<String>, Error>) {
    read_pieces(&stored(bytes))
}

fn assert_located(error: &Error, bytes: &[u8]) {
    assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
    assert!(error.place().file.is_some(), "{error}");
    assert!(error.place().byte.is_some_and(|at| at <= bytes.len() as u64), "{error}");
}

#[test]
fn text_of_every_nature_and_level_comes_back() {
    let mut fibonacci = (b"a".to_vec(), b"ab".to_vec());
    while fibonacci.1.len() < 300_000 {
        fibonacci = (fibonacci.1.clone(), [fibonacci.1, fibonacci.0].concat());
    }
    let texts = [
        vec![],
        b"x".to_vec(),
        b"aaaa".to_vec(),
        vec![b'a'; 1_000_003],
        b"abcabcabc".repeat(50_000),
        random(950_000, 256, 1),
        random(400_000, 2, 2),
        random(300_000, 5, 3),
        (0..=255).cycle().take(300_000).collect(),
        fibonacci.1,
        csv(60_000),
    ];
    for (nature, text) in texts.iter().enumerate() {
        for level in if text.len() < 100 { 1..=9 } else { 1 + nature as u32 % 2 * 8..=1 + nature as u32 % 2 * 8 } {
            let (back, outcome) = decode(&compress(text, level));
            assert!(back == *text, "nature {nature} level {level}: {outcome:?}");
            assert_eq!(outcome.unwrap(), None);
        }
    }
}

#[test]
fn every_level_gives_blocks_of_its_size() {
    let text = random(1_900_000, 64, 7);
    for level in 1..=9 {
        let bytes = compress(&text, level);
        let stored = stored(&bytes);
        let (back, outcome) = read_pieces(&stored);
        assert!(back == text && outcome.unwrap().is_none(), "level {level}");
        let read = stored.input.counters().bytes_read() as usize;
        assert!(read <= bytes.len() + bytes.len() / 50 + 200, "read {read} of {}", bytes.len());
    }
}

#[test]
fn one_block_that_expands_beyond_forty_five_megabytes_comes_back() {
    let text = vec![b'z'; 46_600_000];
    let bytes = compress(&text, 9);
    let (back, outcome) = decode(&bytes);
    assert!(back == text && outcome.unwrap().is_none());
}

#[test]
fn concatenated_and_empty_streams_are_one_text() {
    let (one, two, empty) = (csv(3000), random(250_000, 9, 4), compress(b"", 9));
    let bytes = [&empty[..], &compress(&one, 1), &empty, &empty, &compress(&two, 2), &empty].concat();
    let (back, outcome) = decode(&bytes);
    assert!(back == [one, two].concat());
    assert_eq!(outcome.unwrap(), None);
    assert_eq!(decode(&empty).0, b"");
    assert_eq!(decode(&empty).1.unwrap(), None);
}

#[test]
fn stored_bytes_of_all_pieces_are_the_file_and_positions_ascend() {
    let bytes = compress(&random(1_200_000, 200, 8), 1);
    let stored = stored(&bytes);
    let mut scratch = Scratch::default();
    let (mut sum, mut positions) = (0, vec![]);
    while let Next::Piece(piece) = stored.stream.next(&mut scratch, true).unwrap() {
        sum += piece.stored_bytes;
        positions.push(piece.cells[0].base);
    }
    assert_eq!(sum, bytes.len() as u64);
    assert!(positions.is_sorted() && positions.len() == 13);
    assert_eq!(positions[0], 4 << 26);
}

#[test]
fn any_flipped_bit_gives_an_error_and_never_wrong_text() {
    let text = csv(24);
    let bytes = [compress(&text[..300], 9), compress(&text[300..], 1)].concat();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let (back, outcome) = decode(&flipped);
        match outcome {
            Err(error) => {
                // One of the bits says that the block is of an obsolete kind.
                if error.kind() != ErrorKind::Unsupported {
                    assert_located(&error, &flipped);
                }
                assert!(text.starts_with(&back), "bit {bit}: text before the damage is right");
            }
            // Levels and padding may differ without a difference in meaning.
            Ok(warning) => assert!(back == text && warning.is_none(), "bit {bit}: {warning:?}"),
        }
    }
}

#[test]
fn a_flipped_bit_of_the_stream_checksum_is_an_error() {
    let bytes = compress(&csv(20), 9);
    let end = |at: &u64| super::magic::bits48(&bytes, *at) == Some(super::magic::END_MAGIC);
    let end = (0..=bytes.len() as u64 * 8 - 80).rev().find(end).unwrap();
    for bit in end + 48..end + 80 {
        let mut flipped = bytes.clone();
        flipped[(bit / 8) as usize] ^= 0x80 >> (bit % 8);
        let error = decode(&flipped).1.unwrap_err();
        assert_located(&error, &flipped);
        assert!(error.message().contains("checksum of the bzip2 stream"));
    }
}

#[test]
fn truncation_at_any_byte_is_an_error() {
    let text = csv(40);
    let first = compress(&text[..400], 9);
    let bytes = [&first[..], &compress(&text[400..], 9)].concat();
    for length in 1..bytes.len() {
        let (back, outcome) = decode(&bytes[..length]);
        if length == first.len() {
            assert_eq!((back.len(), outcome.unwrap()), (400, None));
            continue;
        }
        assert!(text.starts_with(&back));
        assert_located(&outcome.expect_err("a cut file is an error"), &bytes);
    }
}

#[test]
fn truncation_between_and_inside_blocks_is_an_error() {
    let text = random(350_000, 30, 5);
    let bytes = compress(&text, 1);
    let mut magics = vec![];
    find_block_magics(&bytes, &mut magics);
    assert_eq!(magics.len(), 4);
    for magic in magics {
        for length in (magic / 8).saturating_sub(3).max(1)..magic / 8 + 12 {
            let (back, outcome) = decode(&bytes[..length as usize]);
            assert!(text.starts_with(&back));
            assert_located(&outcome.unwrap_err(), &bytes);
        }
    }
}

#[test]
fn garbage_after_the_last_stream_is_a_warning_but_a_lost_stream_is_an_error() {
    let text = csv(100);
    let good = compress(&text, 9);
    for garbage in [&b"\0"[..], b"hello, this is not bzip2", &[0; 5000], b"\n"] {
        let (back, outcome) = decode(&[&good[..], garbage].concat());
        assert_eq!(back, text);
        assert!(outcome.unwrap().unwrap().contains(&format!("{} bytes after", garbage.len())));
    }
    let lost = [&good[..], b"????", &good[4..]].concat();
    assert_located(&decode(&lost).1.unwrap_err(), &lost);
    for cut in [&b"B"[..], b"BZ", b"BZh", b"BZh9", b"BZh91A"] {
        let (_, outcome) = decode(&[&good[..], cut].concat());
        outcome.expect_err("a cut stream is an error");
    }
}

/// A block with a whole block magic inside: selectors beyond the largest useful number are ignored, and some of them
/// spell it.
fn block_with_false_magic(text: &[u8]) -> Vec<u8> {
    let bytes = compress(text, 9);
    let bit = |at: usize| bytes[at / 8] >> (7 - at % 8) & 1;
    let mut bits: Vec<u8> = vec![];
    // Header, magic, checksum, flags, origin and symbol map stay.
    let map = 32 + 48 + 32 + 1 + 24;
    let groups = (map..map + 16).filter(|&at| bit(at) == 1).count();
    let selectors_at = map + 16 + 16 * groups + 3;
    let number = |from: usize, count: usize| (from..from + count).fold(0, |sum, at| sum << 1 | usize::from(bit(at)));
    let count = number(selectors_at, 15);
    let mut after = selectors_at + 15;
    for _ in 0..count {
        while bit(after) == 1 {
            after += 1;
        }
        after += 1;
    }
    bits.extend((0..selectors_at).map(bit));
    let magic: Vec<u8> = (0..48).rev().map(|at| (super::magic::BLOCK_MAGIC >> at & 1) as u8).collect();
    let spelled = magic.iter().filter(|&&bit| bit == 0).count() + 1;
    let total = 18_002 + spelled;
    bits.extend((0..15).rev().map(|at| (total >> at & 1) as u8));
    bits.extend((selectors_at + 15..after).map(bit));
    bits.resize(bits.len() + 18_002 - count, 0);
    bits.extend(magic);
    bits.push(0);
    let end = bytes.len() * 8 - 80 - 7;
    let end = (end..end + 8).find(|&at| number(at, 48) as u64 == super::magic::END_MAGIC).unwrap();
    bits.extend((after..end + 80).map(bit));
    bits.resize(bits.len().next_multiple_of(8), 0);
    bits.chunks(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | bit)).collect()
}

#[test]
fn a_false_magic_inside_a_block_costs_time_but_no_text() {
    // Six codes are needed to spell the magic, so the text must be long enough for that.
    let text = csv(3000);
    let bytes = block_with_false_magic(&text);
    let mut magics = vec![];
    find_block_magics(&bytes, &mut magics);
    assert_eq!(magics.len(), 2, "the false one is there");
    let (back, outcome) = decode(&[&bytes[..], &compress(b"end", 1)].concat());
    assert_eq!(outcome.unwrap(), None);
    assert!(back == [&text[..], b"end"].concat());
    let (_, outcome) = decode(&bytes[..bytes.len() - 20]);
    assert_located(&outcome.unwrap_err(), &bytes);
}

#[test]
fn a_randomised_block_is_refused_by_name() {
    let mut bytes = compress(&csv(100), 9);
    bytes[14] |= 0x80;
    let error = decode(&bytes).1.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("randomised"));
}

#[test]
fn workers_in_any_order_give_the_same_text() {
    let text = random(2_000_000, 50, 11);
    let bytes = compress(&text, 1);
    for workers in 1..=3 {
        let stored = stored(&bytes);
        let pieces = std::sync::Mutex::new(vec![]);
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    let mut scratch = Scratch::default();
                    while let Next::Piece(piece) = stored.stream.next(&mut scratch, true).unwrap() {
                        pieces.lock().unwrap().push(piece);
                    }
                });
            }
        });
        let mut pieces = pieces.into_inner().unwrap();
        pieces.sort_by_key(|piece| piece.ordinal);
        let mut back = vec![];
        for piece in &mut pieces {
            assert!(!stored.stream.confirm(piece).unwrap());
            back.extend_from_slice(&piece.text);
        }
        assert!(back == text && stored.stream.finish().unwrap().is_none());
    }
}

fn any_text() -> impl Strategy<Value = Vec<u8>> {
    let row = (any::<u8>(), prop_oneof![Just(1usize), 1usize..12, 250usize..600]);
    let rows = prop::collection::vec(row, 0..200);
    (rows, 1usize..4, 1u32..256).prop_map(|(rows, times, values)| {
        let one: Vec<u8> = rows.iter().flat_map(|&(byte, n)| vec![(u32::from(byte) % values) as u8; n]).collect();
        one.repeat(times)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn decoding_equals_the_bzip2_crate(texts in prop::collection::vec(any_text(), 1..4), level in 1u32..10) {
        let bytes: Vec<u8> = texts.iter().flat_map(|text| compress(text, level)).collect();
        let mut twin = vec![];
        ::bzip2::read::MultiBzDecoder::new(&bytes[..]).read_to_end(&mut twin).unwrap();
        let (back, outcome) = decode(&bytes);
        prop_assert_eq!(outcome.unwrap(), None);
        prop_assert!(back == twin);
    }

    #[test]
    fn noise_behind_a_valid_beginning_never_panics(text in any_text(), noise in any::<u32>(), from in 0.0..1.0) {
        let mut bytes = compress(&text, 9);
        let from = (bytes.len() as f64 * from) as usize;
        for (byte, other) in bytes[from..].iter_mut().zip(random(16 << 10, 256, noise)) {
            *byte = other;
        }
        let (back, outcome) = decode(&bytes);
        prop_assert!(text.starts_with(&back));
        prop_assert!(outcome.is_err() || back == text);
    }
}
