//! The generator's files never change, have the shape of the real ones, and say the truth about themselves.

#[path = "../examples/generate/files.rs"]
mod files;
#[path = "../examples/generate/flights.rs"]
mod flights;
#[allow(dead_code, reason = "its command line is not tested")]
#[path = "../examples/h2o.rs"]
mod h2o;
#[path = "../examples/generate/network.rs"]
mod network;

mod common;

use files::{Format, Order, write_file, write_text};
use flights::{Facts, HEADER, YEARS};
use h2o::random;
use network::Network;
use outcrop::memory::ByteSize;
use outcrop::{DataFrame, Runner, scan_csv};
use std::io::Read;

fn text(year: u32, rows: u64) -> (Facts, Vec<u8>) {
    let mut text = Vec::new();
    let order = Order { seed: 1, year, rows, format: Format::Plain };
    let facts = write_text(&Network::new(), order, &mut text).unwrap();
    (facts, text)
}

/// FNV-1a, 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn column(name: &str) -> usize {
    let header = std::str::from_utf8(HEADER).unwrap().trim_end();
    header.split(',').position(|column| column == name).unwrap()
}

fn records(text: &[u8]) -> Vec<csv::ByteRecord> {
    csv::Reader::from_reader(text).byte_records().collect::<Result<_, _>>().unwrap()
}

fn gaps(year: u32, name: &str) -> usize {
    let (_, text) = text(year, 3000);
    records(&text).iter().filter(|record| record[column(name)] == *b"NA").count()
}

#[test]
fn the_same_order_gives_the_same_bytes_for_ever() {
    let sums = [1987, 2001, 2003, 2008].map(|year| checksum(&text(year, 2000).1));
    assert_eq!(
        sums.map(|sum| format!("{sum:016x}")),
        ["d5504ad454b8d9d6", "dcee813410636694", "c5eea6bb8920a5e0", "7e288428526db548"]
    );
}

#[test]
fn every_year_has_29_columns_and_exactly_the_rows_ordered() {
    for year in YEARS {
        let (facts, text) = text(year, 1234);
        let records = records(&text);
        assert_eq!((records.len(), facts.rows, facts.bytes), (1234, 1234, text.len() as u64), "{year}");
        assert!(records.iter().all(|record| record.len() == 29 && record[0] == *year.to_string().as_bytes()));
    }
    assert_eq!(text(1990, 0).1, HEADER);
}

#[test]
fn the_facts_are_those_of_the_file() {
    let (facts, text) = text(2004, 5000);
    let mut counted = Facts { rows: 5000, bytes: text.len() as u64, ..Facts::NONE };
    for record in records(&text) {
        let field = std::str::from_utf8(&record[column("DepDelay")]).unwrap();
        if let Ok(delay) = field.parse::<i32>() {
            let one = Facts { delays: 1, delay_sum: delay.into(), delay_min: delay, delay_max: delay, ..Facts::NONE };
            counted = counted.and(one);
        }
    }
    assert_eq!(facts, counted);
    assert!(facts.delay_min < 0 && facts.delay_max > 300 && facts.delays < 5000, "{facts:?}");
}

#[test]
fn gaps_follow_the_years() {
    for name in ["TailNum", "AirTime", "TaxiIn", "TaxiOut"] {
        assert_eq!(gaps(1994, name), 3000, "{name}");
        assert!(gaps(1995, name) < 200, "{name}");
    }
    assert_eq!(gaps(2002, "LateAircraftDelay"), 3000);
    assert_eq!(gaps(2006, "LateAircraftDelay"), 0);
    assert!((1000..1500).contains(&gaps(2003, "CancellationCode")), "January to May");
    assert!(gaps(2008, "CarrierDelay") > 1500);
}

#[test]
fn exactly_one_byte_of_2001_is_not_utf8_and_stands_in_a_tail_number() {
    for year in YEARS {
        let (_, text) = text(year, 1000);
        let stray: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii()).collect();
        assert_eq!(stray, if year == 2001 { vec![0xe4] } else { vec![] }, "{year}");
    }
    let marked = records(&text(2001, 1000).1)[500][column("TailNum")].to_vec();
    assert!(marked.starts_with(b"N\xe4"), "{marked:?}");
}

#[test]
fn every_format_holds_the_same_text_and_leaves_no_unfinished_file() {
    let folder = tempfile::tempdir().unwrap();
    let (_, plain) = text(2005, 3000);
    for name in ["csv", "bz2", "gz", "zst"] {
        let format = Format::parse(name).unwrap();
        let order = Order { seed: 1, year: 2005, rows: 3000, format };
        let (facts, stored) = write_file(&Network::new(), folder.path(), order).unwrap();
        let bytes = std::fs::read(folder.path().join(format!("2005{}", format.suffix()))).unwrap();
        assert_eq!((facts.bytes, stored), (plain.len() as u64, bytes.len() as u64));
        let mut text = Vec::new();
        let mut reader: Box<dyn Read> = match format {
            Format::Plain => Box::new(&bytes[..]),
            Format::Bzip2 => Box::new(bzip2::read::BzDecoder::new(&bytes[..])),
            Format::Gzip => Box::new(flate2::read::GzDecoder::new(&bytes[..])),
            Format::Zstd => Box::new(zstd::Decoder::new(&bytes[..]).unwrap()),
        };
        reader.read_to_end(&mut text).unwrap();
        assert!(text == plain, "{name}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
}

#[test]
fn the_h2o_tables_never_change_and_are_grouped_alike_in_scarce_memory() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let arguments = ["--rows", "20000", "--groups", "10", "--join"].map(str::to_owned);
    let words = std::iter::once(folder.display().to_string()).chain(arguments);
    h2o::run(&h2o::parse(words).unwrap()).unwrap();
    let sums = ["G1", "J1_x", "J1_small", "J1_medium", "J1_big"]
        .map(|name| checksum(&std::fs::read(folder.join(format!("{name}.csv"))).unwrap()));
    let known = [
        5_032_346_089_891_895_198,
        9_363_439_875_047_731_739,
        13_333_258_496_480_695_176,
        15_045_702_859_616_655_757,
        182_639_668_454_789_736,
    ];
    assert_eq!(sums, known, "the files changed");
    let table = scan_csv(folder.join("G1.csv")).unwrap();
    let questions = [
        "sum(v1) as v1 by id1, id2",
        "sum(v1) as v1, mean(v3) as v3 by id3",
        "max(v1) - min(v2) as range by id3",
        "sum(v3) as v3, count(*) as count by id1, id2, id3, id4, id5, id6",
        "* sort v3 desc, id3",
        "* sort v3 desc, id3 limit 5000",
    ];
    for question in questions {
        let ask = |memory: u64| {
            let runner = Runner::new().threads(2).memory(ByteSize(memory));
            runner.run::<_, DataFrame>(table.ask(question).unwrap()).unwrap()
        };
        let ample = ask(1 << 30);
        let scarce = ask(ample.statistics.least_memory_bytes + (100 << 10));
        assert_eq!(ample.statistics.bytes_spilled, 0);
        assert!(scarce.statistics.bytes_spilled > 0 || ample.value.rows() < 2500, "{question}");
        assert_eq!(common::shown(&ample.value), common::shown(&scarce.value), "{question}");
    }
}
