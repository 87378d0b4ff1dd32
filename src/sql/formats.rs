//! Formats of dates as other dialects write them, told as `strftime` has them.

/// Pieces of a format and what `strftime` has for them; of those that begin alike the longer one comes first.
type Pieces = &'static [(&'static str, &'static str)];

/// Those of `to_char`, as Oracle and PostgreSQL have it. Names of months and days are padded with blanks there unless `FM` says
/// otherwise, and are not known without it.
const OF_TO_CHAR: Pieces = &[
    ("YYYY", "%Y"),
    ("yyyy", "%Y"),
    ("YY", "%y"),
    ("yy", "%y"),
    ("FMMonth", "%B"),
    ("FMDay", "%A"),
    ("Mon", "%b"),
    ("Dy", "%a"),
    ("MM", "%m"),
    ("mm", "%m"),
    ("DDD", "%j"),
    ("ddd", "%j"),
    ("DD", "%d"),
    ("dd", "%d"),
    ("HH24", "%H"),
    ("hh24", "%H"),
    ("HH12", "%I"),
    ("hh12", "%I"),
    ("HH", "%I"),
    ("hh", "%I"),
    ("MI", "%M"),
    ("mi", "%M"),
    ("SS", "%S"),
    ("ss", "%S"),
    ("US", "%f"),
    ("AM", "%p"),
    ("PM", "%p"),
];

/// Those of `date_format` in Spark, as Java has them.
const OF_JAVA: Pieces = &[
    ("yyyy", "%Y"),
    ("yy", "%y"),
    ("MMMM", "%B"),
    ("MMM", "%b"),
    ("MM", "%m"),
    ("DDD", "%j"),
    ("dd", "%d"),
    ("HH", "%H"),
    ("hh", "%I"),
    ("mm", "%M"),
    ("SSSSSS", "%f"),
    ("ss", "%S"),
    ("a", "%p"),
    ("EEEE", "%A"),
    ("EEE", "%a"),
];

/// Those of `date_format` in MySQL.
const OF_MYSQL: Pieces = &[
    ("%Y", "%Y"),
    ("%y", "%y"),
    ("%m", "%m"),
    ("%d", "%d"),
    ("%j", "%j"),
    ("%H", "%H"),
    ("%h", "%I"),
    ("%I", "%I"),
    ("%i", "%M"),
    ("%s", "%S"),
    ("%S", "%S"),
    ("%f", "%f"),
    ("%p", "%p"),
    ("%a", "%a"),
    ("%W", "%A"),
    ("%b", "%b"),
    ("%M", "%B"),
    ("%T", "%T"),
    ("%%", "%%"),
];

/// The format of `strftime` for that of a function that writes dates; `None` for another function, and for a format with pieces that
/// `strftime` has not.
pub(super) fn as_strftime(function: &str, format: &str) -> Option<String> {
    match function {
        "to_char" => told(format, OF_TO_CHAR, '"'),
        "date_format" if format.contains('%') => told(format, OF_MYSQL, '\0'),
        "date_format" => told(format, OF_JAVA, '\''),
        _ => None,
    }
}

/// `quote` stands around what is written as it is.
fn told(format: &str, pieces: Pieces, quote: char) -> Option<String> {
    let (mut told, mut rest) = (String::with_capacity(format.len() + 8), format);
    while let Some(sign) = rest.chars().next() {
        if let Some((theirs, ours)) = pieces.iter().find(|(theirs, _)| rest.starts_with(theirs)) {
            told.push_str(ours);
            rest = &rest[theirs.len()..];
            // One more of the same letter is another piece: `SSSS` are the seconds since midnight.
            if pieces != OF_MYSQL && theirs.chars().next_back() == rest.chars().next() {
                return None;
            }
            continue;
        }
        rest = &rest[sign.len_utf8()..];
        if sign == quote {
            let end = rest.find(quote)?;
            told.push_str(&rest[..end].replace('%', "%%"));
            rest = &rest[end + quote.len_utf8()..];
        } else if sign == '%' || pieces != OF_MYSQL && sign.is_alphanumeric() {
            return None;
        } else {
            told.push(sign);
        }
    }
    Some(told)
}

#[cfg(test)]
mod tests {
    use super::as_strftime;

    #[test]
    fn formats_of_others_are_told_as_ours_or_not_at_all() {
        for (function, theirs, ours) in [
            ("to_char", "YYYY-MM-DD HH24:MI:SS", Some("%Y-%m-%d %H:%M:%S")),
            ("to_char", "DD Mon YY \"at 5%\"", Some("%d %b %y at 5%%")),
            ("to_char", "FMMonth", Some("%B")),
            ("to_char", "Month", None),
            ("to_char", "999.99", None),
            ("to_char", "SSSS", None),
            ("to_char", "HH24:MI:SSSSS", None),
            ("to_char", "YYYYMMDDHH24MISS", Some("%Y%m%d%H%M%S")),
            ("date_format", "yyyyMMdd HHmmss", Some("%Y%m%d %H%M%S")),
            ("date_format", "dddd", None),
            ("date_format", "%Y%Y", Some("%Y%Y")),
            ("to_char", "YYYY \"", None),
            ("date_format", "%Y-%m %H:%i:%s %M %W", Some("%Y-%m %H:%M:%S %B %A")),
            ("date_format", "%e", None),
            ("date_format", "yyyy-MM-dd'T'HH:mm", Some("%Y-%m-%dT%H:%M")),
            ("date_format", "QQ", None),
            ("strftime", "%Y", None),
        ] {
            assert_eq!(as_strftime(function, theirs).as_deref(), ours, "{theirs}");
        }
    }
}
