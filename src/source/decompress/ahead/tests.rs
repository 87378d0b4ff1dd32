//! Decoding ahead gives what decoding in order gives, whatever the file and whoever decodes.

use super::MAX_TEXT_APART;
use crate::error::Error;
use crate::memory::Budget;
use crate::source::decompress::ahead::Units;
use crate::source::decompress::gzip::Gzip;
use crate::source::decompress::sequential::{Decode, SequentialStream, Step};
use crate::source::decompress::stored_reader::StoredReader;
use crate::source::decompress::tests::{Pack, SEQUENTIAL, Stored, gzip, stored, text, xz, zstd};
use crate::source::decompress::{Next, Piece, Scratch, TextStream};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// As bgzip does: members of at most `member_text` bytes that say how long they are stored, and an empty one.
fn bgzip(text: &[u8], member_text: usize) -> Vec<u8> {
    let member = |text: &[u8]| {
        let extra = b"BC\x02\0\0\0".to_vec();
        let mut encoder = flate2::GzBuilder::new().extra(extra).write(vec![], flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, text).unwrap();
        let mut member = encoder.finish().unwrap();
        let length = (member.len() - 1) as u16;
        member[16..18].copy_from_slice(&length.to_le_bytes());
        member
    };
    text.chunks(member_text).chain([&b""[..]]).flat_map(member).collect()
}

/// As `xz --block-size` does.
fn xz_blocks(text: &[u8], block_text: usize) -> Vec<u8> {
    use liblzma::stream::{Action, Check, Stream};
    let mut encoder = Stream::new_easy_encoder(0, Check::Crc32).unwrap();
    let mut bytes = Vec::with_capacity(text.len() + 100_000);
    for block in text.chunks(block_text) {
        encoder.process_vec(block, &mut bytes, Action::FullFlush).unwrap();
    }
    encoder.process_vec(b"", &mut bytes, Action::Finish).unwrap();
    bytes
}

/// As pzstd does: before each frame, one to be skipped that says how long it is stored.
fn pzstd(text: &[u8], frame_text: usize) -> Vec<u8> {
    let frame = |text: &[u8]| {
        let frame = zstd(text);
        [b"\x50\x2a\x4d\x18\x04\0\0\0", &(frame.len() as u32).to_le_bytes()[..], &frame].concat()
    };
    text.chunks(frame_text).flat_map(frame).collect()
}

fn in_parts(pack: Pack, text: &[u8], part_text: usize) -> Vec<u8> {
    text.chunks(part_text).flat_map(pack).collect()
}

/// Files of many units, of every kind.
fn files(text: &[u8], unit_text: usize) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("gzip", in_parts(gzip, text, unit_text)),
        ("bgzip", bgzip(text, unit_text)),
        ("zstd", in_parts(zstd, text, unit_text)),
        ("pzstd", pzstd(text, unit_text)),
        ("xz streams", in_parts(xz, text, unit_text)),
        ("xz blocks", xz_blocks(text, unit_text)),
    ]
}

/// What reading a file came to: its text, and the error or the warning at the end.
type Outcome = (Vec<u8>, Result<Option<String>, Error>);

fn read(stream: &dyn TextStream, workers: usize) -> Outcome {
    let (pieces, failure) = (Mutex::new(Vec::<Piece>::new()), Mutex::new(None));
    let work = |wait: bool| {
        let mut scratch = Scratch::default();
        loop {
            match stream.next(&mut scratch, wait) {
                Ok(Next::Piece(piece)) => pieces.lock().unwrap().push(piece),
                Ok(Next::Busy) => assert!(!wait),
                Ok(Next::End) => break,
                Err(error) => {
                    *failure.lock().unwrap() = Some(error);
                    break;
                }
            }
        }
    };
    if workers == 1 {
        work(true);
    } else {
        std::thread::scope(|scope| (0..workers).for_each(|at| drop(scope.spawn(move || work(at % 2 == 0)))));
    }
    let mut pieces = pieces.into_inner().unwrap();
    pieces.sort_by_key(|piece| piece.ordinal);
    let mut text = vec![];
    for (at, piece) in pieces.iter_mut().enumerate() {
        assert_eq!((piece.ordinal, piece.cells[0].base), (at as u64, text.len() as u64));
        let confirmed = stream.confirm(piece);
        text.extend_from_slice(&piece.text);
        if let Err(error) = confirmed {
            return (text, Err(error));
        }
    }
    (text, failure.into_inner().unwrap().map_or_else(|| stream.finish(), Err))
}

fn in_order(file: &Stored, piece_bytes: usize) -> Outcome {
    read(&*file.text_file.open_as(piece_bytes, true, &Budget::unlimited()).unwrap(), 1)
}

fn ahead(file: &Stored, piece_bytes: usize, workers: usize) -> Outcome {
    read(&*file.text_file.open_stream(piece_bytes).unwrap(), workers)
}

#[test]
fn units_decoded_by_many_workers_are_one_text_in_order() {
    let text = text(3_000_000);
    for unit_text in [64_000, 700_000] {
        for (name, bytes) in files(&text, unit_text) {
            if name == "bgzip" && unit_text > 65_280 {
                continue;
            }
            let file = stored(&bytes);
            for (piece_bytes, workers) in [(100_000, 1), (100_000, 4), (1 << 20, 2), (1 << 24, 3)] {
                let (back, outcome) = ahead(&file, piece_bytes, workers);
                assert!(back == text, "{name} {unit_text} {piece_bytes} {workers}");
                assert_eq!(outcome.unwrap(), None);
                assert_eq!(file.counters.ahead(), 0, "what was held is given back");
            }
        }
    }
}

#[test]
fn several_workers_hold_units_at_the_same_time() {
    let text = text(3_000_000);
    for (name, bytes) in files(&text, 60_000) {
        let file = stored(&bytes);
        let stream = file.text_file.open_stream(100_000).unwrap();
        stream.next(&mut Scratch::default(), true).unwrap();
        assert!(file.counters.ahead() > 0, "{name} is decoded by runs");
        drop(stream);
        assert_eq!(file.counters.ahead(), 0);
    }
}

/// Numbers that look random (a linear congruential generator; its high bits are the better ones).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[test]
fn damage_anywhere_gives_the_text_and_the_error_of_decoding_in_order() {
    let text = text(1000);
    for (name, bytes) in files(&text, 350) {
        let magic_bytes = if name.starts_with("xz") { 6 } else { 4 };
        let check = |bytes: &[u8], is_cut: bool, what: &dyn Fn() -> String| {
            let file = stored(bytes);
            let (workers, piece_bytes) = (1 + bytes.len() % 2, 250);
            let (back, outcome) = ahead(&file, piece_bytes, workers);
            assert!(outcome.is_err() || back == text || is_cut, "{name} {}", what());
            // The checksum of a unit comes behind its text, so text in which bits have flipped may come before the error.
            assert!(!is_cut || text.starts_with(&back), "{name} {}", what());
            if name == "xz blocks" || name == "xz streams" {
                // Read by blocks where the indexes are whole, by streams where they are not: the words differ.
                return;
            }
            let due = in_order(&file, piece_bytes);
            // What a decoder has written when it fails is lost; how much that is depends on where its pieces start.
            assert!(back.starts_with(&due.0) || due.0.starts_with(&back), "{name} {}", what());
            assert_eq!(format!("{outcome:?}"), format!("{:?}", due.1), "{name} {}", what());
        };
        // Around both ends and wherever a unit begins, and at one place in so many of the others.
        let begins = |at: &usize| bytes[*at..].starts_with(&bytes[..magic_bytes - 1]);
        let borders: Vec<usize> = (0..bytes.len()).filter(begins).chain([magic_bytes, bytes.len()]).collect();
        let is_near = |at: usize| borders.iter().any(|&border| (border.saturating_sub(3)..border + 4).contains(&at));
        let mut places = Dice(bytes.len() as u64);
        for length in magic_bytes..bytes.len() {
            if is_near(length) || places.below(8) == 0 {
                check(&bytes[..length], true, &|| format!("cut to {length}"));
            }
        }
        for at in magic_bytes..bytes.len() {
            if places.below(if is_near(at) { 2 } else { 8 }) == 0 {
                let bit = places.below(8);
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                check(&flipped, false, &|| format!("bit {bit} of byte {at} flipped"));
            }
        }
    }
}

#[test]
fn a_false_magic_in_gzip_data_costs_time_but_no_text() {
    // Stored blocks of deflate hold the text as it is, and the text is full of headers of members.
    let mut header = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    let mut members = gzip(&text(40_000));
    let mut due = text(40_000);
    for _ in 0..3 {
        header.extend_from_slice(b"text, no member\n");
        let lies = header.repeat(3000);
        let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::none());
        std::io::Write::write_all(&mut encoder, &lies).unwrap();
        members.extend(encoder.finish().unwrap());
        members.extend(gzip(&text(1000)));
        due.extend(lies);
        due.extend(text(1000));
    }
    let file = stored(&members);
    for workers in [1, 3] {
        let (back, outcome) = ahead(&file, 50_000, workers);
        assert!(back == due);
        outcome.unwrap();
    }
}

#[test]
fn a_unit_with_much_text_is_read_in_order_in_small_pieces() {
    let zeros = vec![b'0'; MAX_TEXT_APART + 1];
    let small = text(1000);
    for (pack, name) in SEQUENTIAL {
        let bytes = [pack(&small), pack(&zeros), pack(&small), pack(&small)].concat();
        let file = stored(&bytes);
        let stream = file.text_file.open_stream(1 << 20).unwrap();
        let (mut scratch, mut text_bytes, mut longest) = (Scratch::default(), 0, 0);
        while let Next::Piece(mut piece) = stream.next(&mut scratch, true).unwrap() {
            assert!(file.counters.ahead() < 1 << 20);
            longest = longest.max(piece.text.len());
            text_bytes += piece.text.len();
            stream.confirm(&mut piece).unwrap();
            scratch.spare_text.push(piece.text);
        }
        assert_eq!((stream.finish().unwrap(), text_bytes), (None, zeros.len() + 3 * small.len()), "{name}");
        assert!(longest <= 3 << 19, "{name}: {longest}");
    }
}

#[test]
fn a_length_that_lies_is_never_allocated_for() {
    // ISIZE of gzip, the content size of zstd, the index of xz.
    let small = text(300);
    let mut lying = [gzip(&small), gzip(&small), gzip(&small)].concat();
    let first = gzip(&small).len();
    lying[first - 4..first].copy_from_slice(&u32::MAX.to_le_bytes());
    let file = stored(&lying);
    let stream = file.text_file.open_stream(1000).unwrap();
    let Next::Piece(mut piece) = stream.next(&mut Scratch::default(), true).unwrap() else { panic!("there is text") };
    assert!(piece.text.capacity() < 1 << 20 && stream.confirm(&mut piece).is_err());
}

/// A decoder of gzip that counts how often units are looked for.
struct Counted(Gzip, Arc<AtomicU64>);

impl Decode for Counted {
    const FORMAT: &'static str = Gzip::FORMAT;

    fn read(&mut self, into: &mut [u8]) -> io::Result<Step> {
        self.0.read(into)
    }

    fn stored(&mut self) -> Option<&mut StoredReader> {
        self.0.stored()
    }

    fn warning(&self) -> Option<String> {
        self.0.warning()
    }

    fn detach(&mut self, wanted_text: usize, most_text: usize) -> io::Result<Option<Units>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.detach(wanted_text, most_text)
    }

    fn decode_apart(stored: &[u8], max_text: usize, scratch: &mut Scratch, text: &mut Vec<u8>) -> bool {
        Gzip::decode_apart(stored, max_text, scratch, text)
    }
}

/// Members with a checksum of their header, which are left to the decoder in order, and such of an unknown system.
#[test]
fn many_units_that_are_only_good_in_order_are_not_looked_for_again_and_again() {
    let with_header_checksum = |text: &[u8]| {
        let mut member = gzip(text);
        member[3] |= 2;
        let mut crc = flate2::Crc::new();
        crc.update(&member[..10]);
        let checksum = (crc.sum() as u16).to_le_bytes();
        member.splice(10..10, checksum);
        member
    };
    let of_unknown_system = |text: &[u8]| {
        let mut member = gzip(text);
        member[9] = 77;
        member
    };
    let text = text(60_000);
    for bytes in [
        text.chunks(30).flat_map(with_header_checksum).collect::<Vec<u8>>(),
        text.chunks(30).flat_map(of_unknown_system).collect(),
    ] {
        let file = stored(&bytes);
        let input = file.text_file.input();
        let looked = Arc::new(AtomicU64::new(0));
        let decoder = Counted(Gzip::new(StoredReader::new(Arc::clone(input), false)), Arc::clone(&looked));
        let stream = SequentialStream::new(Arc::clone(input), 1000, true, decoder, &Budget::unlimited(), None);
        assert!(read(&stream, 2).0 == text);
        assert!(looked.load(Ordering::Relaxed) < 20, "{looked:?}");
    }
}
