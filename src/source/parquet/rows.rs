//! Arithmetic on rows of a row group, kept as ascending, disjoint ranges.

use arrow::array::BooleanArray;
use std::ops::Range;

/// One range.
pub(super) fn only(range: Range<u64>) -> Vec<Range<u64>> {
    std::iter::once(range).collect()
}

/// Rows that lie in both lists of ascending, disjoint ranges.
pub(super) fn intersect(a: &[Range<u64>], b: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut both = Vec::new();
    let (mut a, mut b) = (a.iter().cloned().peekable(), b.iter().cloned().peekable());
    while let (Some(one), Some(other)) = (a.peek(), b.peek()) {
        let (start, end) = (one.start.max(other.start), one.end.min(other.end));
        if start < end {
            both.push(start..end);
        }
        let shorter = if one.end <= other.end { &mut a } else { &mut b };
        shorter.next();
    }
    both
}

/// Rows of one list of ascending, disjoint ranges that do not lie in another.
pub(super) fn subtract(from: &[Range<u64>], without: &[Range<u64>]) -> Vec<Range<u64>> {
    let starts = std::iter::once(0).chain(without.iter().map(|range| range.end));
    let ends = without.iter().map(|range| range.start).chain(std::iter::once(u64::MAX));
    let gaps: Vec<Range<u64>> = starts.zip(ends).map(|(start, end)| start..end).filter(|gap| !gap.is_empty()).collect();
    intersect(from, &gaps)
}

/// Rows that lie in either of two lists, as ascending, disjoint ranges.
pub(super) fn unite(a: Vec<Range<u64>>, b: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut all = [a, b].concat();
    all.retain(|range| range.start < range.end);
    all.sort_by_key(|range| range.start);
    let mut united: Vec<Range<u64>> = Vec::with_capacity(all.len());
    for range in all {
        match united.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => united.push(range),
        }
    }
    united
}

/// Appends the rows of `rows` that the mask, which has one entry for each, keeps.
pub(super) fn choose(rows: &[Range<u64>], mask: &BooleanArray, chosen: &mut Vec<Range<u64>>) {
    let mut runs = mask.values().set_slices().map(|(start, end)| start as u64..end as u64).peekable();
    let mut before = 0;
    for range in rows {
        let length = range.end - range.start;
        while let Some(run) = runs.peek() {
            let start = run.start.max(before);
            if start >= before + length {
                break;
            }
            let end = run.end.min(before + length);
            let row = range.start + (start - before);
            match chosen.last_mut() {
                Some(last) if last.end == row => last.end += end - start,
                _ => chosen.push(row..row + (end - start)),
            }
            if run.end > before + length {
                break;
            }
            runs.next();
        }
        before += length;
    }
}

/// Takes the first `limit` rows off.
pub(super) fn take_rows(rows: &mut Vec<Range<u64>>, limit: u64) -> Vec<Range<u64>> {
    let mut taken = Vec::new();
    let mut missing = limit;
    let mut whole = 0;
    for range in rows.iter_mut() {
        let length = range.end - range.start;
        if missing == 0 {
            break;
        }
        let end = range.start + length.min(missing);
        taken.push(range.start..end);
        missing -= end - range.start;
        if end == range.end {
            whole += 1;
        } else {
            range.start = end;
        }
    }
    rows.drain(..whole);
    unite(taken, Vec::new())
}

/// How many rows these are.
pub(super) fn count(rows: &[Range<u64>]) -> u64 {
    rows.iter().map(|range| range.end - range.start).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_meet_and_unite() {
        assert_eq!(intersect(&[0..10, 20..30], &[5..25, 28..40]), [5..10, 20..25, 28..30]);
        assert_eq!(subtract(&[0..10, 20..30], &[3..4, 8..22, 29..40]), [0..3, 4..8, 22..29]);
        assert_eq!(unite(vec![0..10, 20..30], vec![10..12, 29..40, 50..50]), [0..12, 20..40]);
    }
}
