//! Random files for tests.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part")]

use outcrop::frame::{DataFrame, LazyFrame, Run, Runner, Value};
use std::io::Write;

/// A small deterministic generator (SplitMix64).
pub struct Random(u64);

impl Random {
    /// A generator with this seed.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The seed of this run: `OUTCROP_TEST_SEED`, or the time.
    pub fn seed_of_run() -> u64 {
        let given = std::env::var("OUTCROP_TEST_SEED").ok().and_then(|text| text.parse().ok());
        given.unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            now.as_nanos() as u64
        })
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// True once in `n`.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// A CSV with columns k (short text), i (integer), x (double), t (text with quotes and newlines), b (Boolean), d (date).
pub fn random_csv(random: &mut Random, records: usize) -> Vec<u8> {
    let mut text = Vec::new();
    let line_end: &[u8] = if random.one_in(3) { b"\r\n" } else { b"\n" };
    text.extend_from_slice(b"k,i,x,t,b,d");
    text.extend_from_slice(line_end);
    // The first record settles the types, so that inference does not depend on luck.
    text.extend_from_slice(b"WN,1,0.5,text,true,2001-02-03");
    text.extend_from_slice(line_end);
    for _ in 0..records {
        record(random, &mut text);
        text.extend_from_slice(line_end);
        if random.one_in(50) {
            text.extend_from_slice(line_end);
        }
    }
    if random.one_in(2) {
        text.truncate(text.len() - line_end.len());
    }
    text
}

fn record(random: &mut Random, text: &mut Vec<u8>) {
    let missing = |random: &mut Random| if random.one_in(2) { "NA" } else { "" };
    let key = match random.below(8) {
        0 => missing(random).to_owned(),
        n => ["AA", "WN", "UA", "\"NA\"", "\"DL\"", "a longer carrier name", "\"\""][n - 1].to_owned(),
    };
    let integer = match random.below(10) {
        0 => missing(random).to_owned(),
        1 => (random.next() as i64 >> 20).to_string(),
        _ => (random.below(200) as i64 - 100).to_string(),
    };
    let double = match random.below(12) {
        0 => missing(random).to_owned(),
        1 => "nan".to_owned(),
        2 => "-0.0".to_owned(),
        3 => format!("{:e}", f64::from_bits(random.next() & 0x7FEF_FFFF_FFFF_FFFF)),
        _ => format!("{}", (random.below(20_000_001) as f64 - 1e7) / 1000.0),
    };
    let words =
        ["plain", "\"a, b\"", "\"two\nlines\"", "\"say \"\"hi\"\"\"", "NA", "\"NA\"", "caf\u{e9}", "\"\r\n\n,\""];
    let word = match random.below(10) {
        8 => "x".repeat(random.below(300)),
        9 => format!("\"{}\"", "line\n".repeat(random.below(200))),
        n => words[n].to_owned(),
    };
    let truth = ["true", "false", "NA"][random.below(3)];
    let date = match random.below(5) {
        0 => String::new(),
        _ => format!("{:04}-{:02}-{:02}", 1987 + random.below(22), 1 + random.below(12), 1 + random.below(28)),
    };
    text.extend_from_slice(format!("{key},{integer},{double},{word},{truth},{date}").as_bytes());
}

/// The text as a file with this ending would store it.
pub fn compress(text: &[u8], ending: &str, random: &mut Random) -> Vec<u8> {
    let parts: Vec<&[u8]> = if random.one_in(2) { vec![text] } else { text.chunks(1 + random.below(5000)).collect() };
    let mut stored = Vec::new();
    for part in parts {
        match ending {
            "csv.bz2" => {
                let mut encoder = bzip2::write::BzEncoder::new(&mut stored, bzip2::Compression::fast());
                encoder.write_all(part).unwrap();
                encoder.finish().unwrap();
            }
            "csv.gz" => {
                let mut encoder = flate2::write::GzEncoder::new(&mut stored, flate2::Compression::fast());
                encoder.write_all(part).unwrap();
                encoder.finish().unwrap();
            }
            "csv.zst" => stored.extend(zstd::encode_all(part, 1).unwrap()),
            "csv.xz" => {
                let mut encoder = liblzma::write::XzEncoder::new(&mut stored, 0);
                encoder.write_all(part).unwrap();
                encoder.finish().unwrap();
            }
            "csv.lz4" => {
                let info = lz4_flex::frame::FrameInfo::new().content_checksum(true);
                let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, &mut stored);
                encoder.write_all(part).unwrap();
                encoder.finish().unwrap();
            }
            _ => stored.extend_from_slice(part),
        }
    }
    stored
}

/// Everything about an answer, doubles to the bit.
pub fn shown(frame: &DataFrame) -> String {
    shown_as(frame, |number| format!("{:016x}", number.to_bits()))
}

/// Everything about an answer, doubles to the bit, but all that are not numbers alike.
pub fn shown_with_one_nan(frame: &DataFrame) -> String {
    shown_as(frame, |number| if number.is_nan() { "nan".into() } else { format!("{:016x}", number.to_bits()) })
}

fn shown_as(frame: &DataFrame, double: impl Fn(f64) -> String) -> String {
    let mut text = format!("{:?}\n", frame.schema().fields());
    for batch in frame.batches().map(Result::unwrap) {
        for row in 0..batch.num_rows() {
            for column in batch.columns() {
                match Value::of(column, row).unwrap() {
                    Value::Float64(number) => text.push_str(&format!("{} ", double(number))),
                    other => text.push_str(&format!("{other:?} ")),
                }
            }
            text.push('\n');
        }
    }
    text
}

/// The answers to questions in one run.
pub fn answers_to(questions: &[&str], frame: &LazyFrame, runner: &Runner) -> Run<Vec<DataFrame>> {
    let frames: Vec<LazyFrame> = questions.iter().map(|question| frame.ask(question).unwrap()).collect();
    runner.run(frames).unwrap()
}

/// Runs the tests of a binary that has a `main` of its own: those whose names have the first argument in them. A failure is a panic.
pub fn run_named(tests: &[(&str, fn())]) {
    let wanted = std::env::args().nth(1).filter(|word| !word.starts_with('-')).unwrap_or_default();
    let chosen: Vec<_> = tests.iter().filter(|(name, _)| name.contains(&wanted)).collect();
    println!("\nrunning {} tests", chosen.len());
    for (name, test) in &chosen {
        test();
        println!("test {name} ... ok");
    }
    let out = tests.len() - chosen.len();
    println!("\ntest result: ok. {} passed; 0 failed; 0 ignored; 0 measured; {out} filtered out\n", chosen.len());
}
