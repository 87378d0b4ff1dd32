//! From stored bytes to text: every format on one thread, and bzip2 against the `bzip2` crate.
//!
//! `cargo bench --bench decompress`; figures are text bytes a second.

use divan::Bencher;
use divan::counter::BytesCount;
use outcrop::source::decompress::{Next, Scratch, TextFile};
use outcrop::source::input::InputCounters;
use std::io::{Read, Write};
use std::sync::{Arc, LazyLock};

fn main() {
    divan::main();
}

/// Rows like those of the airline data: few distinct values in most columns, noise in some.
static TEXT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut text =
        b"Year,Month,DayofMonth,DepTime,ArrTime,UniqueCarrier,FlightNum,TailNum,ArrDelay,Origin,Dest\n".to_vec();
    let mut state = 1u64;
    let mut below = |limit: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    const AIRPORTS: [&str; 8] = ["ATL", "ORD", "DFW", "LAX", "PHX", "DEN", "SFO", "IAH"];
    const CARRIERS: [&str; 5] = ["WN", "AA", "DL", "UA", "US"];
    while text.len() < 16 << 20 {
        let (hour, minute, delay) = (5 + below(18), below(60), below(12) * below(12));
        let (origin, dest) = (AIRPORTS[below(8) as usize], AIRPORTS[below(8) as usize]);
        let carrier = CARRIERS[below(5) as usize];
        let (day, flight, tail) = (1 + text.len() as u64 / 600_000, below(2500), 100 + below(900));
        let arrival = (hour + 1) * 100 + minute;
        writeln!(
            text,
            "2007,1,{day},{hour}{minute:02},{arrival},{carrier},{flight},N{tail}{carrier},{delay},{origin},{dest}"
        )
        .expect("writing to memory");
    }
    text
});

static BZIP2: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut encoder = bzip2::write::BzEncoder::new(vec![], bzip2::Compression::best());
    encoder.write_all(&TEXT).and_then(|()| encoder.finish()).expect("compressing in memory")
});

fn read_all(bencher: Bencher, stored: &[u8]) {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), stored).expect("a temporary file");
    let text_file = TextFile::open(file.path(), &Arc::new(InputCounters::default())).expect("a readable file");
    let mut scratch = Scratch::default();
    bencher.counter(BytesCount::new(TEXT.len())).bench_local(|| {
        let stream = text_file.open_stream(1 << 20).expect("a stream");
        let mut length = 0;
        while let Next::Piece(mut piece) = stream.next(&mut scratch, true).expect("a sound file") {
            stream.confirm(&mut piece).expect("a sound file");
            length += piece.text.len();
            scratch.spare_text.push(piece.text);
        }
        assert_eq!(length, TEXT.len());
    });
}

#[divan::bench]
fn plain(bencher: Bencher) {
    read_all(bencher, &TEXT);
}

#[divan::bench]
fn bzip2_ours(bencher: Bencher) {
    read_all(bencher, &BZIP2);
}

#[divan::bench]
fn bzip2_crate(bencher: Bencher) {
    let mut text = Vec::with_capacity(TEXT.len());
    bencher.counter(BytesCount::new(TEXT.len())).bench_local(|| {
        text.clear();
        bzip2::read::MultiBzDecoder::new(&BZIP2[..]).read_to_end(&mut text).expect("a sound file")
    });
}

#[divan::bench]
fn gzip(bencher: Bencher) {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::default());
    let stored = encoder.write_all(&TEXT).and_then(|()| encoder.finish()).expect("compressing in memory");
    read_all(bencher, &stored);
}

#[divan::bench]
fn zstd(bencher: Bencher) {
    read_all(bencher, &zstd::encode_all(&TEXT[..], 3).expect("compressing in memory"));
}
