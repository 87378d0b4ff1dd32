//! The built-in aggregates by name. There is no table to add to: an aggregate of one's own is passed as an
//! `Arc<dyn Aggregate>`.

use super::holistic::Share;
use super::{
    Aggregate, ApproxDistinctCount, ApproxFrequent, ApproxQuantile, ArgExtreme, Comoment, Constant, Count, CountIf,
    DistinctCount, Edge, Entropy, Extreme, Frequent, Histogram, InterquartileRange, List, Mean, MedianDeviation, Mode,
    Product, Quantile, Range, Ranked, ScaledMean, Shape, Spread, StringAgg, Sum, Truth, Weighted, WeightedQuantile,
};
use crate::error::{Error, ErrorKind, Result, did_you_mean, nearest_of};
use std::sync::Arc;

/// Names that users write, and the name each stands for.
const SYNONYMS: [(&str, &str); 62] = [
    ("avg", "mean"),
    ("average", "mean"),
    ("total", "sum"),
    ("variance", "var"),
    ("var_samp", "var"),
    ("variance_samp", "var"),
    ("sd", "std"),
    ("stdev", "std"),
    ("stddev", "std"),
    ("stddev_samp", "std"),
    ("std_samp", "std"),
    ("stddev_pop", "std_pop"),
    ("variance_pop", "var_pop"),
    ("count_distinct", "n_unique"),
    ("nunique", "n_unique"),
    ("n_distinct", "n_unique"),
    ("approx_count_distinct", "approx_n_unique"),
    ("quantile_cont", "quantile"),
    ("group_concat", "string_agg"),
    ("listagg", "string_agg"),
    ("array_agg", "list"),
    ("collect_list", "list"),
    ("covar", "cov"),
    ("covar_samp", "cov"),
    ("cov_samp", "cov"),
    ("covar_pop", "cov_pop"),
    ("correlation", "corr"),
    ("skew", "skewness"),
    ("skew_pop", "skewness_pop"),
    ("kurtosis_samp", "kurtosis"),
    ("kurt", "kurtosis"),
    ("standard_error", "sem"),
    ("weighted_avg", "weighted_mean"),
    ("wavg", "weighted_mean"),
    ("weighted_variance", "weighted_var"),
    ("weighted_sd", "weighted_std"),
    ("weighted_stddev", "weighted_std"),
    ("geomean", "geometric_mean"),
    ("gmean", "geometric_mean"),
    ("geo_mean", "geometric_mean"),
    ("hmean", "harmonic_mean"),
    ("median_absolute_deviation", "mad"),
    ("median_abs_deviation", "mad"),
    ("interquartile_range", "iqr"),
    ("any", "bool_or"),
    ("logical_or", "bool_or"),
    ("all", "bool_and"),
    ("every", "bool_and"),
    ("logical_and", "bool_and"),
    ("argmin", "arg_min"),
    ("min_by", "arg_min"),
    ("minby", "arg_min"),
    ("argmax", "arg_max"),
    ("max_by", "arg_max"),
    ("maxby", "arg_max"),
    ("countif", "count_if"),
    ("prod", "product"),
    ("hist", "histogram"),
    ("any_value", "first"),
    ("most_frequent", "top_k"),
    ("topk", "top_k"),
    ("approx_topk", "approx_top_k"),
];

/// Every built-in aggregate once, those with constants with some.
pub fn all() -> Vec<Arc<dyn Aggregate>> {
    let mut all: Vec<Arc<dyn Aggregate>> = vec![
        Arc::new(Count),
        Arc::new(Sum),
        Arc::new(Mean),
        Arc::new(Extreme::Min),
        Arc::new(Extreme::Max),
        Arc::new(Range),
        Arc::new(Spread { sample: true, root: false }),
        Arc::new(Spread { sample: true, root: true }),
        Arc::new(Spread { sample: false, root: false }),
        Arc::new(Spread { sample: false, root: true }),
        Arc::new(Edge::First),
        Arc::new(Edge::Last),
        Arc::new(Quantile::Median),
        Arc::new(Quantile::Interpolated(Share::HALF)),
        Arc::new(Quantile::Discrete(Share::HALF)),
        Arc::new(DistinctCount),
        Arc::new(Mode),
        Arc::new(StringAgg::new(",")),
        Arc::new(List),
        Arc::new(ApproxDistinctCount),
        Arc::new(ApproxQuantile::new(Share::HALF)),
    ];
    all.extend(
        [true, false].into_iter().flat_map(|largest| Ranked::new(1.0, largest)).map(|ranked| Arc::new(ranked) as _),
    );
    all.extend(Shape::ALL.map(|shape| Arc::new(shape) as Arc<dyn Aggregate>));
    all.extend(Weighted::ALL.map(|weighted| Arc::new(weighted) as Arc<dyn Aggregate>));
    let more: [Arc<dyn Aggregate>; 13] = [
        Arc::new(WeightedQuantile::Median),
        Arc::new(WeightedQuantile::At(Share::HALF)),
        Arc::new(ScaledMean::Geometric),
        Arc::new(ScaledMean::Harmonic),
        Arc::new(Product),
        Arc::new(MedianDeviation),
        Arc::new(InterquartileRange),
        Arc::new(Entropy),
        Arc::new(Truth::Any),
        Arc::new(Truth::All),
        Arc::new(CountIf),
        Arc::new(ArgExtreme::Min),
        Arc::new(ArgExtreme::Max),
    ];
    all.extend(more);
    all.extend(Frequent::new(3.0).into_iter().map(|frequent| Arc::new(frequent) as Arc<dyn Aggregate>));
    all.extend(ApproxFrequent::new(3.0).into_iter().map(|frequent| Arc::new(frequent) as Arc<dyn Aggregate>));
    all.extend(Histogram::nice(5.0).into_iter().map(|histogram| Arc::new(histogram) as Arc<dyn Aggregate>));
    all.extend(Comoment::ALL.map(|comoment| Arc::new(comoment) as Arc<dyn Aggregate>));
    all
}

/// How many of the `written` arguments of the built-in aggregate that users call `name` are constants, the last ones; none
/// if there is no such aggregate.
pub fn constants_of(name: &str, written: usize) -> usize {
    match standard(&name.trim().to_lowercase()) {
        "quantile" | "quantile_disc" | "approx_quantile" | "string_agg" | "largest" | "smallest" | "top_k"
        | "approx_top_k" | "weighted_quantile" => written.min(1),
        "histogram" => written.saturating_sub(1),
        _ => 0,
    }
}

fn takes_two(name: &str) -> bool {
    name.starts_with("weighted_")
        || name.starts_with("arg_")
        || Comoment::ALL.iter().any(|comoment| comoment.name() == name)
}

fn standard(lower: &str) -> &str {
    SYNONYMS.iter().find(|(synonym, _)| *synonym == lower).map_or(lower, |(_, name)| name)
}

/// The built-in aggregate that users call `name` (case ignored), for so many arguments.
///
/// # Errors
/// `Name` with a suggestion when there is none; `Type` when it doesn't take that number of arguments.
///
/// ```
/// let mean = outcrop::aggregate::find("AVG", 1)?;
/// assert_eq!(mean.name(), "mean");
/// # Ok::<(), outcrop::error::Error>(())
/// ```
pub fn find(name: &str, arguments: usize) -> Result<Arc<dyn Aggregate>> {
    find_with(name, arguments, &[])
}

/// As [`find`], with constants behind the arguments.
///
/// # Errors
/// Those of [`find`]; `Type` for constants that it doesn't take.
///
/// ```
/// use outcrop::aggregate::{Constant, find_with};
/// assert_eq!(find_with("quantile", 1, &[Constant::Number(0.95)])?.name(), "quantile");
/// # Ok::<(), outcrop::error::Error>(())
/// ```
pub fn find_with(name: &str, arguments: usize, constants: &[Constant]) -> Result<Arc<dyn Aggregate>> {
    let lower = name.trim().to_lowercase();
    let standard = standard(&lower);
    let all = all();
    let Some(aggregate) = all.into_iter().find(|aggregate| aggregate.name() == standard) else {
        return Err(unknown(name.trim(), &lower));
    };
    let wrong = |message: String| Error::new(ErrorKind::Type, message);
    match (standard, arguments, constants) {
        ("quantile", 1, [Constant::Number(share)]) => Ok(Arc::new(Quantile::Interpolated(Share::new(*share)?))),
        ("quantile_disc", 1, [Constant::Number(share)]) => Ok(Arc::new(Quantile::Discrete(Share::new(*share)?))),
        ("approx_quantile", 1, [Constant::Number(share)]) => Ok(Arc::new(ApproxQuantile::new(Share::new(*share)?))),
        ("largest" | "smallest", 1, [Constant::Number(values)]) => {
            Ok(Arc::new(Ranked::new(*values, standard == "largest")?))
        }
        ("largest" | "smallest", ..) => {
            Err(wrong(format!("`{standard}` takes one argument and how many of its values"))
                .hint(format!("such as {standard}(x, 3)")))
        }
        ("weighted_quantile", 2, [Constant::Number(share)]) => Ok(Arc::new(WeightedQuantile::At(Share::new(*share)?))),
        ("weighted_quantile", ..) => {
            Err(wrong("`weighted_quantile` takes a value, its weight, and a share between 0 and 1".to_owned())
                .hint("such as weighted_quantile(x, w, 0.95)"))
        }
        ("top_k", 1, [Constant::Number(values)]) => Ok(Arc::new(Frequent::new(*values)?)),
        ("top_k", ..) => Err(wrong("`top_k` takes one argument and how many of its values".to_owned())
            .hint("such as top_k(x, 10); `largest` gives the largest ones")),
        ("approx_top_k", 1, [Constant::Number(values)]) => Ok(Arc::new(ApproxFrequent::new(*values)?)),
        ("approx_top_k", ..) => Err(wrong("`approx_top_k` takes one argument and how many of its values".to_owned())
            .hint("such as approx_top_k(x, 10)")),
        ("histogram", 1, [Constant::Number(ranges)]) => Ok(Arc::new(Histogram::nice(*ranges)?)),
        ("histogram", 1, [Constant::Number(low), Constant::Number(high), Constant::Number(ranges)]) => {
            Ok(Arc::new(Histogram::between(*low, *high, *ranges)?))
        }
        ("histogram", 1, []) => Ok(Arc::new(Histogram::nice(10.0)?)),
        ("histogram", ..) => {
            Err(wrong("`histogram` takes one argument, and a number of ranges or two bounds and a number".to_owned())
                .hint("such as histogram(x, 10) or histogram(x, 0, 100, 20)"))
        }
        ("string_agg", 1, [Constant::Text(separator)]) => Ok(Arc::new(StringAgg::new(Arc::clone(separator)))),
        ("quantile" | "quantile_disc" | "approx_quantile", ..) => {
            Err(wrong(format!("`{standard}` takes one argument and a share between 0 and 1"))
                .hint(format!("such as {standard}(x, 0.95)")))
        }
        ("string_agg", 1, []) => Ok(aggregate),
        ("string_agg", ..) => Err(wrong("`string_agg` takes one argument and a separator, a text".to_owned())
            .hint("such as string_agg(x, ', ')")),
        (name, 2, []) if takes_two(name) => Ok(aggregate),
        ("count", 0, []) => Ok(aggregate),
        (name, 1, []) if !takes_two(name) => Ok(aggregate),
        _ => {
            let takes = match standard {
                "count" => "at most one argument",
                name if takes_two(name) => "two arguments",
                _ => "one argument",
            };
            Err(wrong(format!("`{standard}` takes {takes}, not {}", arguments + constants.len())))
        }
    }
}

fn unknown(name: &str, lower: &str) -> Error {
    let all = all();
    let known = all.iter().map(|aggregate| aggregate.name());
    let error = Error::new(ErrorKind::Name, format!("no aggregate `{name}`"));
    match did_you_mean(lower, known.clone().chain(SYNONYMS.map(|(synonym, _)| synonym))) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(nearest_of(lower, known)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn synonyms_lead_to_aggregates_and_names_are_their_own() {
        for aggregate in all() {
            let constants = aggregate.constants();
            let arguments = 1 + usize::from(takes_two(aggregate.name()));
            let found = |name: &str| find_with(name, arguments, &constants).unwrap();
            let written = arguments + constants.len();
            assert_eq!(constants_of(aggregate.name(), written), constants.len());
            assert_eq!(found(aggregate.name()).name(), aggregate.name());
            assert_eq!(found(aggregate.name()).constants(), constants);
            for (synonym, _) in SYNONYMS.iter().filter(|(_, name)| *name == aggregate.name()) {
                assert_eq!(found(&synonym.to_uppercase()).name(), aggregate.name());
                assert_eq!(constants_of(synonym, written), constants.len());
            }
        }
        assert!(SYNONYMS.iter().all(|(_, name)| all().iter().any(|aggregate| aggregate.name() == *name)));
    }

    #[test]
    fn slips_are_suggested_and_numbers_of_arguments_checked() {
        let error = find("meen", 1).unwrap_err();
        assert_eq!((error.kind(), error.hint_text()), (ErrorKind::Name, Some("did you mean `mean`?")));
        assert!(find("percentile", 1).unwrap_err().hint_text().unwrap().contains("`outcrop help ask` lists"));
        assert_eq!(find("count", 0).unwrap().name(), "count");
        assert_eq!(find("sum", 0).unwrap_err().message(), "`sum` takes one argument, not 0");
        assert_eq!(find("corr", 1).unwrap_err().message(), "`corr` takes two arguments, not 1");
        assert_eq!(find("count", 2).unwrap_err().message(), "`count` takes at most one argument, not 2");
        let error = find("quantile", 1).unwrap_err();
        assert_eq!(error.message(), "`quantile` takes one argument and a share between 0 and 1");
        let error = find_with("quantile", 1, &[Constant::Number(95.0)]).unwrap_err();
        assert_eq!(error.message(), "a quantile's share lies between 0 and 1, and 95 does not");
    }
}
