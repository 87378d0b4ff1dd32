//! Compressions in each other, and encodings above them.

use super::{Format, InvalidText, Next, Scratch, TextFile, TextOptions, TextStream};
use crate::error::{Error, ErrorKind};
use crate::source::input::InputCounters;
use encoding_rs::{ISO_2022_JP, UTF_16BE, UTF_16LE};
use std::io::Write;
use std::sync::{Arc, Mutex};

type Pack = fn(&[u8]) -> Vec<u8>;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(text: &[u8]) -> Vec<u8> {
    let mut encoder = ::bzip2::write::BzEncoder::new(vec![], ::bzip2::Compression::new(1));
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    let mut encoder = ::zstd::stream::write::Encoder::new(vec![], 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn as_is(text: &[u8]) -> Vec<u8> {
    text.to_vec()
}

/// Text that does not compress to nothing.
fn text(bytes: usize) -> String {
    let mut state = 5u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ',', '\n', 'é', 'ß', '€', '😀'][(state >> 28) as usize]
    };
    let mut text = "name,Wert\n".to_owned();
    while text.len() < bytes {
        text.push(next());
    }
    text
}

fn utf_16(text: &str, mark: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    format!("{mark}{text}").encode_utf16().flat_map(bytes).collect()
}

fn open(bytes: &[u8], options: TextOptions) -> Result<(tempfile::NamedTempFile, TextFile), Error> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let opened = TextFile::open_with(file.path(), &Arc::new(InputCounters::default()), options)?;
    Ok((file, opened))
}

/// All text, read by so many threads that take pieces as they come; positions must ascend without gaps.
fn read(stream: &dyn TextStream, threads: usize) -> (Vec<u8>, Result<Option<String>, Error>) {
    let pieces = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut scratch = Scratch::default();
                loop {
                    match stream.next(&mut scratch, true).unwrap() {
                        Next::Piece(piece) => pieces.lock().unwrap().push(piece),
                        Next::Busy => std::thread::yield_now(),
                        Next::End => break,
                    }
                }
            });
        }
    });
    let mut pieces = pieces.into_inner().unwrap();
    pieces.sort_by_key(|piece| piece.ordinal);
    let (mut text, mut last) = (vec![], None);
    for (ordinal, mut piece) in pieces.into_iter().enumerate() {
        assert_eq!(piece.ordinal, ordinal as u64);
        let confirmed = stream.confirm(&mut piece);
        if !piece.text.is_empty() {
            assert!(Some(piece.cells[0].base) > last || ordinal == 0, "positions ascend");
            last = Some(piece.cells[0].base);
        }
        text.extend_from_slice(&piece.text);
        if let Err(error) = confirmed {
            return (text, Err(error));
        }
    }
    (text, stream.finish())
}

fn decode(bytes: &[u8], options: TextOptions, piece_bytes: usize, threads: usize) -> (Vec<u8>, Option<String>) {
    let (_file, opened) = open(bytes, options).unwrap();
    let samples = opened.samples(5000).unwrap();
    for _pass in 0..2 {
        let (back, outcome) = read(&*opened.open_stream(piece_bytes).unwrap(), threads);
        assert!(back.starts_with(&samples[0].text));
        if _pass == 1 {
            return (back, outcome.unwrap());
        }
    }
    unreachable!("two passes")
}

#[test]
fn compressions_in_each_other_are_one_text_in_every_pass() {
    let plain = text(400_000);
    let packs: [(Pack, Format); 3] = [(gzip, Format::Gzip), (bzip2, Format::Bzip2), (zstd, Format::Zstd)];
    for (inner, format) in packs {
        for (outer, _) in packs {
            let bytes = outer(&inner(plain.as_bytes()));
            let (_file, opened) = open(&bytes, TextOptions::default()).unwrap();
            assert_eq!((opened.format(), opened.input().length()), (format, bytes.len() as u64));
            for threads in [1, 3] {
                let (back, warning) = decode(&bytes, TextOptions::default(), 10_000, threads);
                assert!(back == plain.as_bytes());
                assert_eq!(warning, None);
            }
        }
    }
    let thrice = gzip(&zstd(&bzip2(plain.as_bytes())));
    assert!(decode(&thrice, TextOptions::default(), 10_000, 2).0 == plain.as_bytes());
}

#[test]
fn a_fourth_compression_and_archives_inside_are_refused() {
    let error = open(&gzip(&gzip(&gzip(&gzip(b"a\n")))), TextOptions::default()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Limit);
    let mut tar = vec![0; 1024];
    tar[257..263].copy_from_slice(b"ustar\0");
    for bytes in [tar.clone(), gzip(&tar), bzip2(&zstd(&tar))] {
        let error = open(&bytes, TextOptions::default()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("tar archive") && error.place().file.is_some(), "{error}");
    }
    let error = open(&gzip(b"PK\x03\x04rest"), TextOptions::default()).err().unwrap();
    assert!(error.message().contains("Gzip") && error.message().contains("zip archive"), "{error}");
}

#[test]
fn what_follows_the_last_member_of_any_layer_is_told_of() {
    let plain = text(50_000);
    let garbage = b"garbage after the end";
    let inner = [&gzip(plain.as_bytes())[..], garbage].concat();
    let outer = [&bzip2(&inner)[..], garbage].concat();
    let (back, warning) = decode(&outer, TextOptions::default(), 1000, 2);
    assert!(back == plain.as_bytes());
    let warning = warning.unwrap();
    assert!(warning.contains("gzip member") && warning.contains("bzip2 stream"), "{warning}");
}

#[test]
fn damage_of_either_layer_is_an_error_with_its_place() {
    let plain = text(300_000);
    let packs: [Pack; 3] = [gzip, bzip2, zstd];
    for inner in packs {
        for outer in packs {
            let stored = outer(&inner(plain.as_bytes()));
            for cut in [stored.len() / 2, stored.len() * 9 / 10, stored.len() - 1] {
                check_damaged(&stored[..cut], &plain, "outer layer cut");
            }
            let mut flipped = stored.clone();
            flipped[stored.len() / 2] ^= 0x10;
            check_damaged(&flipped, &plain, "outer layer flipped");
            let text = inner(plain.as_bytes());
            check_damaged(&outer(&text[..text.len() * 2 / 3]), &plain, "inner layer cut");
        }
    }
}

fn check_damaged(stored: &[u8], plain: &str, what: &str) {
    let outcome = open(stored, TextOptions::default()).and_then(|(_file, opened)| {
        opened.samples(1000)?;
        let (back, outcome) = read(&*opened.open_stream(5000)?, 2);
        // What a flipped bit makes of a stored byte is known at the checksum behind it only.
        assert!(what.ends_with("flipped") || plain.as_bytes().starts_with(&back), "{what}");
        outcome
    });
    match outcome {
        Err(error) => {
            let place = error.place();
            assert!(error.kind() == ErrorKind::Malformed && place.file.is_some() && place.byte.is_some(), "{error}");
        }
        Ok(_) => panic!("{what} was not seen"),
    }
}

#[test]
fn utf_16_reads_as_its_utf_8_twin_whatever_the_pieces_and_threads() {
    let plain = text(200_000);
    let twins = [
        (utf_16(&plain, "\u{FEFF}", u16::to_le_bytes), None),
        (utf_16(&plain, "\u{FEFF}", u16::to_be_bytes), None),
        (utf_16(&plain, "\u{FEFF}", u16::to_be_bytes), Some(UTF_16LE)),
        (utf_16(&plain, "", u16::to_le_bytes), Some(UTF_16LE)),
        (utf_16(&plain, "", u16::to_be_bytes), Some(UTF_16BE)),
    ];
    for (stored, encoding) in twins {
        for pack in [as_is as Pack, gzip, bzip2, |text| bzip2(&gzip(text))] {
            let bytes = pack(&stored);
            for (piece_bytes, threads) in [(1001, 1), (4096, 3), (1 << 20, 2)] {
                let options = TextOptions { encoding, ..TextOptions::default() };
                let (back, warning) = decode(&bytes, options, piece_bytes, threads);
                assert!(back == plain.as_bytes());
                assert_eq!(warning, None);
            }
        }
    }
    assert!(decode(&utf_16("a,b\n1,2\n", "", u16::to_le_bytes), TextOptions::default(), 3, 1).0 == b"a,b\n1,2\n");
}

#[test]
fn an_encoding_with_shifts_is_read_by_its_label() {
    let plain = "都市,人口\n東京,14000000\n".repeat(500);
    let (stored, _, _) = ISO_2022_JP.encode(&plain);
    let options = TextOptions { encoding: Some(ISO_2022_JP), ..TextOptions::default() };
    for piece_bytes in [1, 7, 1000] {
        assert!(decode(&stored, options, piece_bytes, 2).0 == plain.as_bytes());
    }
}

#[test]
fn invalid_utf_16_is_replaced_and_counted_or_located_where_it_was_declared() {
    // A lone surrogate in the second line, and half a unit at the end.
    let mut stored = utf_16("a\nb", "", u16::to_le_bytes);
    stored.extend([0, 0xD8]);
    stored.extend(utf_16("c\n", "", u16::to_le_bytes));
    stored.push(b'x');
    let mut marked = vec![0xFF, 0xFE];
    marked.extend(&stored);
    for piece_bytes in [1, 5, 100] {
        let (back, warning) = decode(&marked, TextOptions::default(), piece_bytes, 1);
        assert_eq!(String::from_utf8(back).unwrap(), "a\nb\u{FFFD}c\n\u{FFFD}");
        assert!(warning.unwrap().contains("2 sequences"));
        let options = TextOptions { encoding: Some(UTF_16LE), invalid: InvalidText::AsDeclared };
        let (_file, opened) = open(&stored, options).unwrap();
        let (back, outcome) = read(&*opened.open_stream(piece_bytes).unwrap(), 2);
        let error = outcome.unwrap_err();
        assert_eq!((&back[..], error.place().line, error.place().byte), (&b"a\nb"[..], Some(2), Some(6)));
        let options = TextOptions { encoding: Some(UTF_16LE), invalid: InvalidText::Replace };
        assert!(decode(&stored, options, piece_bytes, 2).1.is_some());
    }
}
