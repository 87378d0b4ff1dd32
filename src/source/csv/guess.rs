//! Where a text that begins amid a file has its first record start.

use super::dialect::Dialect;
use super::record::{after_line, next_quote, scan_record};
use memchr::memchr;

/// How much text speaks for or against a hypothesis.
const EVIDENCE_BYTES: usize = 16 << 10;
/// How many records are enough evidence.
const EVIDENCE_RECORDS: i64 = 64;

/// A guess at the offset of the first record start in a text that begins anywhere in a file, even inside quotes.
///
/// Without quotes near the beginning it is the place after the first line end. With quotes, two hypotheses, inside and
/// outside quotes, are each followed for some kilobytes, and the one under which more records are well-formed wins.
/// The text before the guess, together with what precedes it in the file, must be checked to be complete records.
/// `None` when no record ends in the text.
pub fn guess_record_start(text: &[u8], dialect: &Dialect, fields: usize) -> Option<usize> {
    let near = &text[..text.len().min(EVIDENCE_BYTES)];
    let first_line = after_line(text, 0, dialect);
    let Some(quote) = dialect.quote().filter(|&quote| memchr(quote, near).is_some()) else {
        return first_line;
    };
    let outside = Hypothesis::follow(text, 0, 0, dialect);
    let inside = close_of_field(text, quote, dialect).and_then(|(at, odd)| Hypothesis::follow(text, at, odd, dialect));
    match (outside, inside) {
        (Some(outside), Some(inside)) if outside.start != inside.start => {
            let [for_outside, for_inside] = [outside, inside].map(|it| it.support(text, quote, dialect, fields));
            Some(if for_inside > for_outside { inside.start } else { outside.start })
        }
        (outside, inside) => outside.or(inside).map(|it| it.start),
    }
}

/// A place where the first record may start.
#[derive(Clone, Copy)]
struct Hypothesis {
    start: usize,
    /// What is wrong with the text before, should the hypothesis hold.
    odd: i64,
}

impl Hypothesis {
    /// The record going on at `at`, at a field's start or amid an unquoted field, is the last before the start.
    fn follow(text: &[u8], at: usize, odd: i64, dialect: &Dialect) -> Option<Self> {
        let record = scan_record(text, at, dialect, false, 0, &mut Vec::new())?;
        Some(Hypothesis { start: record.next, odd: odd + i64::from(record.trouble.is_some()) })
    }

    /// How many more of the next records are plausible than are not, and how many are. An odd number of quotes in a
    /// record, escaped ones left out, means that one stands inside a field, which is allowed but rare.
    fn support(self, text: &[u8], quote: u8, dialect: &Dialect, fields: usize) -> (i64, i64) {
        let stop = self.start.saturating_add(EVIDENCE_BYTES).min(text.len());
        let (mut at, mut good, mut bad) = (self.start, 0, self.odd);
        while at < stop && good + bad < EVIDENCE_RECORDS {
            let Some(record) = scan_record(text, at, dialect, false, 0, &mut Vec::new()) else {
                break;
            };
            let right_shape = record.fields == fields || record.blank && fields > 1 || record.comment;
            let paired = || count_quotes(&text[at..record.next], quote, dialect.escape()).is_multiple_of(2);
            if right_shape && record.trouble.is_none() && (record.comment || paired()) {
                good += 1;
            } else {
                bad += 1;
            }
            at = record.next;
        }
        (good - bad, good)
    }
}

/// Number of quotes that are not escaped.
fn count_quotes(text: &[u8], quote: u8, escape: Option<u8>) -> usize {
    let (mut at, mut count) = (0, 0);
    while let Some(distance) = text.get(at..).and_then(|rest| next_quote(rest, quote, escape)) {
        at += distance + 1;
        count += 1;
    }
    count
}

/// The end of the quoted field inside which the text begins: after the first quote that is not doubled and stands
/// before a delimiter or a line end; and the number of quotes passed that do neither.
fn close_of_field(text: &[u8], quote: u8, dialect: &Dialect) -> Option<(usize, i64)> {
    let (mut at, mut odd) = (0, 0);
    loop {
        at += next_quote(text.get(at..)?, quote, dialect.escape())? + 1;
        match *text.get(at)? {
            byte if byte == dialect.line_end().byte() || byte == b'\r' => return Some((at, odd)),
            byte if byte == quote => at += 1,
            byte if byte == dialect.delimiter() => return Some((at, odd)),
            _ => odd += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_inside_quotes_is_told_from_one_outside() {
        let text = b"1,\"a,b\nc\",2\n3,\"d\ne,f\",4\n5,\"g,\n\",6\n";
        let starts = [0, 12, 24, text.len()];
        for cut in 1..text.len() {
            let truth = starts.iter().copied().find(|&start| start > cut).map(|start| start - cut);
            let guess = guess_record_start(&text[cut..], &Dialect::default(), 3);
            // Little evidence is left near the end.
            if cut < 20 {
                assert_eq!(guess, truth, "cut at {cut}");
            }
        }
    }

    #[test]
    fn without_line_end_there_is_no_guess() {
        assert_eq!(guess_record_start(b"abc,def", &Dialect::default(), 2), None);
        assert_eq!(guess_record_start(b"abc,\"def\n", &Dialect::default(), 2), None);
        assert_eq!(guess_record_start(b"", &Dialect::default(), 2), None);
    }
}
