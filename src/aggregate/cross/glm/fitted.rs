//! A fit on its way from one pass to the next, as text.
//!
//! The first line has the numbers of the whole fit. Lines of factors follow, and one line a term, as in the text of a model:
//! name, estimate, standard error and change, and what the term is the product of.

use super::family::Family;
use crate::aggregate::cross::model::{Model, Terms, escaped, text_of_parts, unescaped};
use crate::error::{Error, Result};
use std::fmt::Write;

/// How far a fit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// A pass over the rows is to tell how good it is, and give a better one.
    Going,
    Converged,
    /// It takes more steps than any fit does.
    Stopped,
    /// No row counts.
    Nothing,
}

const STAGES: [(Stage, &str); 4] = [
    (Stage::Going, "going"),
    (Stage::Converged, "converged"),
    (Stage::Stopped, "stopped"),
    (Stage::Nothing, "nothing"),
];

/// The values of a term.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Values {
    pub(super) estimate: f64,
    pub(super) std_error: f64,
    /// What the last step added to the estimate.
    pub(super) change: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Term {
    pub(super) name: String,
    /// `None` if it depends on those before it.
    pub(super) values: Option<Values>,
    /// As text.
    pub(super) parts: String,
}

impl Term {
    pub(super) fn is_intercept(&self) -> bool {
        self.parts.is_empty()
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fitted {
    pub(super) stage: Stage,
    /// Least squares solved so far.
    pub(super) iterations: u64,
    /// Steps that were too long and have been halved since.
    pub(super) halvings: u64,
    /// While it is going that of the estimates before.
    pub(super) deviance: f64,
    pub(super) null_deviance: f64,
    /// What −2 times the log-likelihood is more than the deviance.
    pub(super) constant: f64,
    pub(super) rows: u64,
    pub(super) left_out: u64,
    pub(super) rank: u64,
    /// Estimates grow without end: rows of some kind have one response only.
    pub(super) separated: bool,
    pub(super) terms: Vec<Term>,
    /// The lines of the factors.
    pub(super) levels: String,
}

impl Fitted {
    /// Of no row.
    pub(super) fn nothing(left_out: u64) -> Self {
        Fitted {
            stage: Stage::Nothing,
            iterations: 0,
            halvings: 0,
            deviance: f64::NAN,
            null_deviance: f64::NAN,
            constant: f64::NAN,
            rows: 0,
            left_out,
            rank: 0,
            separated: false,
            terms: Vec::new(),
            levels: String::new(),
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        self.stage != Stage::Going
    }

    /// Whether `text` is of a fit that needs no more passes.
    pub(super) fn is_settled_text(text: &str) -> bool {
        !text.starts_with("going")
    }

    /// Takes over these terms, with names and values.
    pub(super) fn take_terms(&mut self, terms: &Terms, intercept: bool, all: Vec<(String, Option<Values>)>) {
        let none = Vec::new();
        let parts = intercept.then_some(&none).into_iter().chain(&terms.terms);
        let term =
            |((name, values), parts): ((String, Option<Values>), _)| Term { name, values, parts: text_of_parts(parts) };
        self.terms = all.into_iter().zip(parts.map(Vec::as_slice)).map(term).collect();
        self.levels = terms.text_of_levels();
    }

    /// Whether there was a step to these estimates; there is none to the first.
    pub(super) fn has_changed(&self) -> bool {
        self.terms.iter().any(|term| term.values.is_some_and(|values| values.change != 0.0))
    }

    /// Goes half of the last step back.
    pub(super) fn halve(&mut self) {
        for values in self.terms.iter_mut().filter_map(|term| term.values.as_mut()) {
            values.change /= 2.0;
            values.estimate -= values.change;
        }
        self.halvings += 1;
    }

    fn lines(&self, value: fn(&Values) -> f64) -> String {
        let mut text = self.levels.clone();
        for term in &self.terms {
            if let Some(values) = &term.values {
                let _ = writeln!(text, "{:?}{}", value(values), term.parts);
            }
        }
        text
    }

    /// What gives the linear predictor of a row.
    pub(super) fn predictor(&self) -> Result<Model> {
        Model::parse(&self.lines(|values| values.estimate))
    }

    /// What gives the last change of the linear predictor of a row.
    pub(super) fn change(&self) -> Result<Model> {
        Model::parse(&self.lines(|values| values.change))
    }

    /// The model as text.
    pub(super) fn model(&self, family: Family) -> String {
        format!("~\t{}\n{}", family.name(), self.lines(|values| values.estimate))
    }

    pub(super) fn text(&self) -> String {
        let Fitted { iterations, halvings, deviance, null_deviance, constant, .. } = self;
        let Fitted { rows, left_out, rank, separated, .. } = self;
        let stage = STAGES.iter().find(|(stage, _)| *stage == self.stage).map_or("", |(_, name)| name);
        let mut text = format!(
            "{stage}\t{iterations}\t{halvings}\t{deviance:?}\t{null_deviance:?}\t{constant:?}\t{rows}\t{left_out}\t{rank}\t{separated}\n"
        );
        text.push_str(&self.levels);
        for Term { name, values, parts } in &self.terms {
            let _ = write!(text, "{}", escaped(name));
            let _ = match values {
                None => write!(text, "\t\t\t"),
                Some(Values { estimate, std_error, change }) => {
                    write!(text, "\t{estimate:?}\t{std_error:?}\t{change:?}")
                }
            };
            let _ = writeln!(text, "{parts}");
        }
        text
    }

    /// What [`Fitted::text`] wrote.
    pub(super) fn parse(text: &str) -> Result<Self> {
        Fitted::read(text).ok_or_else(|| Error::internal("a text that is no fit"))
    }

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.split_terminator('\n');
        let mut head = lines.next()?.split('\t');
        let stage = head.next()?;
        let mut fitted = Fitted::nothing(0);
        fitted.stage = STAGES.iter().find(|(_, name)| *name == stage)?.0;
        fitted.iterations = head.next()?.parse().ok()?;
        fitted.halvings = head.next()?.parse().ok()?;
        fitted.deviance = head.next()?.parse().ok()?;
        fitted.null_deviance = head.next()?.parse().ok()?;
        fitted.constant = head.next()?.parse().ok()?;
        fitted.rows = head.next()?.parse().ok()?;
        fitted.left_out = head.next()?.parse().ok()?;
        fitted.rank = head.next()?.parse().ok()?;
        fitted.separated = head.next()?.parse().ok()?;
        for line in lines {
            if line.starts_with("=\t") {
                fitted.levels.push_str(line);
                fitted.levels.push('\n');
                continue;
            }
            let mut fields = line.splitn(5, '\t');
            let name = unescaped(fields.next()?);
            let [estimate, std_error, change] = [fields.next()?, fields.next()?, fields.next()?];
            let number = |field: &str| field.parse::<f64>().ok();
            let values = match estimate {
                "" => None,
                _ => {
                    Some(Values { estimate: number(estimate)?, std_error: number(std_error)?, change: number(change)? })
                }
            };
            let parts = fields.next().map(|parts| format!("\t{parts}")).unwrap_or_default();
            fitted.terms.push(Term { name, values, parts });
        }
        Some(fitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn fits_survive_as_text_halve_and_predict() {
        let levels = vec![(1, vec![Arc::from("a"), Arc::from("b\t=\\\n")])];
        let terms =
            Terms { terms: vec![vec![(0, None)], vec![(1, Some(Arc::from("b\t=\\\n")))], vec![(2, None)]], levels };
        let values = |estimate, change| Some(Values { estimate, std_error: 0.5, change });
        let name = |name: &str| name.to_owned();
        let all = vec![
            (name("(Intercept)"), values(1.0, 0.0)),
            (name("x"), values(0.1, 0.2)),
            (name("f = 'b\t\\\n'"), values(-2.0, 1e-300)),
            (name("z"), None),
        ];
        let mut fitted = Fitted { stage: Stage::Going, rows: 7, deviance: f64::INFINITY, ..Fitted::nothing(3) };
        fitted.take_terms(&terms, true, all);
        fitted.null_deviance = 1.5;
        fitted.constant = 0.0;
        let text = fitted.text();
        assert_eq!(Fitted::parse(&text).unwrap(), fitted);
        assert!(!Fitted::is_settled_text(&text) && Fitted::is_settled_text(&Fitted::nothing(0).text()));
        let at = |model: Model| model.predict(|_| 3.0, |_| "b\t=\\\n", &mut Vec::new()).unwrap();
        assert_eq!(at(fitted.predictor().unwrap()), 1.0 + 0.1 * 3.0 - 2.0);
        assert_eq!(at(fitted.change().unwrap()), 0.2 * 3.0);
        fitted.halve();
        assert_eq!(fitted.terms[1].values, values(0.0, 0.1));
        assert!(Fitted::parse("").is_err() && Fitted::parse("going\t1").is_err());
    }
}
