//! Every format through the same door.

use super::{Format, Next, Scratch, TextFile, TextStream};
use crate::error::{Error, ErrorKind};
use crate::source::input::{DEFAULT_CACHE_BYTES, InputCounters};
use std::io::Write;
use std::sync::Arc;

pub(super) fn text(length: usize) -> Vec<u8> {
    let mut state = 3u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b"0123456789,\nABCD"[(state >> 28) as usize]
    };
    (0..length).map(|_| next()).collect()
}

pub(super) fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(text: &[u8]) -> Vec<u8> {
    let mut encoder = ::zstd::stream::write::Encoder::new(vec![], 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn bzip2(text: &[u8]) -> Vec<u8> {
    let mut encoder = ::bzip2::write::BzEncoder::new(vec![], ::bzip2::Compression::new(1));
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn xz(text: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(vec![], 1);
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn lz4(text: &[u8]) -> Vec<u8> {
    let info = lz4_flex::frame::FrameInfo::new().content_checksum(true).block_size(lz4_flex::frame::BlockSize::Max64KB);
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, vec![]);
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

pub(super) type Pack = fn(&[u8]) -> Vec<u8>;

/// Formats that have units one after another, by name.
pub(super) const SEQUENTIAL: [(Pack, &str); 4] = [(gzip, "gzip"), (zstd, "zstd"), (xz, "xz"), (lz4, "lz4")];

pub(super) struct Stored {
    _file: tempfile::NamedTempFile,
    pub(super) counters: Arc<InputCounters>,
    pub(super) text_file: TextFile,
}

pub(super) fn stored(bytes: &[u8]) -> Stored {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let counters = Arc::new(InputCounters::default());
    let text_file = TextFile::open(file.path(), &counters).unwrap();
    Stored { _file: file, counters, text_file }
}

pub(super) fn read(stream: &dyn TextStream, stored_length: u64) -> (Vec<u8>, Result<Option<String>, Error>) {
    let (mut scratch, mut text, mut stored_bytes, mut ordinal) = (Scratch::default(), vec![], 0, 0);
    loop {
        match stream.next(&mut scratch, true) {
            Ok(Next::Piece(mut piece)) => {
                assert_eq!(piece.ordinal, ordinal);
                ordinal += 1;
                stored_bytes += piece.stored_bytes;
                let confirmed = stream.confirm(&mut piece);
                text.extend_from_slice(&piece.text);
                if let Err(error) = confirmed {
                    return (text, Err(error));
                }
                scratch.spare_text.push(piece.text);
            }
            Ok(_) => break,
            Err(error) => return (text, Err(error)),
        }
    }
    assert!(stored_bytes <= stored_length);
    (text, stream.finish())
}

pub(super) fn decode(bytes: &[u8]) -> (Vec<u8>, Result<Option<String>, Error>) {
    read(&*stored(bytes).text_file.open_stream(1000).unwrap(), bytes.len() as u64)
}

#[test]
fn members_and_frames_in_any_number_are_one_text() {
    let (one, two) = (text(100_000), text(777));
    for pack in [|text: &[u8]| text.to_vec(), gzip, zstd, bzip2, xz, lz4] {
        for parts in [&[][..], &[&one[..]], &[&one, &two], &[&two, b"", &one, b""]] {
            let bytes: Vec<u8> = parts.iter().flat_map(|part| pack(part)).collect();
            let (back, outcome) = decode(&bytes);
            assert!(back == parts.concat());
            assert_eq!(outcome.unwrap(), None);
        }
    }
    let skippable = [&b"\x50\x2a\x4d\x18\x03\0\0\0abc"[..], &zstd(&two), b"\x5f\x2a\x4d\x18\0\0\0\0"].concat();
    assert_eq!(decode(&skippable).0, two);
}

#[test]
fn positions_are_offsets_in_the_text() {
    for pack in [|text: &[u8]| text.to_vec(), gzip, zstd, xz, lz4] {
        let stored = stored(&pack(&text(3500)));
        let stream = stored.text_file.open_stream(1000).unwrap();
        let (mut scratch, mut bases) = (Scratch::default(), vec![]);
        while let Next::Piece(piece) = stream.next(&mut scratch, false).unwrap() {
            bases.push((piece.cells[0].base, piece.text.len()));
        }
        assert_eq!(bases, [(0, 1000), (1000, 1000), (2000, 1000), (3000, 500)]);
    }
}

#[test]
fn cut_or_flipped_files_give_an_error_with_its_place_and_never_wrong_text() {
    let (one, two) = (text(150), text(60));
    let all = [&one[..], &two].concat();
    for (pack, format) in SEQUENTIAL {
        let magic_bytes = if format == "xz" { 6 } else { 4 };
        let first = pack(&one).len();
        let bytes = [pack(&one), pack(&two)].concat();
        // One or no byte of the magic is not enough to tell the format.
        for length in magic_bytes..bytes.len() {
            let (back, outcome) = decode(&bytes[..length]);
            assert!(all.starts_with(&back));
            if length == first {
                outcome.unwrap();
                continue;
            }
            let error = outcome.expect_err("a cut file is an error");
            assert_eq!(error.kind(), ErrorKind::Malformed);
            assert!(error.place().file.is_some() && error.place().byte.is_some() && error.message().contains(format));
        }
        for bit in magic_bytes * 8..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let (back, outcome) = decode(&flipped);
            // Time stamps and the like carry no text; everything else shows at the latest in the checksum.
            assert!(outcome.is_err() || back == all, "{format} bit {bit}");
        }
    }
}

#[test]
fn garbage_behind_xz_and_lz4_is_a_warning_unless_it_may_be_damaged_data() {
    for (pack, format, near) in
        [(xz as Pack, "xz stream", &b"\xfd7zXY\0...."[..]), (lz4, "lz4 frame", b"\x04\x22\x4c\x18....")]
    {
        let good = pack(&text(500));
        for garbage in [&b"garbage"[..], b"\n", b"\0\0\0", &[7; 300_000]] {
            let (back, outcome) = decode(&[&good[..], garbage].concat());
            assert_eq!(back, text(500));
            let due = format!("{} bytes after the last {format}, from byte {} on", garbage.len(), good.len());
            assert!(outcome.unwrap().unwrap().contains(&due));
        }
        for lost in [near, &good[..3], &[b"garbage ", &good[..]].concat()] {
            let (back, outcome) = decode(&[&good[..], lost].concat());
            assert_eq!(back, text(500));
            assert!(outcome.unwrap_err().place().byte >= Some(good.len() as u64), "{lost:?}");
        }
    }
    // Padding of xz is of whole fours.
    assert_eq!(decode(&[xz(&text(500)), vec![0; 4000], xz(&text(7)), vec![0; 8]].concat()).1.unwrap(), None);
}

#[test]
fn padding_is_silent_and_garbage_behind_gzip_is_a_warning() {
    let good = gzip(&text(500));
    assert_eq!(decode(&[&good[..], &[0; 3000]].concat()).1.unwrap(), None);
    let (back, outcome) = decode(&[&good[..], b"\0garbage\0\0"].concat());
    assert_eq!(back, text(500));
    assert!(outcome.unwrap().unwrap().contains("8 bytes after the last gzip member"));
    for lost in [&b"\x1f"[..], b"\x1f\x8b", b"\x1f\x8a\x08\0", b"xx\x1f\x8b\x08\0\0"] {
        decode(&[&good[..], lost].concat()).1.expect_err("what may be a damaged member is not garbage");
    }
}

#[test]
fn garbage_behind_zstd_is_a_warning_unless_it_may_be_a_damaged_frame() {
    let good = zstd(&text(500));
    for (garbage, count) in [(&b"garbage"[..], 7), (&[0; 3000], 3000), (b"\n", 1), (b"P.", 2), (&[7; 300_000], 300_000)]
    {
        let (back, outcome) = decode(&[&good[..], garbage].concat());
        assert_eq!(back, text(500));
        let warning = outcome.unwrap().unwrap();
        assert!(warning.contains(&format!("{count} bytes after the last zstd frame, from byte {} on", good.len())));
    }
    let frame_behind_garbage = [&[7; (64 << 10) - 2], &good[..]].concat();
    let lost =
        [b"\x28", &b"\x28\xb5\x2f"[..], b"\x28\xb5\x2f\xfe..", b"\x28\xb4\x2f\xfc", b"\x5a\x2a\x4d\x19", b"\x5a\x2a"];
    for lost in lost.into_iter().chain([&frame_behind_garbage[..]]) {
        let (back, outcome) = decode(&[&good[..], lost].concat());
        assert_eq!(back, text(500));
        let error = outcome.expect_err("what may be a damaged frame is not garbage");
        assert!(error.message().contains("zstd") && error.place().byte >= Some(good.len() as u64));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn no_file_stays_open_after_sampling_or_after_a_pass() {
    let folder = tempfile::tempdir().unwrap();
    let open_files = || {
        let handles = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        handles.filter_map(|handle| std::fs::read_link(handle.path()).ok()).filter(|to| to.starts_with(&folder)).count()
    };
    let counters = Arc::default();
    for pack in [|text: &[u8]| text.to_vec(), gzip, zstd, bzip2, xz, lz4] {
        // One that is kept whole by sampling, and one that is sampled in the middle too.
        for length in [1000, 12 << 20] {
            let path = folder.path().join("file");
            std::fs::write(&path, pack(&text(length))).unwrap();
            let text_file = TextFile::open(&path, &counters).unwrap();
            assert_eq!(open_files(), 0);
            text_file.samples(64 << 10).unwrap();
            assert_eq!(open_files(), 0);
            let stream = text_file.open_stream(1 << 20).unwrap();
            let (mut scratch, mut most_open) = (Scratch::default(), 0);
            while let Next::Piece(mut piece) = stream.next(&mut scratch, true).unwrap() {
                most_open = most_open.max(open_files());
                stream.confirm(&mut piece).unwrap();
                scratch.spare_text.push(piece.text);
            }
            stream.finish().unwrap();
            assert_eq!((most_open, open_files()), (usize::from(length > 1000), 0));
            let abandoned = text_file.open_stream(100).unwrap();
            abandoned.next(&mut scratch, true).unwrap();
            drop(abandoned);
            assert_eq!(open_files(), 0);
        }
    }
}

#[test]
fn other_workers_are_told_that_the_sequential_decoder_is_busy() {
    let stored = stored(&gzip(&text(400_000)));
    let stream = stored.text_file.open_stream(1000).unwrap();
    let pieces = std::sync::Mutex::new(vec![]);
    std::thread::scope(|scope| {
        for wait in [false, true, false] {
            let (stream, pieces) = (&stream, &pieces);
            scope.spawn(move || {
                let mut scratch = Scratch::default();
                loop {
                    match stream.next(&mut scratch, wait).unwrap() {
                        Next::Piece(piece) => pieces.lock().unwrap().push(piece),
                        Next::Busy => assert!(!wait),
                        Next::End => break,
                    }
                }
            });
        }
    });
    let mut pieces = pieces.into_inner().unwrap();
    pieces.sort_by_key(|piece| piece.ordinal);
    assert!(pieces.iter().map(|piece| &piece.text[..]).collect::<Vec<_>>().concat() == text(400_000));
}

#[test]
fn sampling_and_then_reading_fetches_every_byte_once() {
    let text = text(900_000);
    for pack in [|text: &[u8]| text.to_vec(), gzip, zstd, bzip2, xz, lz4] {
        let bytes = pack(&text);
        let stored = stored(&bytes);
        let sample = stored.text_file.sample_head(150_000).unwrap();
        assert!(sample.text.len() >= 150_000 && text.starts_with(&sample.text) && !sample.is_end);
        let (back, outcome) = read(&*stored.text_file.open_stream(1 << 20).unwrap(), bytes.len() as u64);
        assert!(back == text && outcome.unwrap().is_none());
        let read_bytes = stored.counters.bytes_read();
        assert!(read_bytes <= bytes.len() as u64 + 300, "{read_bytes} of {}", bytes.len());
        assert!(stored.counters.book(DEFAULT_CACHE_BYTES as usize), "the cache is given back when it has been used");
    }
}

#[test]
fn a_sampled_block_is_taken_by_the_pass_and_not_decoded_again() {
    let stored = stored(&bzip2(&text(5000)));
    let sample = stored.text_file.sample_head(1 << 20).unwrap();
    assert!(sample.is_end && sample.is_start && sample.text == text(5000));
    let stream = stored.text_file.open_stream(1 << 20).unwrap();
    let mut scratch = Scratch::default();
    let Next::Piece(mut piece) = stream.next(&mut scratch, true).unwrap() else { panic!("there is a block") };
    assert!(scratch.decoder.is_none());
    assert!(!stream.confirm(&mut piece).unwrap() && piece.text == text(5000));
}

#[test]
fn samples_come_from_anywhere() {
    let text = text(3_000_000);
    for pack in [|text: &[u8]| text.to_vec(), bzip2] {
        let bytes = pack(&text);
        let stored = stored(&bytes);
        for offset in [0, 1, bytes.len() as u64 / 2] {
            let sample = stored.text_file.sample_at(offset, 10_000).unwrap().unwrap();
            assert!(text.windows(100).any(|window| window == &sample.text[..100]));
            assert!(sample.text.len() >= 10_000 && !sample.is_end);
        }
        assert!(stored.text_file.sample_at(bytes.len() as u64, 10).unwrap().is_none());
        assert_eq!(stored.text_file.samples(1000).unwrap().len(), if bytes == text { 3 } else { 1 });
    }
    assert!(stored(&gzip(&text)).text_file.sample_at(10, 10).unwrap().is_none());
}

#[test]
fn damage_behind_the_first_block_leaves_a_sample() {
    let mut bytes = bzip2(&text(300_000));
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    assert_eq!(stored(&bytes).text_file.sample_head(1 << 20).unwrap().text.len() / 10_000, 9);
    bytes[60] ^= 1;
    assert_eq!(stored(&bytes).text_file.sample_head(1 << 20).unwrap_err().kind(), ErrorKind::Malformed);
}

#[test]
fn formats_that_are_not_read_name_file_and_format() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"7z\xbc\xaf\x27\x1c\0\0\0\0").unwrap();
    let Err(error) = TextFile::open(file.path(), &Arc::default()) else { panic!("7z is not read") };
    assert!(error.place().file.is_some() && error.message().contains("7z"));
    assert_eq!(stored(b"").text_file.format(), Format::Plain);
}
