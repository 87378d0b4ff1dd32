//! Where a text that begins amid a file has its first record start.

use super::dialect::Dialect;
use super::record::scan_record;
use memchr::memchr;

/// How much text speaks for or against a hypothesis.
const EVIDENCE_BYTES: usize = 16 << 10;
/// How many records are enough evidence.
const EVIDENCE_RECORDS: u32 = 64;

/// A guess at the offset of the first record start in a text that begins anywhere in a file, even inside quotes.
///
/// Without quotes near the beginning it is the place after the first line end. With quotes, two hypotheses, inside and
/// outside quotes, are each followed for some kilobytes, and the one under which more records are well-formed wins.
/// The text before the guess, together with what precedes it in the file, must be checked to be complete records.
/// `None` when no record ends in the text.
pub fn guess_record_start(text: &[u8], dialect: &Dialect, fields: usize) -> Option<usize> {
    let near = &text[..text.len().min(EVIDENCE_BYTES)];
    let first_line = memchr(b'\n', text).map(|at| at + 1);
    let Some(quote) = dialect.quote().filter(|&quote| memchr(quote, near).is_some()) else {
        return first_line;
    };
    let outside = end_of_record(text, 0, dialect);
    let inside = close_of_field(text, quote, dialect).and_then(|at| end_of_record(text, at, dialect));
    match (outside, inside) {
        (Some(outside), Some(inside)) if outside != inside => {
            let (for_outside, for_inside) =
                (support(text, outside, dialect, fields), support(text, inside, dialect, fields));
            Some(if for_inside > for_outside { inside } else { outside })
        }
        (outside, inside) => outside.or(inside),
    }
}

/// Where the record that goes on at `at`, at a field's start or amid an unquoted field, has ended.
fn end_of_record(text: &[u8], at: usize, dialect: &Dialect) -> Option<usize> {
    scan_record(text, at, dialect, false, 0, &mut Vec::new()).map(|record| record.next)
}

/// The end of the quoted field inside which the text begins: after the first quote that is not doubled and stands
/// before a delimiter or a line end.
fn close_of_field(text: &[u8], quote: u8, dialect: &Dialect) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr(quote, text.get(at..)?)? + 1;
        match text.get(at)? {
            b'\n' | b'\r' => return Some(at),
            &byte if byte == quote => at += 1,
            &byte if byte == dialect.delimiter() => return Some(at),
            _ => {}
        }
    }
}

/// Share of the records from `at` on that are well-formed, as (well-formed − malformed, well-formed).
fn support(text: &[u8], mut at: usize, dialect: &Dialect, fields: usize) -> (i64, u32) {
    let stop = at.saturating_add(EVIDENCE_BYTES);
    let (mut good, mut bad) = (0, 0);
    while at < stop.min(text.len()) && good + bad < EVIDENCE_RECORDS {
        let Some(record) = scan_record(text, at, dialect, false, 0, &mut Vec::new()) else {
            break;
        };
        let blank = record.blank && fields > 1;
        if record.trouble.is_none() && (record.fields == fields || blank) {
            good += 1;
        } else {
            bad += 1;
        }
        at = record.next;
    }
    (i64::from(good) - i64::from(bad), good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_inside_quotes_is_told_from_one_outside() {
        let text = b"1,\"a,b\nc\",2\n3,\"d\ne,f\",4\n5,\"g,\n\",6\n";
        let starts = [0, 12, 25, text.len()];
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
