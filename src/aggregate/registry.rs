//! The built-in aggregates by name. There is no table to add to: an aggregate of one's own is passed as an
//! `Arc<dyn Aggregate>`.

use super::{Aggregate, Count, Edge, Extreme, Mean, Spread, Sum};
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use std::sync::Arc;

/// Names that users write, and the name each stands for.
const SYNONYMS: [(&str, &str); 13] = [
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
];

/// Every built-in aggregate once.
pub fn all() -> Vec<Arc<dyn Aggregate>> {
    vec![
        Arc::new(Count),
        Arc::new(Sum),
        Arc::new(Mean),
        Arc::new(Extreme::Min),
        Arc::new(Extreme::Max),
        Arc::new(Spread { sample: true, root: false }),
        Arc::new(Spread { sample: true, root: true }),
        Arc::new(Spread { sample: false, root: false }),
        Arc::new(Spread { sample: false, root: true }),
        Arc::new(Edge::First),
        Arc::new(Edge::Last),
    ]
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
    let lower = name.trim().to_lowercase();
    let standard = SYNONYMS.iter().find(|(synonym, _)| *synonym == lower).map_or(lower.as_str(), |(_, name)| name);
    let all = all();
    let Some(aggregate) = all.iter().find(|aggregate| aggregate.name() == standard) else {
        let known = all.iter().map(|aggregate| aggregate.name());
        let error = Error::new(ErrorKind::Name, format!("no aggregate `{}`", name.trim()));
        return Err(match did_you_mean(&lower, known.chain(SYNONYMS.map(|(synonym, _)| synonym))) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => {
                let names: Vec<&str> = all.iter().map(|aggregate| aggregate.name()).collect();
                error.hint(format!("aggregates are {}", names.join(", ")))
            }
        });
    };
    match (aggregate.name(), arguments) {
        ("count", 0) | (_, 1) => Ok(Arc::clone(aggregate)),
        (name, _) => {
            let takes = if name == "count" { "at most one argument" } else { "one argument" };
            Err(Error::new(ErrorKind::Type, format!("`{name}` takes {takes}, not {arguments}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn synonyms_lead_to_aggregates_and_names_are_their_own() {
        for (synonym, name) in SYNONYMS {
            assert_eq!(find(&synonym.to_uppercase(), 1).unwrap().name(), name);
        }
        for aggregate in all() {
            assert_eq!(find(aggregate.name(), 1).unwrap().name(), aggregate.name());
        }
    }

    #[test]
    fn slips_are_suggested_and_numbers_of_arguments_checked() {
        let error = find("meen", 1).unwrap_err();
        assert_eq!((error.kind(), error.hint_text()), (ErrorKind::Name, Some("did you mean `mean`?")));
        assert!(find("percentile", 1).unwrap_err().hint_text().unwrap().contains("std_pop"));
        assert_eq!(find("count", 0).unwrap().name(), "count");
        assert_eq!(find("sum", 0).unwrap_err().message(), "`sum` takes one argument, not 0");
        assert_eq!(find("count", 2).unwrap_err().message(), "`count` takes at most one argument, not 2");
    }
}
