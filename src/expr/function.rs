//! The functions of one row: names and how many arguments they take.

use super::elsewhere::written_here;
use crate::error::{did_you_mean, nearest_of};
use std::fmt;

/// A function of values of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Function {
    /// Upper case of a text.
    Upper,
    /// Lower case of a text.
    Lower,
    /// Number of characters of a text.
    Length,
    /// `substring(text, start, length)`: characters from `start` (the first is 1), to the end without `length`.
    Substring,
    /// A text without white space at both ends.
    Trim,
    /// A text without white space at its start.
    Ltrim,
    /// A text without white space at its end.
    Rtrim,
    /// Whether a text starts with another.
    StartsWith,
    /// Whether a text ends with another.
    EndsWith,
    /// Whether a text contains another.
    Contains,
    /// `replace(text, from, to)`: every `from` replaced by `to`.
    Replace,
    /// Value without its sign.
    Abs,
    /// `round(x)` or `round(x, digits)`, halves away from zero.
    Round,
    /// The largest whole number not above.
    Floor,
    /// The smallest whole number not below.
    Ceil,
    /// Square root; NaN below zero.
    Sqrt,
    /// Natural logarithm.
    Ln,
    /// Logarithm to base 10.
    Log10,
    /// Logarithm to base 2.
    Log2,
    /// Natural logarithm of one argument (as in R, NumPy and Polars; in PostgreSQL and DuckDB that is `log10`), or
    /// `log(base, x)` as in SQL.
    Log,
    /// `log1p(x)`: ln(1 + x), precise near 0.
    Log1p,
    /// e to a power.
    Exp,
    /// `expm1(x)`: exp(x) − 1, precise near 0.
    Expm1,
    /// Cube root.
    Cbrt,
    /// −1, 0 or 1.
    Sign,
    /// Sine of an angle in radians.
    Sin,
    /// Cosine of an angle in radians.
    Cos,
    /// Tangent of an angle in radians.
    Tan,
    /// Arc sine, in radians; NaN beyond ±1.
    Asin,
    /// Arc cosine, in radians; NaN beyond ±1.
    Acos,
    /// Arc tangent, in radians.
    Atan,
    /// `atan2(y, x)`: the angle of the point (x, y), from −π to π.
    Atan2,
    /// Hyperbolic sine.
    Sinh,
    /// Hyperbolic cosine.
    Cosh,
    /// Hyperbolic tangent.
    Tanh,
    /// Inverse hyperbolic sine.
    Asinh,
    /// Inverse hyperbolic cosine; NaN below 1.
    Acosh,
    /// Inverse hyperbolic tangent; NaN beyond ±1.
    Atanh,
    /// `hypot(x, y)`: √(x² + y²) without overflow on the way.
    Hypot,
    /// `pi()`.
    Pi,
    /// Radians in degrees.
    Degrees,
    /// Degrees in radians.
    Radians,
    /// The gamma function.
    Gamma,
    /// Natural logarithm of the gamma function's magnitude.
    Lgamma,
    /// The error function.
    Erf,
    /// 1 − erf(x), precise far from 0.
    Erfc,
    /// Whether a number is NaN.
    IsNan,
    /// Whether a number is neither NaN nor infinite.
    IsFinite,
    /// Whether a number is infinite.
    IsInfinite,
    /// `power(x, y)`: x to the power y, Float64.
    Power,
    /// `make_date(year, month, day)`.
    MakeDate,
    /// `make_timestamp(year, month, day, hour, minute, second)`; the second may have decimals.
    MakeTimestamp,
    /// Year of a date or time.
    Year,
    /// Quarter, 1 to 4.
    Quarter,
    /// Month, 1 to 12.
    Month,
    /// ISO 8601 week, 1 to 53.
    Week,
    /// Day of the month, 1 to 31.
    Day,
    /// Day of the year, 1 to 366.
    DayOfYear,
    /// Day of the week, Monday = 1 to Sunday = 7.
    IsoDow,
    /// Day of the week, Sunday = 0 to Saturday = 6.
    Dow,
    /// Hour of a Timestamp, 0 to 23.
    Hour,
    /// Minute of a Timestamp, 0 to 59.
    Minute,
    /// Whole second of a Timestamp, 0 to 59.
    Second,
    /// `date_trunc('month', d)`: the start of the year, quarter, month, week (Monday), day, hour, minute or second.
    DateTrunc,
    /// `fold(k, seed)`: the fold of the row, 0 to k − 1, by a hash of its identity; seed 0 unless given.
    Fold,
    /// `random(seed)`: uniform over [0, 1), by a hash of the row's identity, the same in every run.
    Random,
    /// The first argument that is not null; later ones are evaluated only where needed.
    Coalesce,
    /// `nullif(a, b)`: null where a = b, else a.
    Nullif,
    /// The greatest argument that is not null.
    Greatest,
    /// The least argument that is not null.
    Least,
    /// `strpos(text, part)`: which character of a text a part of it begins at, from 1; 0 where it is not in it.
    Position,
    /// The characters of a text from its end to its start.
    Reverse,
    /// `lpad(text, n, pad)`: a text of so many characters, cut, or with others before it; blanks unless given.
    Lpad,
    /// `rpad(text, n, pad)`: the same with others behind it.
    Rpad,
    /// `split_part(text, separator, n)`: the nth part, from the end for a negative n; empty where there is none.
    SplitPart,
    /// `strftime(d, '%Y-%m')`: a date or time as text.
    Strftime,
    /// `regexp_matches(text, pattern, options)`: whether a text has a match of a regular expression; `i` ignores case, `s` lets a
    /// dot be a line end, `l` takes the pattern as a plain text.
    RegexpMatches,
    /// `regexp_full_match(text, pattern, options)`: whether all of a text is a match.
    RegexpFullMatch,
    /// `regexp_replace(text, pattern, by, options)`: the first match, with the option `g` every one, replaced; `\1` is a group.
    RegexpReplace,
    /// `regexp_extract(text, pattern, group, options)`: the first match or a group of it, empty where there is none.
    RegexpExtract,
    /// `date_add(d, '1 month')`, also `d + interval '1 month'`: later by an interval, or by so many of them with a third argument.
    /// Of a month that is too short the last day; a Date stays one unless the interval has hours, minutes or seconds.
    DateAdd,
    /// `date_diff('month', a, b)`: how many beginnings of such a unit lie behind a, up to b; of weeks, how many seven days.
    DateDiff,
    /// `epoch(d)`: seconds since 1970-01-01T00:00:00, Float64; a number of seconds is itself.
    Epoch,
    /// `to_decimal(x, p, s)`, also `cast(x as decimal(p, s))`: rounded to s digits behind the point, Float64, or Int64 for a whole
    /// number and an s of 0; more than p digits are an error.
    ToDecimal,
    /// `try_to_decimal(x, p, s)`: the same, null for what does not fit.
    TryToDecimal,
    /// `predict(model, x…)`: what a fit, the text `ols(y, x…).model`, predicts from its regressors; Float64, null for a level
    /// of a factor that the fit does not know.
    Predict,
}

/// Names (the first is the canonical one), fewest and most arguments.
type Entry = (Function, &'static [&'static str], usize, usize);

const ANY: usize = usize::MAX;

const TABLE: &[Entry] = &[
    (Function::Upper, &["upper"], 1, 1),
    (Function::Lower, &["lower"], 1, 1),
    (Function::Length, &["length", "char_length", "len"], 1, 1),
    (Function::Substring, &["substring", "substr"], 2, 3),
    (Function::Trim, &["trim", "btrim"], 1, 1),
    (Function::Ltrim, &["ltrim"], 1, 1),
    (Function::Rtrim, &["rtrim"], 1, 1),
    (Function::StartsWith, &["starts_with"], 2, 2),
    (Function::EndsWith, &["ends_with"], 2, 2),
    (Function::Contains, &["contains"], 2, 2),
    (Function::Replace, &["replace"], 3, 3),
    (Function::Abs, &["abs"], 1, 1),
    (Function::Round, &["round"], 1, 2),
    (Function::Floor, &["floor"], 1, 1),
    (Function::Ceil, &["ceil", "ceiling"], 1, 1),
    (Function::Sqrt, &["sqrt"], 1, 1),
    (Function::Ln, &["ln"], 1, 1),
    (Function::Log10, &["log10"], 1, 1),
    (Function::Log2, &["log2"], 1, 1),
    (Function::Log, &["log"], 1, 2),
    (Function::Log1p, &["log1p"], 1, 1),
    (Function::Exp, &["exp"], 1, 1),
    (Function::Expm1, &["expm1"], 1, 1),
    (Function::Cbrt, &["cbrt"], 1, 1),
    (Function::Sign, &["sign"], 1, 1),
    (Function::Sin, &["sin"], 1, 1),
    (Function::Cos, &["cos"], 1, 1),
    (Function::Tan, &["tan"], 1, 1),
    (Function::Asin, &["asin"], 1, 1),
    (Function::Acos, &["acos"], 1, 1),
    (Function::Atan, &["atan"], 1, 1),
    (Function::Atan2, &["atan2"], 2, 2),
    (Function::Sinh, &["sinh"], 1, 1),
    (Function::Cosh, &["cosh"], 1, 1),
    (Function::Tanh, &["tanh"], 1, 1),
    (Function::Asinh, &["asinh"], 1, 1),
    (Function::Acosh, &["acosh"], 1, 1),
    (Function::Atanh, &["atanh"], 1, 1),
    (Function::Hypot, &["hypot"], 2, 2),
    (Function::Pi, &["pi"], 0, 0),
    (Function::Degrees, &["degrees"], 1, 1),
    (Function::Radians, &["radians"], 1, 1),
    (Function::Gamma, &["gamma"], 1, 1),
    (Function::Lgamma, &["lgamma"], 1, 1),
    (Function::Erf, &["erf"], 1, 1),
    (Function::Erfc, &["erfc"], 1, 1),
    (Function::IsNan, &["is_nan", "isnan"], 1, 1),
    (Function::IsFinite, &["is_finite", "isfinite"], 1, 1),
    (Function::IsInfinite, &["is_infinite", "isinf"], 1, 1),
    (Function::Power, &["power", "pow"], 2, 2),
    (Function::MakeDate, &["make_date"], 3, 3),
    (Function::MakeTimestamp, &["make_timestamp"], 6, 6),
    (Function::Year, &["year"], 1, 1),
    (Function::Quarter, &["quarter"], 1, 1),
    (Function::Month, &["month"], 1, 1),
    (Function::Week, &["week"], 1, 1),
    (Function::Day, &["day"], 1, 1),
    (Function::DayOfYear, &["dayofyear", "doy"], 1, 1),
    (Function::IsoDow, &["isodow"], 1, 1),
    (Function::Dow, &["dow"], 1, 1),
    (Function::Hour, &["hour"], 1, 1),
    (Function::Minute, &["minute"], 1, 1),
    (Function::Second, &["second"], 1, 1),
    (Function::DateTrunc, &["date_trunc", "datetrunc"], 2, 2),
    (Function::Fold, &["fold"], 1, 2),
    (Function::Random, &["random"], 1, 1),
    (Function::Coalesce, &["coalesce", "ifnull"], 1, ANY),
    (Function::Nullif, &["nullif"], 2, 2),
    (Function::Greatest, &["greatest"], 1, ANY),
    (Function::Least, &["least"], 1, ANY),
    (Function::Position, &["strpos", "instr", "position"], 2, 2),
    (Function::Reverse, &["reverse"], 1, 1),
    (Function::Lpad, &["lpad"], 2, 3),
    (Function::Rpad, &["rpad"], 2, 3),
    (Function::SplitPart, &["split_part"], 3, 3),
    (Function::Strftime, &["strftime"], 2, 2),
    (Function::RegexpMatches, &["regexp_matches", "regexp_like"], 2, 3),
    (Function::RegexpFullMatch, &["regexp_full_match"], 2, 3),
    (Function::RegexpReplace, &["regexp_replace"], 3, 4),
    (Function::RegexpExtract, &["regexp_extract"], 2, 4),
    (Function::DateAdd, &["date_add"], 2, 3),
    (Function::DateDiff, &["date_diff", "datediff"], 3, 3),
    (Function::Epoch, &["epoch"], 1, 1),
    (Function::ToDecimal, &["to_decimal"], 3, 3),
    (Function::TryToDecimal, &["try_to_decimal"], 3, 3),
    (Function::Predict, &["predict"], 1, ANY),
];

impl Function {
    /// The function users call `name` (case ignored).
    pub fn find(name: &str) -> Option<Function> {
        let lower = name.to_lowercase();
        TABLE.iter().find(|(_, names, ..)| names.contains(&lower.as_str())).map(|entry| entry.0)
    }

    /// Every name users may write, synonyms included.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TABLE.iter().flat_map(|(_, names, ..)| names.iter().copied())
    }

    fn entry(self) -> &'static Entry {
        // Every variant has an entry; `every_function_is_in_the_table` checks it.
        TABLE.iter().find(|entry| entry.0 == self).unwrap_or(&TABLE[0])
    }

    /// The canonical name.
    pub fn name(self) -> &'static str {
        self.entry().1[0]
    }

    /// What is wrong with calling this function with `count` arguments, if anything.
    pub(crate) fn wrong_count(self, count: usize) -> Option<String> {
        let &(_, _, fewest, most) = self.entry();
        let wanted = match (fewest, most) {
            _ if (fewest..=most).contains(&count) => return None,
            (0, 0) => "no arguments".to_string(),
            (1, ANY) => "at least one argument".to_string(),
            (1, 1) => "one argument".to_string(),
            _ if fewest == most => format!("{fewest} arguments"),
            _ => format!("{fewest} or {most} arguments"),
        };
        Some(format!("`{}` takes {wanted}, not {count}", self.name()))
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What to try instead of the function `name`, which does not exist; `others` are names that may stand there too.
pub(crate) fn suggest<'a>(name: &str, others: impl IntoIterator<Item = &'a str>) -> String {
    if let Some(hint) = written_here(name) {
        return hint.to_string();
    }
    let all: Vec<&str> = Function::names().map(|name| -> &str { name }).chain(others).collect();
    match did_you_mean(name, all.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => nearest_of(name, all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_find_their_function() {
        let mut names: Vec<_> = Function::names().collect();
        for name in &names {
            assert!(Function::find(&name.to_uppercase()).is_some());
        }
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(before, names.len());
    }

    #[test]
    fn every_function_is_in_the_table() {
        // `Predict` is the last variant, so the table is complete when it has as many entries.
        assert_eq!(TABLE.len(), Function::Predict as usize + 1);
        for entry in TABLE {
            assert_eq!(entry.0.name(), entry.1[0]);
        }
    }
}
