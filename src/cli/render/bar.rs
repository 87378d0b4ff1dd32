//! Bars and small histograms of block characters.

/// A bar of the given share, from 0 to 1, of `width` characters; whatever is above 0 can be seen.
pub(super) fn bar(share: f64, width: usize) -> String {
    const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let eighths = (share * width as f64 * 8.0).round() as usize;
    let eighths = if share > 0.0 { eighths.max(1) } else { 0 };
    let mut text = "█".repeat(eighths / 8);
    text.extend((eighths % 8).checked_sub(1).map(|last| EIGHTHS[last]));
    text
}

/// A character for each count, as high as its share of the largest; a blank for 0.
pub(super) fn columns(counts: &[i64]) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let height = |count: &i64| match count {
        ..=0 => ' ',
        count => HEIGHTS[((*count as f64 / most as f64 * 8.0).ceil() as usize).clamp(1, 8) - 1],
    };
    counts.iter().map(height).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_share_and_never_lost() {
        assert_eq!(bar(0.5, 4), "██");
        assert_eq!(bar(1.0, 4), "████");
        assert_eq!(bar(7.0, 4), "████");
        assert_eq!(bar(0.28, 4), "█▏");
        assert_eq!(bar(1e-9, 4), "▏");
        assert_eq!((bar(0.0, 4), bar(f64::NAN, 4)), (String::new(), String::new()));
    }

    #[test]
    fn columns_show_what_is_there_and_what_is_not() {
        assert_eq!(columns(&[0, 1, 50, 100, 1000]), " ▁▁▁█");
        assert_eq!(columns(&[1, 2, 3, 4, 5, 6, 7, 8]), "▁▂▃▄▅▆▇█");
        assert_eq!((columns(&[]), columns(&[0])), (String::new(), " ".to_owned()));
    }
}
