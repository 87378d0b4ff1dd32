//! Numbers that tell of a whole fit.

use super::family::Family;
use super::fitted::{Fitted, Stage};
use crate::aggregate::cross::ols::named;
use crate::error::Result;
use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringViewArray};
use arrow::datatypes::DataType;
use std::sync::Arc;

/// A number, or the like, that tells of a whole fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GlmMeasure {
    /// Rows that count.
    Rows,
    /// Rows that lack a value.
    LeftOut,
    /// Terms that do not depend on those before them.
    Rank,
    /// Rows minus rank.
    ResidualDegreesOfFreedom,
    /// Rows, minus 1 with an intercept.
    NullDegreesOfFreedom,
    /// Twice the log-likelihood that the model lacks to one with a parameter for each row.
    Deviance,
    /// The same of the intercept alone.
    NullDeviance,
    /// Akaike's criterion: twice the rank minus twice the log-likelihood; null for a Poisson regression of a response that is
    /// not whole.
    Aic,
    /// Null where [`GlmMeasure::Aic`] is.
    LogLikelihood,
    /// Weighted least squares that were solved.
    Iterations,
    /// Whether the deviance changed by less than 10⁻⁸ of it in the end.
    Converged,
    /// Whether estimates grow without end, because terms tell responses apart altogether.
    Separated,
    /// The model as text, from which the function `predict` computes; null without a fit.
    Model,
}

impl GlmMeasure {
    const ALL: [GlmMeasure; 13] = [
        GlmMeasure::Rows,
        GlmMeasure::LeftOut,
        GlmMeasure::Rank,
        GlmMeasure::ResidualDegreesOfFreedom,
        GlmMeasure::NullDegreesOfFreedom,
        GlmMeasure::Deviance,
        GlmMeasure::NullDeviance,
        GlmMeasure::Aic,
        GlmMeasure::LogLikelihood,
        GlmMeasure::Iterations,
        GlmMeasure::Converged,
        GlmMeasure::Separated,
        GlmMeasure::Model,
    ];

    /// The measure that users call `name`, as in `logistic(y, x).deviance`.
    ///
    /// # Errors
    /// `Name` with a suggestion when there is none.
    pub fn find(name: &str) -> Result<Self> {
        named(&GlmMeasure::ALL, GlmMeasure::name, name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            GlmMeasure::Rows => "n",
            GlmMeasure::LeftOut => "left_out",
            GlmMeasure::Rank => "rank",
            GlmMeasure::ResidualDegreesOfFreedom => "df_residual",
            GlmMeasure::NullDegreesOfFreedom => "df_null",
            GlmMeasure::Deviance => "deviance",
            GlmMeasure::NullDeviance => "null_deviance",
            GlmMeasure::Aic => "aic",
            GlmMeasure::LogLikelihood => "log_likelihood",
            GlmMeasure::Iterations => "iterations",
            GlmMeasure::Converged => "converged",
            GlmMeasure::Separated => "separated",
            GlmMeasure::Model => "model",
        }
    }

    pub(super) fn data_type(self) -> DataType {
        use GlmMeasure::{Aic, Converged, Deviance, LogLikelihood, Model, NullDeviance, Separated};
        match self {
            Converged | Separated => DataType::Boolean,
            Deviance | NullDeviance | Aic | LogLikelihood => DataType::Float64,
            Model => DataType::Utf8View,
            _ => DataType::Int64,
        }
    }

    /// One value a fit.
    pub(super) fn of(self, fits: impl Iterator<Item = Result<Fitted>>, family: Family) -> Result<ArrayRef> {
        Ok(match self.data_type() {
            DataType::Boolean => Arc::new(fits.map(|fit| Ok(self.flag(&fit?))).collect::<Result<BooleanArray>>()?),
            DataType::Float64 => Arc::new(fits.map(|fit| Ok(self.number(&fit?))).collect::<Result<Float64Array>>()?),
            DataType::Utf8View => {
                let text = |fit: Fitted| (fit.stage != Stage::Nothing).then(|| fit.model(family));
                Arc::new(fits.map(|fit| Ok(text(fit?))).collect::<Result<StringViewArray>>()?)
            }
            _ => Arc::new(fits.map(|fit| Ok(self.count(&fit?))).collect::<Result<Int64Array>>()?),
        })
    }

    fn count(self, fit: &Fitted) -> Option<i64> {
        let fitted = |count: u64| (fit.stage != Stage::Nothing).then_some(count);
        let count = match self {
            GlmMeasure::Rows => Some(fit.rows),
            GlmMeasure::LeftOut => Some(fit.left_out),
            GlmMeasure::Rank => fitted(fit.rank),
            GlmMeasure::ResidualDegreesOfFreedom => fitted(fit.rows.saturating_sub(fit.rank)),
            GlmMeasure::NullDegreesOfFreedom => {
                let intercept = fit.terms.first().is_some_and(|term| term.is_intercept());
                fitted(fit.rows - u64::from(intercept))
            }
            _ => fitted(fit.iterations),
        };
        count.map(u64::cast_signed)
    }

    fn number(self, fit: &Fitted) -> Option<f64> {
        // −2 times the log-likelihood.
        let lacking = fit.deviance + fit.constant;
        let number = match self {
            GlmMeasure::Deviance => fit.deviance,
            GlmMeasure::NullDeviance => fit.null_deviance,
            GlmMeasure::Aic => lacking + 2.0 * fit.rank as f64,
            _ => -lacking / 2.0,
        };
        (fit.stage != Stage::Nothing && !number.is_nan()).then_some(number)
    }

    fn flag(self, fit: &Fitted) -> Option<bool> {
        let flag = match self {
            GlmMeasure::Converged => fit.stage == Stage::Converged,
            _ => fit.separated,
        };
        (fit.stage != Stage::Nothing).then_some(flag)
    }
}
