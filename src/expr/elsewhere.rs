//! What other tools (R, pandas, NumPy, Excel, other SQL) call what questions do: for hints, where a name is not known.

/// Names in small letters, and what to write for them. What is an aggregate or a function here needs no entry.
const TABLE: [(&[&str], &str); 36] = [
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
    (&["value_counts", "table", "tally", "xtabs"], "`count(*) by x` counts each value"),
    (
        &["sumif", "sumifs", "sum_if", "averageif", "averageifs", "avg_if"],
        "a condition stands behind the aggregate: `sum(x) filter (where c)`",
    ),
    (&["countifs", "count_where"], "use `count_if(c)`"),
    (&["nlargest", "slice_max", "top_n"], "use `largest(x, 3)`"),
    (&["nsmallest", "slice_min", "bottom_n"], "use `smallest(x, 3)`"),
    (&["idxmax", "which.max", "which_max"], "use `arg_max(x, y)`"),
    (&["idxmin", "which.min", "which_min"], "use `arg_min(x, y)`"),
    (&["paste", "paste0", "str_c"], "join texts with `||`, or `concat_ws('-', a, b)`"),
    (&["where", "case_when", "decode"], "use `case when … then … else … end`"),
    (&["is_na", "isna", "is.na", "is_null", "isnull", "is_missing"], "write `x is null`"),
    (&["notna", "not_null", "is_not_null"], "write `x is not null`"),
    (&["nvl", "fillna", "fill_null", "replace_na", "zn"], "use `coalesce(x, 0)`"),
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
