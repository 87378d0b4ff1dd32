//! Which functions there are.

use super::fits::Regression;
use super::over;
use crate::aggregate;
use crate::expr::Function;

/// What is written as a function and is neither a function of a row nor a plain aggregate.
const FITS: [&str; 5] = ["cov_matrix", "corr_matrix", "pca", "predicted", "residual"];

/// Aggregates, regressions and what is made of them.
pub(super) fn aggregate_names() -> Vec<String> {
    let aggregates = aggregate::all();
    let plain = aggregates.iter().map(|aggregate| aggregate.name().to_owned());
    plain.chain(Regression::NAMES.into_iter().chain(FITS).map(str::to_owned)).collect()
}

/// The functions and aggregates that expressions may call, without synonyms, in alphabetical order.
///
/// ```
/// let names = outcrop::sql::function_names();
/// assert!(["date_trunc", "median", "ols"].iter().all(|name| names.iter().any(|known| known == name)));
/// ```
pub fn function_names() -> Vec<String> {
    let mut names = aggregate_names();
    names.extend(
        Function::names()
            .filter(|name| Function::find(name).is_some_and(|found| found.name() == *name))
            .map(str::to_owned),
    );
    names.extend(over::NAMES.map(str::to_owned));
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::expr::elsewhere;
    use crate::sql::{parse_expr, parse_question};

    #[test]
    fn what_other_tools_call_it_leads_to_what_can_be_written_here() {
        for (name, hint) in elsewhere::all() {
            let is_aggregate = aggregate::find(name, 1).map_or_else(|error| error.kind() != ErrorKind::Name, |_| true);
            assert!(!is_aggregate && Function::find(name).is_none(), "`{name}` is known here");
            for example in hint.split('`').skip(1).step_by(2).filter(|example| example.contains('(')) {
                assert!(parse_question(example).is_ok(), "{name}: {example}");
            }
            let error = parse_expr(&format!("{name}(x)")).map(|_| ()).unwrap_err();
            // Words of the language are told of otherwise.
            assert!(
                error.hint_text() == Some(hint) || matches!(name, "where" | "int" | "float" | "double"),
                "{name}: {error}"
            );
        }
        let mut names: Vec<&str> = elsewhere::all().map(|(name, _)| name).collect();
        let before = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), before, "a name leads to one thing");
    }
}
