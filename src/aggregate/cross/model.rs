//! A fitted model as text, `ols(y, x).model`, and what it predicts.
//!
//! Lines of fields with tabs between them. For a logistic or Poisson regression, `~` and its name. For each factor, `=`, its regressor's number and its levels; then for each term that
//! has an estimate this and its parts: the number of a regressor, behind `=` with a level. Tabs, line ends and backslashes in
//! levels have a backslash before them.

use super::glm::Family;
use crate::error::{Error, ErrorKind, Result};
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

/// A regressor of a term, by number from 0, and of a factor the level.
pub(super) type Part = (usize, Option<Arc<str>>);

/// The terms of a model in a group, but for the intercept.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    /// What each is the product of.
    pub(super) terms: Vec<Vec<Part>>,
    /// The factors, by regressor, with all of their levels.
    pub(super) levels: Vec<(usize, Vec<Arc<str>>)>,
}

/// Without the signs that divide a text into lines and fields.
pub(super) fn escaped(level: &str) -> String {
    level.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n")
}

/// What [`escaped`] was given.
pub(super) fn unescaped(text: &str) -> String {
    let (mut level, mut signs) = (String::with_capacity(text.len()), text.chars());
    while let Some(sign) = signs.next() {
        level.push(match sign {
            '\\' => match signs.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                other => other.unwrap_or('\\'),
            },
            sign => sign,
        });
    }
    level
}

impl Terms {
    /// The text of these terms with their estimates, that of the intercept first where there is one.
    pub(super) fn text(&self, intercept: bool, estimates: impl Iterator<Item = Option<f64>>) -> String {
        let mut text = self.text_of_levels();
        let none = Vec::new();
        for (estimate, parts) in estimates.zip(intercept.then_some(&none).into_iter().chain(&self.terms)) {
            let Some(estimate) = estimate else { continue };
            let _ = writeln!(text, "{estimate:?}{}", text_of_parts(parts));
        }
        text
    }

    /// The lines of the factors.
    pub(super) fn text_of_levels(&self) -> String {
        let mut text = String::new();
        for (regressor, levels) in &self.levels {
            let levels: String = levels.iter().map(|level| format!("\t{}", escaped(level))).collect();
            let _ = writeln!(text, "=\t{regressor}{levels}");
        }
        text
    }
}

/// What stands behind the estimate of a term.
pub(super) fn text_of_parts(parts: &[Part]) -> String {
    let part = |(regressor, level): &Part| match level {
        None => format!("\t{regressor}"),
        Some(level) => format!("\t{regressor}={}", escaped(level)),
    };
    parts.iter().map(part).collect()
}

/// What a term is the product of: a number, or 1 where a factor has a level and else 0.
#[derive(Clone, Copy, Debug)]
enum Factor {
    Number(usize),
    Level { factor: usize, level: u32 },
}

/// A fitted model.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// By factor, its regressor and the numbers of its levels.
    factors: Vec<(usize, HashMap<Box<str>, u32>)>,
    terms: Vec<(f64, Vec<Factor>)>,
    /// The regression that the sum of the terms is the linear predictor of; none if it is the prediction.
    family: Option<Family>,
}

impl Model {
    /// The model that `text`, the `.model` of a fit, tells of.
    ///
    /// # Errors
    /// `Value` when it is no such text.
    pub fn parse(text: &str) -> Result<Self> {
        let mut model = Model::default();
        text.split('\n').filter(|line| !line.is_empty()).try_for_each(|line| model.read(line)).ok_or_else(|| {
            Error::new(ErrorKind::Value, "a text that is no model")
                .hint("a model is the `.model` of a fit: ols(y, x).model")
        })?;
        Ok(model)
    }

    fn read(&mut self, line: &str) -> Option<()> {
        let (first, rest) = line.split_once('\t').map_or((line, None), |(first, rest)| (first, Some(rest)));
        let fields = rest.into_iter().flat_map(|rest| rest.split('\t'));
        if first == "~" {
            self.family = Some(Family::find(rest?)?);
            return Some(());
        }
        if first == "=" {
            let mut fields = fields;
            let regressor = fields.next()?.parse().ok()?;
            self.factors.push((regressor, fields.zip(0..).map(|(level, at)| (unescaped(level).into(), at)).collect()));
            return Some(());
        }
        let factors = fields.map(|field| match field.split_once('=') {
            None => Some(Factor::Number(field.parse().ok()?)),
            Some((regressor, level)) => {
                let regressor: usize = regressor.parse().ok()?;
                let factor = self.factors.iter().position(|(known, _)| *known == regressor)?;
                let level = *self.factors[factor].1.get(unescaped(level).as_str())?;
                Some(Factor::Level { factor, level })
            }
        });
        let factors = factors.collect::<Option<Vec<Factor>>>()?;
        self.terms.push((first.parse().ok()?, factors));
        Some(())
    }

    /// Which regressors are factors, and how many regressors there are at least.
    pub fn shape(&self) -> (Vec<usize>, usize) {
        let factors: Vec<usize> = self.factors.iter().map(|(regressor, _)| *regressor).collect();
        let numbers = self.terms.iter().flat_map(|(_, factors)| factors).filter_map(|factor| match factor {
            Factor::Number(at) => Some(at + 1),
            Factor::Level { .. } => None,
        });
        let most = numbers.chain(factors.iter().map(|at| at + 1)).max().unwrap_or(0);
        (factors, most)
    }

    /// What it predicts for a row; `None` for a level that it does not know.
    pub fn predict<'a>(
        &self,
        number: impl Fn(usize) -> f64,
        level: impl Fn(usize) -> &'a str,
        levels: &mut Vec<u32>,
    ) -> Option<f64> {
        let sum = self.linear(number, level, levels)?;
        Some(self.family.map_or(sum, |family| family.mean(sum)))
    }

    /// The sum of its terms for a row, in their order; `None` for a level that it does not know.
    pub(super) fn linear<'a>(
        &self,
        number: impl Fn(usize) -> f64,
        level: impl Fn(usize) -> &'a str,
        levels: &mut Vec<u32>,
    ) -> Option<f64> {
        levels.clear();
        for (regressor, known) in &self.factors {
            levels.push(*known.get(level(*regressor))?);
        }
        let mut sum = 0.0;
        for (estimate, factors) in &self.terms {
            let mut term = *estimate;
            for factor in factors {
                match *factor {
                    Factor::Number(at) => term *= number(at),
                    Factor::Level { factor, level } if levels[factor] != level => {
                        term = 0.0;
                        break;
                    }
                    Factor::Level { .. } => {}
                }
            }
            sum += term;
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_survive_as_text_and_predict() {
        let level = |text: &str| Some(Arc::from(text));
        let levels = vec![(1, vec![Arc::from("a"), Arc::from("b\t=\\\n"), Arc::from("")])];
        let terms =
            vec![vec![(0, None)], vec![(1, level("b\t=\\\n"))], vec![(0, None), (1, level(""))], vec![(2, None)]];
        let terms = Terms { terms, levels };
        let text = terms.text(true, [Some(0.1), Some(-2.0), Some(1e300), Some(5e-324), None].into_iter());
        let model = Model::parse(&text).unwrap();
        assert_eq!(model.shape(), (vec![1], 2));
        let predicted = |x: f64, level: &str| model.predict(|_| x, |_| level, &mut Vec::new());
        assert_eq!(predicted(3.0, "a"), Some(0.1 - 6.0));
        assert_eq!(predicted(0.0, "b\t=\\\n"), Some(0.1 + 1e300));
        assert_eq!(predicted(0.5, ""), Some(0.1 - 1.0));
        assert_eq!(predicted(0.5, "c"), None);
        assert!(Model::parse("1.5\tx").is_err() && Model::parse("hello").is_err() && Model::parse("1\t0=a").is_err());
    }
}
