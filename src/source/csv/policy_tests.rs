//! Malformed records under a policy, against a twin that reads the whole text at once, byte by byte: rows, rejects,
//! places and counts are the same wherever the text is cut, and whichever engine splits it.

use super::batches::Reader;
use super::column::ColumnSpec;
use super::date_formats::DateFormat;
use super::fields::{Format, NullTokens, unquote};
use super::index::RecordIndex;
use super::options::MalformedPolicy;
use super::scan_tests::{Dice, Interleaving, Script, Told};
use super::simd::Engine;
use super::take::{Headers, Long, Overlong, Rules, Span};
use crate::types::ColumnType;
use arrow::datatypes::{DataType, Field, Schema};
use std::sync::Arc;

const MARK: &str = "\u{FEFF}";

/// What a text should become.
#[derive(Debug, Default, PartialEq, Eq)]
struct Expected {
    /// Fields and start of every row.
    rows: Vec<(String, u64)>,
    /// Byte, line, reason and text of every reject.
    rejects: Vec<(u64, u64, String, Vec<u8>)>,
    padded: Vec<u64>,
    headers: Vec<u64>,
}

/// One record as the twin sees it.
enum Seen {
    /// Ends of the fields, end of the record, and where the next one starts.
    Complete(Vec<usize>, usize, usize),
    /// What is wrong, and how much of the text must be known to say so.
    Broken(&'static str, usize),
}

/// The twin: no windows, no pieces, no vectors.
struct Twin<'a> {
    text: &'a [u8],
    /// The header as it stands in the file, and in other quotes.
    headers: Vec<&'a str>,
    fields: usize,
    policy: MalformedPolicy,
    most: usize,
    expected: Expected,
}

impl Twin<'_> {
    fn run(mut self, start: usize) -> Expected {
        let mut at = start;
        let mut lines_until = 0;
        while at < self.text.len() {
            let line_end = self.line_end(at);
            if at < lines_until && line_end <= lines_until {
                at = match see(&self.text[..line_end], at, self.fields) {
                    // A quote left open, though the file goes on.
                    Seen::Broken(UNTERMINATED, _) if line_end < self.text.len() || self.text.ends_with(b"\n") => {
                        self.reject(at, line_end, &self.too_long());
                        line_end
                    }
                    seen => self.judge(at, seen, &mut lines_until),
                };
                continue;
            }
            lines_until = 0;
            at = self.judge(at, see(self.text, at, self.fields), &mut lines_until);
        }
        self.expected
    }

    fn line_end(&self, at: usize) -> usize {
        self.text[at..].iter().position(|&byte| byte == b'\n').map_or(self.text.len(), |distance| at + distance + 1)
    }

    fn too_long(&self) -> String {
        format!("a record is longer than {} bytes", self.most)
    }

    fn reject(&mut self, at: usize, next: usize, reason: &str) {
        let line = self.text[..at].iter().filter(|&&byte| byte == b'\n').count() as u64 + 1;
        let raw = self.text[at..next].strip_suffix(b"\n").map(|raw| raw.strip_suffix(b"\r").unwrap_or(raw));
        let raw = raw.unwrap_or(&self.text[at..next]).to_vec();
        self.expected.rejects.push((at as u64, line, reason.to_owned(), raw));
    }

    /// Takes one record and tells where the next one starts.
    fn judge(&mut self, at: usize, seen: Seen, lines_until: &mut usize) -> usize {
        let rest = &self.text[at..];
        let odd = !matches!(&seen, Seen::Complete(ends, end, _) if ends.len() == self.fields || *end == at);
        let fits = self.headers.iter().filter(|header| odd && 3 + header.len() <= self.most);
        let unmarked = rest.strip_prefix(MARK.as_bytes()).unwrap_or_default();
        for after in fits.filter_map(|header| unmarked.strip_prefix(header.as_bytes())) {
            for line_end in [&b"\n"[..], b"\r\n"] {
                if after.starts_with(line_end) || after.is_empty() {
                    self.expected.headers.push(at as u64);
                    return self.text.len() - after.strip_prefix(line_end).unwrap_or(after).len();
                }
            }
        }
        let (ends, end, next) = match seen {
            Seen::Broken(_, known_at) if known_at - at > self.most + 2 => return self.overlong(at, lines_until),
            Seen::Broken(reason, _) => {
                let line_end = self.line_end(at);
                self.reject(at, line_end, reason);
                return line_end;
            }
            Seen::Complete(_, end, _) if end - at > self.most => return self.overlong(at, lines_until),
            Seen::Complete(ends, end, next) => (ends, end, next),
        };
        let raw = &self.text[at..end];
        let found = ends.len();
        let unmarked = raw.strip_prefix(MARK.as_bytes()).unwrap_or(raw);
        let is_header = |header: &&str| [raw, unmarked].contains(&header.as_bytes());
        if found == self.fields && self.headers.iter().any(is_header) {
            self.expected.headers.push(at as u64);
            return next;
        }
        if self.fields > 1 && found == 1 && end == at {
            return next;
        }
        let surplus_is_empty = || ends[self.fields - 1..].windows(2).all(|pair| pair[1] == pair[0] + 1);
        let pads = self.policy == MalformedPolicy::Pad && (found < self.fields || surplus_is_empty());
        if found != self.fields && !pads {
            let which = if found < self.fields { "few" } else { "many" };
            let fields = if found == 1 { "1 field".to_owned() } else { format!("{found} fields") };
            self.reject(at, next, &format!("the record has {fields}, too {which}"));
            return next;
        }
        if found != self.fields {
            self.expected.padded.push(at as u64);
        }
        let mut start = at;
        let mut fields = Vec::new();
        for number in 0..self.fields {
            let Some(&end) = ends.get(number) else {
                fields.push("∅".to_owned());
                continue;
            };
            let raw = &self.text[start..end];
            let quoted = unquote(raw, &Format::default().dialect);
            fields.push(match (&quoted, raw) {
                (None, b"NA") => "∅".to_owned(),
                (Some(content), _) => String::from_utf8_lossy(content).into_owned(),
                (None, raw) => String::from_utf8_lossy(raw).into_owned(),
            });
            start = end + 1;
        }
        self.expected.rows.push((fields.join("|"), at as u64));
        next
    }

    fn overlong(&mut self, at: usize, lines_until: &mut usize) -> usize {
        let reach = (at + self.most + 2).min(self.text.len());
        *lines_until = at + self.most + 2;
        let reason = self.too_long();
        let line_end = self.line_end(at);
        let is_near = line_end <= reach && self.text[..line_end].ends_with(b"\n");
        self.reject(at, if is_near { line_end } else { reach }, &reason);
        line_end
    }
}

const UNTERMINATED: &str = "a quote is opened here and never closed";

fn see(text: &[u8], start: usize, _: usize) -> Seen {
    let mut ends = Vec::new();
    let mut at = start;
    loop {
        if text.get(at) == Some(&b'"') {
            at += 1;
            loop {
                match (text.get(at), text.get(at + 1)) {
                    (None, _) => return Seen::Broken(UNTERMINATED, text.len()),
                    (Some(b'"'), Some(b'"')) => at += 2,
                    (Some(b'"'), _) => break,
                    _ => at += 1,
                }
            }
            at += 1;
            let first_line =
                text[start..].iter().position(|&byte| byte == b'\n').map_or(text.len(), |at| start + at + 1);
            match (text.get(at), text.get(at + 1)) {
                (None | Some(b',' | b'\n'), _) | (Some(b'\r'), Some(b'\n')) => {}
                (Some(b'\r'), _) => return Seen::Broken("text follows a closing quote", first_line.max(at + 2)),
                _ => return Seen::Broken("text follows a closing quote", first_line.max(at + 1)),
            }
        }
        while at < text.len() && !matches!(text[at], b',' | b'\n') {
            at += 1;
        }
        let is_line_end = text.get(at) == Some(&b'\n');
        let end = at
            - usize::from(
                is_line_end
                    && at > *ends.last().unwrap_or(&start)
                    && text[at - 1] == b'\r'
                    && at > field_start(&ends, start),
            );
        ends.push(end);
        match text.get(at) {
            Some(b',') => at += 1,
            Some(_) => return Seen::Complete(ends, end, at + 1),
            None => return Seen::Complete(ends, at, at),
        }
    }
}

fn field_start(ends: &[usize], start: usize) -> usize {
    ends.last().map_or(start, |end| end + 1)
}

/// The header with quotes around all names.
fn quoted(header: &str) -> &str {
    match header {
        "k,v" => "\"k\",\"v\"",
        "a,b,c" => "\"a\",\"b\",\"c\"",
        header => header,
    }
}

/// Bits of text that make trouble together.
fn dirty(dice: &mut Dice, header: &str, tokens: usize) -> String {
    let line = format!("{}\n", [header, quoted(header)][dice.below(2)]);
    let marked = format!("{MARK}{line}");
    let whole =
        ["1,2\n", "aa,bb,cc\n", "x,\"y\",\n", "\"p\nq\",\"r\"\"s\"\r\n", "5,\"t,\n\",6\n", ",,\n", "NA,\"\",7\r\n"];
    let bits = ["a", "1", ",", "\"", "\n", "\r", "\r\n", "\"\"", ",\"", "\",", "\"\n", "é", MARK];
    let mut text = String::new();
    for _ in 0..tokens {
        match dice.below(20) {
            0 => text.push_str(&line),
            1 => text.push_str(&marked),
            2..9 => text.push_str(whole[dice.below(whole.len())]),
            _ => text.push_str(bits[dice.below(bits.len())]),
        }
    }
    text
}

fn rules(header: &str, fields: usize, malformed: MalformedPolicy, max_record_bytes: usize) -> Rules {
    let dialect = Format::default().dialect;
    let headers = if fields > 1 { Headers::of(header.as_bytes(), &dialect) } else { Headers::none() };
    Rules { dialect, fields, malformed, headers, max_record_bytes }
}

fn reader(rules: Rules, batch_bytes: usize) -> Reader {
    let fields = rules.fields;
    let date_format = DateFormat::Iso;
    let column = |index| ColumnSpec { index, column_type: ColumnType::Utf8, declared: false, date_format };
    let field = |number: usize| Field::new(format!("c{number}"), DataType::Utf8View, true);
    // The empty field is a value, so that a missing one is told from it.
    let format = Format { nulls: NullTokens::new(["NA"]), ..Format::default() };
    Reader {
        file: 0,
        rules,
        format,
        specs: (0..fields).map(column).collect(),
        schema: Arc::new(Schema::new((0..fields).map(field).collect::<Vec<_>>())),
        filter: None,
        batch_bytes,
    }
}

fn found(told: &Told) -> Expected {
    let positions = |named: &[crate::source::Named]| {
        for named in named {
            assert_eq!(named.positions.first().copied(), named.first.as_ref().and_then(|place| place.byte));
        }
        named.iter().flat_map(|named| named.positions.clone()).collect()
    };
    Expected {
        rows: told.rows.iter().map(|(fields, byte, ..)| (fields.clone(), *byte)).collect(),
        rejects: told.rejects.clone(),
        padded: positions(&told.padded),
        headers: positions(&told.headers),
    }
}

const HEADERS: [(&str, usize); 4] = [("k,v", 2), ("a,b,c", 3), ("\"long\nname\",\"v, w\"", 2), ("one", 1)];

#[test]
fn dirty_text_is_read_alike_wherever_it_is_cut() {
    let mut dice = Dice(11);
    for round in 0..2000 {
        let (header, fields) = HEADERS[dice.below(HEADERS.len())];
        let policy = [MalformedPolicy::Skip, MalformedPolicy::Pad][dice.below(2)];
        let most = [1 << 20, 40, 12, 3][dice.below(4)];
        let tokens = 1 + dice.below(40);
        let text = format!("{header}\n{}", dirty(&mut dice, header, tokens));
        let start = header.len() + 1;
        let rules = rules(header, fields, policy, most);
        let expected = Expected::default();
        let headers = if fields > 1 { vec![header, quoted(header)] } else { Vec::new() };
        let twin = Twin { text: text.as_bytes(), headers, fields, policy, most, expected }.run(start);
        for cuts in 0..8 {
            let mut cuts: Vec<usize> = match cuts {
                0 => Vec::new(),
                1 => (0..=text.len()).collect(),
                _ => (0..1 + dice.below(6)).map(|_| dice.below(text.len() + 1)).collect(),
            };
            cuts.sort_unstable();
            let batch_bytes = [1, 20, 1 << 18][dice.below(3)];
            let script = Script::new(text.as_bytes(), &cuts);
            let told = Interleaving::over(script, reader(rules.clone(), batch_bytes), &text[..start], &mut dice);
            let how = (round, &text, &cuts, policy, most, fields, batch_bytes);
            assert!(told.error.is_none() && told.files_done == 1, "{how:?} {:?}", told.error);
            assert_eq!(found(&told), twin, "{how:?}");
            assert_eq!(told.records as usize, told.rows.len(), "{how:?}");
            for ((_, position, byte, line, record), number) in told.rows.iter().zip(1..) {
                let lines = text.as_bytes()[..*byte as usize].iter().filter(|&&byte| byte == b'\n').count() as u64;
                assert_eq!((position, *line), (byte, lines + 1), "{how:?}");
                assert_eq!(*record, number, "{how:?}");
            }
        }
    }
}

/// Long enough for several windows, and damaged at one place in so many.
#[test]
fn engines_agree_on_long_damaged_text() {
    let mut dice = Dice(12);
    for round in 0..60 {
        let (header, fields) = HEADERS[round % 2];
        let line = ["1,2\n", "aa,bb,cc\n", "x,\"y, z\",w\r\n", "p,\"q\nr\"\n"][dice.below(4)];
        let every = [3, 40, 2000][dice.below(3)];
        let mut text = String::new();
        for _ in 0..20_000 {
            match dice.below(every) {
                0 => text.push_str(&dirty(&mut dice, header, 3)),
                _ => text.push_str(line),
            }
        }
        let policy = [MalformedPolicy::Skip, MalformedPolicy::Pad][dice.below(2)];
        let rules = rules(header, fields, policy, 1 << 20);
        let batch_bytes = [1 << 12, 1 << 18, usize::MAX][dice.below(3)];
        let all = |engine: Engine| {
            let (mut index, mut overlong, mut at, mut all) = (RecordIndex::new(), Overlong::default(), 0, Vec::new());
            while at < text.len() {
                index.clear();
                let span = Span { text: text.as_bytes(), from: at, until: text.len(), at_end: true };
                let taken = rules.take_with(engine, span, batch_bytes, &mut index, Long::Pass(0, &mut overlong));
                assert!(taken.consumed > at);
                at = taken.consumed;
                let ends = (0..index.records()).flat_map(|record| (0..fields).map(move |field| (record, field)));
                all.push((index.starts().to_vec(), ends.map(|(record, field)| index.field(record, field)).collect()));
                let places = taken.aside.iter().map(|aside| (aside.start as u32, aside.end as u32)).collect::<Vec<_>>();
                let lines = taken.aside.iter().map(|aside| aside.lines as u32).collect();
                all.push((lines, places.iter().map(|place| place.0 as usize..place.1 as usize).collect()));
                all.push((vec![taken.lines as u32], taken.padded.starts.iter().map(|&at| at..at).collect()));
                all.push((Vec::new(), taken.repeated.starts.iter().map(|&at| at..at).collect::<Vec<_>>()));
            }
            all
        };
        // Batches may end elsewhere.
        let joined = |engine| {
            let mut joined: [(Vec<u32>, Vec<std::ops::Range<usize>>); 4] = Default::default();
            for (at, (numbers, ranges)) in all(engine).into_iter().enumerate() {
                let whole = batch_bytes == usize::MAX;
                joined[at % 4].0.extend(numbers.into_iter().filter(|_| whole || at % 4 == 0));
                joined[at % 4].1.extend(ranges);
            }
            joined
        };
        let scalar = joined(Engine::Scalar);
        for engine in Engine::available() {
            assert!(joined(engine) == scalar, "{engine:?} round {round}");
        }
    }
}

/// Each line opens a quote that none behind it closes, or only text far behind shows to be broken.
#[test]
fn hostile_quotes_cost_time_in_proportion_to_the_text() {
    for line in ["a,\"\n", "a\",\"\n", "\"x\",\"\n", "\"\"\"x\n", "x,\"\"\"\"\"\n"] {
        let text = line.repeat(200_000);
        let rules = rules("k,v", 2, MalformedPolicy::Skip, 1 << 20);
        let (mut index, mut overlong, mut at) = (RecordIndex::new(), Overlong::default(), 0);
        let begin = std::time::Instant::now();
        while at < text.len() {
            index.clear();
            let span = Span { text: text.as_bytes(), from: at, until: text.len(), at_end: true };
            at = rules.take(span, 1 << 18, &mut index, Long::Pass(0, &mut overlong)).consumed;
        }
        assert!(begin.elapsed().as_secs() < 20, "{line:?} took {:?}", begin.elapsed());
    }
}
