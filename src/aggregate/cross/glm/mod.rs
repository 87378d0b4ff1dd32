//! Logistic and Poisson regression: generalized linear models, fitted by iteratively reweighted least squares.
//!
//! **Problem.** Their estimates have no formula. Each step is a weighted linear regression whose weights and response depend on
//! the estimates of the step before, and needs all rows again.
//! **Idea.** A step is an aggregate like any other ([`Step`]): to its arguments comes the fit so far, a text, as a column, and
//! the fit it makes is a text too. It adds exact sums of products, as `ols` does. Whoever runs a question
//! ([`exec::steps`](crate::exec)) puts fits of one pass beside the rows of the next until all are settled.
//! **Invariants.** A fit is a function of the rows in its group: never of their order, or of other groups. A fit that is
//! settled stays as it is.
//!
//! Steps, starting values and the rule when to stop are those of R's `glm.fit`, so estimates, standard errors and the number of
//! iterations are R's too.

mod family;
mod fitted;
mod measure;
mod step;

pub use family::Family;
pub use measure::GlmMeasure;
use step::Step;

use super::ols::Ols;
use crate::aggregate::{Aggregate, Exactness, InSteps, Makes};
use crate::error::Result;
use arrow::array::{Array, ArrayRef, Float64Builder, ListArray, StringViewArray, StringViewBuilder, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use fitted::{Fitted, Stage, Values};
use std::sync::Arc;

/// Logistic or Poisson regression of a response on regressors, which are as those of [`Ols`]. Rows that lack a value, or have
/// one that is not finite, are left out.
///
/// With weights, a row counts as so many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glm {
    model: Ols,
    family: Family,
    /// What is told of the fit: this, or else its terms.
    measure: Option<GlmMeasure>,
}

impl Glm {
    /// A regression with the terms of `model`.
    pub fn new(model: Ols, family: Family) -> Self {
        Glm { model, family, measure: None }
    }

    /// The same model, of which this is told in place of its terms.
    #[must_use]
    pub fn measure(self, measure: GlmMeasure) -> Self {
        Glm { measure: Some(measure), ..self }
    }

    /// What a fit tells of each of its terms, one row a term: what it is called; its estimate, null if it depends on terms
    /// before it; the standard error of that; their ratio z, and the probability of one that is as far from 0, or farther.
    pub fn term_fields() -> Fields {
        let number = |name: &str| Field::new(name, DataType::Float64, true);
        let term = Field::new("term", DataType::Utf8View, true);
        Fields::from(vec![term, number("estimate"), number("std_error"), number("z"), number("p")])
    }

    /// The terms of each fit, a list.
    fn terms_of(fits: impl Iterator<Item = Result<Fitted>>) -> Result<ArrayRef> {
        let (mut names, mut lengths) = (StringViewBuilder::new(), Vec::new());
        let mut columns: [Float64Builder; 4] = Default::default();
        for fitted in fits {
            let fitted = fitted?;
            lengths.push(fitted.terms.len());
            for term in &fitted.terms {
                names.append_value(&term.name);
                let told = term.values.as_ref().map_or([None; 4], of_term);
                columns.iter_mut().zip(told).for_each(|(column, value)| column.append_option(value));
            }
        }
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(names.finish())];
        arrays.extend(columns.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        let terms = StructArray::try_new(Glm::term_fields(), arrays, None)?;
        Ok(Arc::new(ListArray::try_new(item(), OffsetBuffer::from_lengths(lengths), Arc::new(terms), None)?))
    }
}

/// Estimate, standard error, z and its probability.
fn of_term(Values { estimate, std_error, .. }: &Values) -> [Option<f64>; 4] {
    // 0 / 0 tells nothing.
    let z = Some(estimate / std_error).filter(|z| !z.is_nan());
    let p = |z: f64| libm::erfc(z.abs() * std::f64::consts::FRAC_1_SQRT_2);
    [Some(*estimate), Some(*std_error), z, z.map(p)]
}

fn item() -> Arc<Field> {
    Arc::new(Field::new_list_field(DataType::Struct(Glm::term_fields()), true))
}

impl Aggregate for Glm {
    fn name(&self) -> &str {
        self.family.name()
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.model.check(self, arguments)?;
        Ok(self.measure.map_or_else(|| DataType::List(item()), GlmMeasure::data_type))
    }

    fn exactness(&self) -> Exactness {
        Exactness::Rounding
    }

    fn most_state_bytes(&self) -> usize {
        self.model.most_bytes()
    }

    fn makes(&self) -> Makes {
        if self.measure.is_none() { Makes::Rows } else { Makes::Value }
    }

    fn suffix(&self) -> String {
        self.model.ending(self.measure.map(GlmMeasure::name))
    }

    fn argument_name(&self, at: usize) -> Option<&str> {
        self.model.is_weights(at).then_some("weights")
    }

    fn over_columns(&self, at: usize, columns: &[(Arc<str>, DataType)]) -> Option<(Arc<dyn Aggregate>, Vec<usize>)> {
        let (model, chosen) = self.model.with_all(at, columns)?;
        Some((Arc::new(Glm { model, ..self.clone() }), chosen))
    }

    fn in_steps(&self) -> Option<&dyn InSteps> {
        Some(self)
    }
}

impl InSteps for Glm {
    fn step(&self, first: bool) -> Arc<dyn Aggregate> {
        Arc::new(Step::new(self.model.clone(), self.family, first))
    }

    fn is_settled(&self, fit: &str) -> bool {
        Fitted::is_settled_text(fit)
    }

    fn told(&self, fits: &StringViewArray) -> Result<ArrayRef> {
        let fits = (0..fits.len()).map(|row| Fitted::parse(fits.value(row)));
        match self.measure {
            None => Glm::terms_of(fits),
            Some(measure) => measure.of(fits, self.family),
        }
    }

    fn warning(&self, fit: &str) -> Option<&'static str> {
        let fitted = Fitted::parse(fit).ok()?;
        if fitted.separated {
            return Some(
                "some terms tell responses apart so well that their estimates grow without end (`.separated` says whether a fit has such)",
            );
        }
        let stopped = "it did not converge within 25 iterations (`.converged` says whether a fit did)";
        (fitted.stage == Stage::Stopped).then_some(stopped)
    }
}
