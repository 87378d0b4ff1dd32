//! `ols`: linear regression by least squares.

use super::cells::Cells;
use super::fit::{Coefficient, Fit, f_probability, fit, t_probability};
use super::sums::{Answer, CrossProducts, CrossSums};
use crate::aggregate::{Aggregate, Exactness, GroupStates, Makes, wrong_arguments};
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::types::ColumnType;
use arrow::array::{ArrayRef, Float64Array, Float64Builder, Int64Array, ListArray, StringViewBuilder, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use std::sync::Arc;

/// Linear regression of a response on regressors, numbers, Booleans (as 0 and 1) or texts, over the rows in which all of
/// them have a value. A text is a factor: each of its levels in the group but the first in order has a term, which is 1 in
/// the rows with that level and else 0 (treatment contrasts); without an intercept, the first factor's first level too. Without such a row, and as soon as a value is NaN or infinite, there are no terms and no measures.
///
/// Sums of products are exact and everything else is computed with hundreds of digits, so answers are as good as the
/// doubles they come from, and the same whatever the order of the rows. For the formulas see any text on the linear
/// model, such as Draper and Smith, "Applied Regression Analysis".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ols {
    /// What the regressors are called in the answer.
    terms: Arc<[Arc<str>]>,
    intercept: bool,
    /// What is told of the fit: this, or else its terms.
    measure: Option<Measure>,
}

/// What the constant term is called.
const INTERCEPT: &str = "(Intercept)";

/// A number that tells of a whole fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Rows in which all columns have a value.
    Rows,
    /// Rows that lack a value.
    LeftOut,
    /// Terms that do not depend on those before them.
    Rank,
    /// Rows minus rank.
    ResidualDegreesOfFreedom,
    /// Share of the variation of the response that the fit explains: around its mean, or around 0 without an intercept.
    RSquared,
    /// The same with variances in place of sums of squares.
    AdjustedRSquared,
    /// Square root of the residual variance.
    ResidualStdError,
    /// Residual sum of squares over the residual degrees of freedom.
    ResidualVariance,
    /// Of the hypothesis that all coefficients but the intercept are 0.
    FStatistic,
    /// Probability of an F as large or larger.
    FProbability,
}

impl Measure {
    const ALL: [Measure; 10] = [
        Measure::Rows,
        Measure::LeftOut,
        Measure::Rank,
        Measure::ResidualDegreesOfFreedom,
        Measure::RSquared,
        Measure::AdjustedRSquared,
        Measure::ResidualStdError,
        Measure::ResidualVariance,
        Measure::FStatistic,
        Measure::FProbability,
    ];

    /// The measure that users call `name`, as in `ols(y, x).r_squared`.
    ///
    /// # Errors
    /// `Name` with a suggestion when there is none.
    pub fn find(name: &str) -> Result<Self> {
        let lower = name.to_lowercase();
        Measure::ALL.into_iter().find(|measure| measure.name() == lower).ok_or_else(|| {
            let names = Measure::ALL.map(Measure::name);
            let error = Error::new(ErrorKind::Name, format!("a fit has no `{name}`"));
            match did_you_mean(&lower, names) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!("it has {}", names.join(", "))),
            }
        })
    }

    fn name(self) -> &'static str {
        match self {
            Measure::Rows => "n",
            Measure::LeftOut => "left_out",
            Measure::Rank => "rank",
            Measure::ResidualDegreesOfFreedom => "df_residual",
            Measure::RSquared => "r_squared",
            Measure::AdjustedRSquared => "adj_r_squared",
            Measure::ResidualStdError => "residual_std_error",
            Measure::ResidualVariance => "residual_variance",
            Measure::FStatistic => "f_statistic",
            Measure::FProbability => "f_p",
        }
    }

    fn is_count(self) -> bool {
        use Measure::{LeftOut, Rank, ResidualDegreesOfFreedom, Rows};
        matches!(self, Rows | LeftOut | Rank | ResidualDegreesOfFreedom)
    }

    fn count(self, sums: &CrossSums, fit: Option<&Fit>) -> Option<u64> {
        match self {
            Measure::Rows => Some(sums.count),
            Measure::LeftOut => Some(sums.left_out),
            Measure::Rank => Some(fit?.rank),
            _ => Some(fit?.df_residual),
        }
    }

    fn number(self, fit: &Fit) -> Option<f64> {
        match self {
            Measure::RSquared => fit.r_squared,
            Measure::AdjustedRSquared => fit.adj_r_squared,
            Measure::ResidualStdError => fit.residual_std_error,
            Measure::ResidualVariance => fit.residual_variance,
            Measure::FStatistic => fit.f_statistic,
            _ => fit.f_statistic.map(|f| f_probability(f, fit.df_model, fit.df_residual)),
        }
    }
}

impl Ols {
    /// A model with these regressors, and a constant term if so wanted.
    pub fn new(terms: impl IntoIterator<Item = impl Into<Arc<str>>>, intercept: bool) -> Self {
        Ols { terms: terms.into_iter().map(Into::into).collect(), intercept, measure: None }
    }

    /// The same model, of which this is told in place of its terms.
    #[must_use]
    pub fn measure(self, measure: Measure) -> Self {
        Ols { measure: Some(measure), ..self }
    }

    /// What a fit tells of each of its terms, one row a term: what it is called; its estimate, null if it depends on terms
    /// before it; the standard error of that; their ratio t, and the probability of one that is as far from 0, or farther.
    pub fn term_fields() -> Fields {
        let number = |name: &str| Field::new(name, DataType::Float64, true);
        let term = Field::new("term", DataType::Utf8View, true);
        Fields::from(vec![term, number("estimate"), number("std_error"), number("t"), number("p")])
    }

    pub(super) fn has_intercept(&self) -> bool {
        self.intercept
    }

    /// What the regressors are called.
    pub(super) fn regressors(&self) -> &[Arc<str>] {
        &self.terms
    }

    fn fit(&self, sums: &CrossSums, terms: usize) -> Option<Fit> {
        if sums.special { None } else { fit(sums, terms, self.intercept) }
    }

    /// What is to be told of models: the sums of each and the names of its terms but the intercept.
    pub(super) fn told<T: AsRef<[Arc<str>]>>(
        &self,
        models: impl Iterator<Item = Result<(CrossSums, T)>>,
    ) -> Result<ArrayRef> {
        let Some(measure) = self.measure else { return self.terms_of(models) };
        let fitted = models.map(|model| {
            let (sums, terms) = model?;
            let fit = self.fit(&sums, terms.as_ref().len());
            Ok((sums, fit))
        });
        Ok(if measure.is_count() {
            let count =
                |(sums, fit): (CrossSums, Option<Fit>)| measure.count(&sums, fit.as_ref()).map(u64::cast_signed);
            Arc::new(fitted.map(|fitted| fitted.map(count)).collect::<Result<Int64Array>>()?)
        } else {
            let number = |(_, fit): (CrossSums, Option<Fit>)| measure.number(&fit?);
            Arc::new(fitted.map(|fitted| fitted.map(number)).collect::<Result<Float64Array>>()?)
        })
    }

    /// The terms of each fit, a list.
    fn terms_of<T: AsRef<[Arc<str>]>>(&self, models: impl Iterator<Item = Result<(CrossSums, T)>>) -> Result<ArrayRef> {
        let (mut names, mut lengths) = (StringViewBuilder::new(), Vec::new());
        let mut columns: [Float64Builder; 4] = Default::default();
        for model in models {
            let (sums, terms) = model?;
            let fit = self.fit(&sums, terms.as_ref().len());
            lengths.push(fit.as_ref().map_or(0, |fit| fit.coefficients.len()));
            let Some(fit) = fit else { continue };
            let terms =
                self.intercept.then_some(INTERCEPT).into_iter().chain(terms.as_ref().iter().map(|term| &**term));
            for (name, coefficient) in terms.zip(&fit.coefficients) {
                names.append_value(name);
                let told = of_term(coefficient.as_ref(), fit.df_residual);
                columns.iter_mut().zip(told).for_each(|(column, value)| column.append_option(value));
            }
        }
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(names.finish())];
        arrays.extend(columns.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        let terms = StructArray::try_new(Ols::term_fields(), arrays, None)?;
        Ok(Arc::new(ListArray::try_new(item(), OffsetBuffer::from_lengths(lengths), Arc::new(terms), None)?))
    }
}

/// Estimate, standard error, t and its probability.
fn of_term(coefficient: Option<&Coefficient>, df_residual: u64) -> [Option<f64>; 4] {
    let Some(Coefficient { estimate, std_error }) = coefficient else { return [None; 4] };
    // 0 / 0 tells nothing.
    let t = std_error.map(|std_error| estimate / std_error).filter(|t| !t.is_nan());
    [Some(*estimate), *std_error, t, t.map(|t| t_probability(t, df_residual))]
}

fn item() -> Arc<Field> {
    Arc::new(Field::new_list_field(DataType::Struct(Ols::term_fields()), true))
}

impl Aggregate for Ols {
    fn name(&self) -> &str {
        "ols"
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let known: Vec<ColumnType> =
            arguments.iter().filter_map(|argument| ColumnType::from_arrow(argument).ok()).collect();
        let is_number = |known: &ColumnType| known.is_numeric() || *known == ColumnType::Null;
        let fits = known.len() == self.terms.len() + 1
            && known.len() == arguments.len()
            && is_number(&known[0])
            && known.iter().all(|known| is_number(known) || *known == ColumnType::Utf8);
        if !fits {
            let takes = "a response, a number or Boolean, and regressors, each a number, Boolean or text";
            return Err(
                wrong_arguments(self, takes, arguments).hint("dates and times are numbers by year(x) and the like")
            );
        }
        Ok(match self.measure {
            None => DataType::List(item()),
            Some(measure) if measure.is_count() => DataType::Int64,
            Some(_) => DataType::Float64,
        })
    }

    fn exactness(&self) -> Exactness {
        Exactness::Rounding
    }

    fn makes(&self) -> Makes {
        if self.measure.is_none() { Makes::Rows } else { Makes::Value }
    }

    fn suffix(&self) -> String {
        let intercept = if self.intercept { "" } else { ", intercept => false" };
        let measure = self.measure.map(|measure| format!(".{}", measure.name())).unwrap_or_default();
        format!("{intercept}){measure}")
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        self.output_type(arguments)?;
        Ok(match arguments.contains(&DataType::Utf8View) {
            true => Box::new(Cells::new(self.clone(), arguments)),
            false => Box::new(CrossProducts::new(arguments.len(), self.clone())),
        })
    }
}

impl Answer for Ols {
    fn of(&self, groups: impl Iterator<Item = CrossSums>) -> Result<ArrayRef> {
        self.told(groups.map(|sums| Ok((sums, &self.terms))))
    }
}
