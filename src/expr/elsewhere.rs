//! What other tools (R and its dplyr, pandas, NumPy, Polars, Excel, other SQL) call what questions do: for hints, where a name is not known.

/// Names in small letters, and what to write for them. What is an aggregate or a function here needs no entry.
const TABLE: &[(&[&str], &str)] = &[
    (
        &["percentile", "percentile_cont", "percentile_disc", "quantiles", "pctl", "nanpercentile", "nanquantile"],
        "use `quantile(x, 0.95)`",
    ),
    (&["approx_percentile", "percentile_approx", "tdigest", "quantiletdigest"], "use `approx_quantile(x, 0.95)`"),
    (&["var.s", "var_s", "nanvar"], "`var(x)` divides by n - 1, `var_pop(x)` by n"),
    (&["var.p", "varp", "var_p", "pvariance"], "use `var_pop(x)`"),
    (&["stdev.s", "std_dev", "standard_deviation", "nanstd"], "`std(x)` divides by n - 1, `std_pop(x)` by n"),
    (&["stdev.p", "stdevp", "stdev_pop", "pstdev"], "use `std_pop(x)`"),
    (&["nanmean", "colmeans", "rowmeans", "averagea"], "use `mean(x)`, which leaves missing values out"),
    (&["nansum", "colsums"], "use `sum(x)`, which leaves missing values out"),
    (&["nanmin", "nanmax", "nanmedian"], "use `min(x)`, `max(x)` or `median(x)`, which leave missing values out"),
    (
        &["uniq", "uniqexact", "distinct_count", "countunique", "unique_count", "length_unique"],
        "use `n_unique(x)`, or `approx_n_unique(x)`",
    ),
    (
        &["c"],
        "values in parentheses stand behind `in`: `x in (1, 2)`; each quantile is asked for by itself: `quantile(x, 0.1), quantile(x, 0.9)`",
    ),
    (
        &["rand", "runif", "rnorm", "newid"],
        "use `random(1)`, the same in every run: 1 is a seed; `x sample 100` takes rows at random, and in SQL `tablesample` behind a table does",
    ),
    (&["unique", "drop_duplicates"], "`distinct x` gives each value once, `n_unique(x)` says how many there are"),
    (&["cor", "pearsonr", "correl"], "use `corr(x, y)`"),
    (&["covariance", "covariance.s", "covariance_samp"], "use `cov(x, y)`"),
    (&["lm", "linregress", "linear_regression", "linest"], "use `ols(y, x)`, or a formula: `ols('y ~ x')`"),
    (&["glm", "logistic_regression"], "use `logistic(y, x)` or `poisson(y, x)`"),
    (
        &["tapply", "sapply", "lapply", "aggregate", "groupby", "group_by", "ddply", "summarise", "summarize"],
        "a clause has the groups: `mean(x) by g`",
    ),
    (
        &["n", "nrow", "n_rows", "row_count", "countrows", "counta", "size"],
        "`count(*)` counts rows, `count(x)` those in which x is there",
    ),
    (&["value_counts", "table", "tally", "xtabs"], "`count(*) by x` counts each value; so does `outcrop freq`"),
    (
        &["summary", "glimpse", "skim", "info", "profile", "data_summary", "describe"],
        "`outcrop describe` tells of all columns, and so does `summarize` in SQL",
    ),
    (
        &[
            "cumsum",
            "cum_sum",
            "cumulative_sum",
            "cumcount",
            "cum_count",
            "cummax",
            "cum_max",
            "cummin",
            "cum_min",
            "cummean",
        ],
        "behind an aggregate, over (order by t) takes the rows up to each: sum(x) over (order by t)",
    ),
    (
        &[
            "rolling",
            "rolling_mean",
            "rolling_sum",
            "rollmean",
            "rollapply",
            "roll_mean",
            "moving_average",
            "ewm",
            "expanding",
        ],
        "behind an aggregate, over (order by t rows between 6 preceding and current row) goes along with the row",
    ),
    (&["shift", "diff", "pct_change", "lagged"], "lag(x) over (order by t) is the value of the row before"),
    (
        &["pivot", "pivot_table", "pivot_wider", "dcast", "crosstab", "spread", "unstack"],
        "give each column its aggregate: `sum(x) filter (where k = 'a') as a, sum(x) filter (where k = 'b') as b`",
    ),
    (
        &["unpivot", "melt", "pivot_longer", "gather", "stack"],
        "in SQL, a query for each column, with `union all` between them, puts columns below each other",
    ),
    (
        &[
            "merge",
            "left_join",
            "inner_join",
            "right_join",
            "full_join",
            "semi_join",
            "anti_join",
            "vlookup",
            "xlookup",
        ],
        "a clause joins tables: `join 'other.csv' on key`",
    ),
    (&["sort_values", "arrange", "order_by", "sort"], "a clause has the order: `x sort y desc limit 10`"),
    (&["slice_head", "slice", "head", "tail", "limit"], "a clause has the number of rows: `x limit 10`"),
    (&["subset", "query"], "a clause has the condition: `x where y > 3`"),
    (&["mutate", "assign", "with_columns", "withcolumn", "transmute"], "name what you compute: `x * 2 as y`"),
    (
        &["sumif", "sumifs", "sum_if", "averageif", "averageifs", "avg_if"],
        "a condition stands behind the aggregate: `sum(x) filter (where c)`",
    ),
    (&["countifs", "count_where"], "use `count_if(c)`"),
    (&["nlargest", "slice_max", "top_n"], "use `largest(x, 3)`"),
    (&["nsmallest", "slice_min", "bottom_n"], "use `smallest(x, 3)`"),
    (&["idxmax", "which.max", "which_max"], "use `arg_max(x, y)`"),
    (&["idxmin", "which.min", "which_min"], "use `arg_min(x, y)`"),
    (
        &["dropna", "drop_na", "drop_nulls", "na.omit", "na_omit", "complete.cases"],
        "a clause leaves rows out: `x where x is not null`; aggregates leave missing values out by themselves",
    ),
    (
        &["printf", "format", "sprintf", "glue", "str_format", "formatc"],
        "join texts with `||`; `round(x, 2)` has two digits, and `strftime(d, '%Y-%m')` writes a date",
    ),
    (
        &["typeof", "type", "dtype", "dtypes", "pg_typeof"],
        "`outcrop schema` tells of the types of columns, and so does `describe` in SQL",
    ),
    (&["str"], "`cast(x as utf8)` makes a text; `outcrop schema` and `outcrop describe` tell of all columns"),
    (
        &["map", "apply", "applymap", "recode", "case_match"],
        "use `case when … then … else … end`, or a function of the value",
    ),
    (
        &["age", "difftime", "months_between", "days_between"],
        "use `date_diff('year', a, b)`; two dates give days: `a - b`",
    ),
    (
        &["dateadd", "timestampadd", "datetime_add", "add_months"],
        "use `date_add(d, '1 month')`, or `d + interval '1 month'`",
    ),
    (&["date_sub", "datetime_sub", "subdate"], "an interval is taken away with a sign: `d - interval '1 day'`"),
    (&["timestampdiff"], "`date_diff('month', a, b)` counts the ends of months between two dates"),
    (&["datefromparts", "date_from_parts"], "use `make_date(y, m, d)`"),
    (
        &["make_datetime", "datetimefromparts", "timestamp_from_parts"],
        "use `make_timestamp(y, m, d, h, mi, s)`; of a time written hhmm, `x // 100` is the hour and `x % 100` the minute",
    ),
    (&["datename"], "use `monthname(d)` or `dayname(d)`"),
    (&["sys.time", "sys.date", "sysdate"], "use `now()` or `today()`"),
    (
        &["convert", "try_convert"],
        "use `cast(x as int64)`, or `try_cast(x as int64)`, which is null where that cannot be",
    ),
    (&["charindex", "locate"], "use `strpos(x, 'text')`"),
    (
        &["unnest", "explode", "generate_series", "seq", "sequence", "arange"],
        "rows are those of files, or written: in SQL, from (values (1), (2)) as t(n)",
    ),
    (
        &["columns", "across", "everything"],
        "columns are named one by one; `*` is all of them, in SQL `* exclude` all but some",
    ),
    (&["paste", "paste0", "str_c"], "join texts with `||`, or `concat_ws('-', a, b)`"),
    (&["where", "case_when", "decode", "when", "np_where", "replace_when"], "use `case when … then … else … end`"),
    (&["is_na", "isna", "is.na", "is_null", "isnull", "is_missing"], "write `x is null`"),
    (&["notna", "not_null", "is_not_null"], "write `x is not null`"),
    (&["nvl", "fillna", "fill_null", "replace_na", "zn"], "use `coalesce(x, 0)`"),
    (
        &["grepl", "grep", "str_detect", "str_contains", "rlike", "regexp_contains", "re_match", "regexpmatch"],
        "use `regexp_matches(x, 'pattern')`, or `contains(x, 'text')`",
    ),
    (
        &["gsub", "sub", "str_replace", "str_replace_all", "re_sub", "regexreplace", "regexp_sub"],
        "use `regexp_replace(x, 'pattern', 'text', 'g')`, or `replace(x, 'a', 'b')`",
    ),
    (&["str_extract", "regexp_substr", "regmatches", "extract_groups"], "use `regexp_extract(x, 'pattern')`"),
    (&["str_sub", "substring_index", "mid", "str_slice"], "use `substring(x, 1, 3)`, or `split_part(x, '-', 1)`"),
    (&["strsplit", "str_split", "split", "string_split"], "use `split_part(x, '-', 1)`"),
    (&["trimws", "str_trim", "strip", "strip_chars", "str_strip"], "use `trim(x)`"),
    (&["startswith", "str_starts"], "use `starts_with(x, 'text')`"),
    (&["endswith", "str_ends"], "use `ends_with(x, 'text')`"),
    (&["isin", "is_in"], "write `x in ('a', 'b')`"),
    (&["is_between"], "write `x between 1 and 3`"),
    (
        &["cut", "qcut", "width_bucket", "time_bucket", "cut_width"],
        "group by `floor(x / 10) * 10`, or `date_trunc('month', t)`",
    ),
    (
        &[
            "to_date",
            "as_date",
            "as.date",
            "to_datetime",
            "str_to_date",
            "to_timestamp",
            "as.posixct",
            "strptime",
            "parse_date",
            "ymd",
            "mdy",
            "dmy",
        ],
        "use `cast(x as date)`, or `make_date(y, m, d)`; `--date-format` says how a column of dates is written",
    ),
    (&["format_date", "date_format", "to_char", "dt_strftime"], "use `strftime(t, '%Y-%m')`"),
    (&["as.character", "as_character", "to_string", "tostring", "to_varchar", "astype"], "use `cast(x as utf8)`"),
    (&["is_null_or_empty", "isblank"], "write `x is null or x = ''`"),
    (&["pmin"], "use `least(x, y)`"),
    (&["pmax"], "use `greatest(x, y)`"),
    (&["toupper", "str_to_upper", "ucase", "to_uppercase"], "use `upper(x)`"),
    (&["tolower", "str_to_lower", "lcase", "to_lowercase"], "use `lower(x)`"),
    (&["nchar", "strlen", "str_length", "len_chars"], "use `length(x)`"),
    (
        &[
            "as_numeric",
            "as.numeric",
            "to_number",
            "to_numeric",
            "as_double",
            "as.double",
            "as_float",
            "as_integer",
            "as.integer",
            "int",
            "float",
            "double",
        ],
        "use `cast(x as float64)` or `cast(x as int64)`",
    ),
    (
        &["weekday", "dayofweek", "day_of_week", "wday"],
        "use `dow(x)`, where Sunday is 0, or `isodow(x)`, where Monday is 1",
    ),
];

/// What to write for a name that other tools have for a value, where no column is called so.
pub(crate) fn value_written_here(name: &str) -> Option<&'static str> {
    Some(match name.to_lowercase().as_str() {
        "nan" => "`'NaN'::double` is that value, and `is_nan(x)` asks for it",
        "inf" | "infinity" => "`'inf'::double` is that value, and `is_infinite(x)` asks for it",
        "na" | "none" | "nil" | "missing" | "undefined" => "`null` is a missing value, and `x is null` asks for one",
        "rownum" | "rowid" | "row_number" => "`row_number() over ()` counts rows",
        _ => return None,
    })
}

/// What to write for a name of other tools, in any case.
pub(crate) fn written_here(name: &str) -> Option<&'static str> {
    let lower = name.to_lowercase();
    TABLE.iter().find(|(names, _)| names.contains(&lower.as_str())).map(|(_, hint)| *hint)
}

/// Every such name and its hint.
#[cfg(test)]
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE.iter().flat_map(|(names, hint)| names.iter().map(|name| (*name, *hint)))
}
