//! What must hold for any bytes: run by the fuzz targets, and by `tests/fuzz_replay.rs` over the seeds on stable.
//!
//! Each check panics when a promise is broken. Errors are fine, as long as they are the same whatever the way a file is
//! cut; text and rows that are delivered must be true.

use outcrop::source::csv::fields::unquote;
use outcrop::source::csv::{CsvOptions, Dialect, Engine, Limits, MalformedPolicy, RecordIndex, split_with};
use outcrop::source::decompress::{Next, Scratch, TextFile};
use outcrop::source::input::InputCounters;
use outcrop::{Error, LazyFrame, Runner};
use std::io::{Read, Write};
use std::sync::Arc;

/// The splitter: every engine, cut or whole, finds the same records, and so does the `csv` crate in valid text.
pub(crate) fn csv_split(data: &[u8]) {
    let Some((&[delimiter, quote, fields], text)) = data.split_first_chunk::<3>() else { return };
    let delimiter = b",;\t|"[usize::from(delimiter) % 4];
    let quote = [Some(b'"'), Some(b'\''), None][usize::from(quote) % 3];
    let fields = 1 + usize::from(fields) % 8;
    let Ok(dialect) = Dialect::new(delimiter, quote) else { return };
    let run = |engine, limits: Limits| {
        let (mut index, mut at, mut malformed) = (RecordIndex::new(), 0, None);
        loop {
            let part = split_with(engine, text, at, &dialect, fields, true, limits, &mut index);
            malformed = malformed.or(part.malformed);
            if part.malformed.is_some() || part.consumed == at || part.consumed == text.len() {
                return (index, part.consumed, malformed);
            }
            at = part.consumed;
        }
    };
    let (index, consumed, malformed) = run(Engine::Scalar, Limits::NONE);
    for engine in Engine::available() {
        for limits in [Limits::NONE, Limits { bytes: 7, records: usize::MAX }] {
            let (other, other_consumed, other_malformed) = run(engine, limits);
            assert_eq!((other.starts(), other_consumed, other_malformed), (index.starts(), consumed, malformed));
            assert_eq!(other.newlines(), index.newlines());
        }
    }
    let fields_of = |record| (0..fields).map(move |field| (record, field));
    let ours: Vec<Vec<u8>> = (0..index.records())
        .flat_map(fields_of)
        .map(|(record, field)| {
            let raw = &text[index.field(record, field)];
            unquote(raw, &dialect).map_or_else(|| raw.to_vec(), |content| content.into_owned())
        })
        .collect();
    // The crate ends records at lone carriage returns and skips blank lines of one-column files: documented differences.
    let lone_return = (0..text.len()).any(|at| text[at] == b'\r' && text.get(at + 1) != Some(&b'\n'));
    if malformed.is_some() || consumed < text.len() || fields == 1 || lone_return {
        return;
    }
    let mut builder = csv::ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(delimiter);
    match quote {
        Some(quote) => builder.quote(quote),
        None => builder.quoting(false),
    };
    let mut theirs: Vec<Vec<u8>> = Vec::new();
    for row in builder.from_reader(text).into_byte_records() {
        theirs.extend(row.expect("bytes need no encoding").iter().map(<[u8]>::to_vec));
    }
    // It takes a byte order mark off, which for us is the header reader's work.
    assert!(ours == theirs || text.starts_with(b"\xEF\xBB\xBF"), "the csv crate reads other fields");
}

/// Opening (dialect, header, types) and reading a CSV file: the same rows, counts and errors however it is cut.
pub(crate) fn csv_scan(data: &[u8]) {
    let Some((&policy, text)) = data.split_first() else { return };
    let malformed = [MalformedPolicy::Error, MalformedPolicy::Skip, MalformedPolicy::Pad][usize::from(policy) % 3];
    let file = stored(text);
    let options = CsvOptions { malformed, max_record_bytes: 1 << 16, ..CsvOptions::default() };
    let open = || outcrop::source::csv::CsvSource::open(&[file.path().to_owned()], options.clone());
    let run = |pieces: usize, batches: usize, threads: usize| -> Result<String, Error> {
        let frame = LazyFrame::from_source(Arc::new(open()?));
        let runner = Runner::new().piece_bytes(pieces).batch_bytes(batches).threads(threads);
        let done = runner.run::<_, outcrop::DataFrame>(frame)?;
        // A pass that is cut short to be repeated over wider types has read more or less of the file by then.
        let counted = done.statistics.passes_repeated == 0;
        let records = counted.then_some(done.statistics.records_read);
        Ok(format!("{records:?} {} {}", done.statistics.records_rejected, done.value))
    };
    let told = |result: Result<String, Error>| result.map_err(|error| error.to_string());
    let whole = told(run(1 << 20, 1 << 18, 1));
    assert_eq!(told(run(1 + text.len() / 3, 16, 1)), whole, "cut in pieces");
    assert_eq!(told(run(5, 64, 2)), whole, "cut in small pieces");
}

/// The bzip2 chain beside the `bzip2` crate: the same text; damage is an error for both, or ends our text early.
pub(crate) fn bzip2(data: &[u8]) {
    let framed = [&b"BZh1"[..], data].concat();
    let mut theirs = Vec::new();
    let judged = bzip2::read::MultiBzDecoder::new(&framed[..]).take(1 << 24).read_to_end(&mut theirs);
    if theirs.len() == 1 << 24 {
        return;
    }
    let (ours, error) = text_of(&framed);
    if judged.is_ok() && error.is_none() {
        assert!(ours == theirs, "the bzip2 crate reads other text");
    }
    if judged.is_ok() {
        assert!(error.is_none(), "sound for the bzip2 crate, but: {error:?}");
    }
}

/// gzip and zstd (told by the first byte, so that both are tried) beside their crates, and whatever the rest looks like.
pub(crate) fn compressed(data: &[u8]) {
    const MOST: u64 = 1 << 24;
    let mut theirs = Vec::new();
    let judged = match data {
        [0x1f, 0x8b, ..] => flate2::read::MultiGzDecoder::new(data).take(MOST).read_to_end(&mut theirs).is_ok(),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => zstd::stream::read::Decoder::new(data)
            .is_ok_and(|decoder| decoder.take(MOST).read_to_end(&mut theirs).is_ok()),
        _ => false,
    };
    if theirs.len() as u64 == MOST {
        return;
    }
    let (ours, error) = text_of(data);
    if judged {
        assert!(error.is_none(), "sound for its crate, but: {error:?}");
        assert!(ours == theirs, "its crate reads other text");
    }
}

/// Any bytes as a Parquet file: an error or rows, never a panic.
pub(crate) fn parquet(data: &[u8]) {
    let file = stored(data);
    if let Ok(frame) = outcrop::scan_parquet(file.path()) {
        drop(Runner::new().threads(1).run::<_, outcrop::DataFrame>(frame));
    }
}

fn stored(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("a temporary file takes bytes");
    file
}

/// The text of a stored file, and the error that ended it.
fn text_of(bytes: &[u8]) -> (Vec<u8>, Option<Error>) {
    let file = stored(bytes);
    let mut text = Vec::new();
    let mut read = || -> Result<(), Error> {
        let opened = TextFile::open(file.path(), &Arc::new(InputCounters::default()))?;
        let stream = opened.open_stream(1 << 12)?;
        let mut scratch = Scratch::default();
        while let Next::Piece(mut piece) = stream.next(&mut scratch, true)? {
            let confirmed = stream.confirm(&mut piece);
            text.extend_from_slice(&piece.text);
            confirmed?;
            assert!(text.len() < 1 << 26, "text out of bounds");
        }
        stream.finish().map(|_| ())
    };
    let error = read().err();
    (text, error)
}
