//! `ols`: linear regression by least squares.

use super::cells::Cells;
use super::fit::{Coefficient, Fit, f_probability, fit, t_probability};
use super::model::{Part, Terms};
use super::sums::{Answer, CrossProducts, CrossSums, Design, most_bytes};
use crate::aggregate::{Aggregate, Exactness, GroupStates, Makes, wrong_arguments};
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::types::ColumnType;
use arrow::array::{
    ArrayRef, Float64Array, Float64Builder, Int64Array, ListArray, StringViewArray, StringViewBuilder, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use std::borrow::Borrow;
use std::sync::Arc;

/// Linear regression of a response on regressors, numbers, Booleans (as 0 and 1) or texts, over the rows in which all of
/// them have a value. A text is a factor: each of its levels in the group but the first in order has a term, which is 1 in
/// the rows with that level and else 0 (treatment contrasts); without an intercept, the first factor's first level too. A term
/// may be a product of several regressors, their interaction; a factor in it is coded by all of its levels, as in R, where the
/// model lacks the term without it. Without such a row, and as soon as a value is NaN or infinite, there are no terms and no
/// measures.
///
/// With weights, the weighted sum of squared residuals is least: rows are multiplied with the root of their weight, rounded, as
/// R does it. Rows of weight 0 do not count at all; with a negative weight there are no terms and no measures.
///
/// Sums of products are exact and everything else is computed with hundreds of digits, so answers are as good as the
/// doubles they come from, and the same whatever the order of the rows. For the formulas see any text on the linear
/// model, such as Draper and Smith, "Applied Regression Analysis".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ols {
    /// What the regressors are called in the answer.
    regressors: Arc<[Arc<str>]>,
    /// The regressors that each term is the product of; each is a term by itself if `None`.
    terms: Option<Arc<[Vec<usize>]>>,
    intercept: bool,
    /// Whether the last argument is the weights.
    weighted: bool,
    /// Columns that `*` does not stand for.
    without: Arc<[Arc<str>]>,
    /// What is told of the fit: this, or else its terms.
    measure: Option<Measure>,
}

/// What the constant term is called.
pub(super) const INTERCEPT: &str = "(Intercept)";

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
    /// Probability of an F as large or larger: to about 7 digits at 10⁸ rows, to more at fewer.
    FProbability,
    /// The model as text, from which the function `predict` computes; null without a fit.
    Model,
}

impl Measure {
    const ALL: [Measure; 11] = [
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
        Measure::Model,
    ];

    /// The measure that users call `name`, as in `ols(y, x).r_squared`.
    ///
    /// # Errors
    /// `Name` with a suggestion when there is none.
    pub fn find(name: &str) -> Result<Self> {
        named(&Measure::ALL, Measure::name, name)
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
            Measure::Model => "model",
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

/// The measure of a fit that users call `name`.
pub(super) fn named<M: Copy>(all: &[M], name_of: fn(M) -> &'static str, name: &str) -> Result<M> {
    let lower = name.to_lowercase();
    all.iter().copied().find(|measure| name_of(*measure) == lower).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|measure| name_of(*measure)).collect();
        let error = Error::new(ErrorKind::Name, format!("a fit has no `{name}`"));
        match did_you_mean(&lower, names.iter().copied()) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(format!("it has {}", names.join(", "))),
        }
    })
}

impl Ols {
    /// A model with these regressors, and a constant term if so wanted.
    pub fn new(regressors: impl IntoIterator<Item = impl Into<Arc<str>>>, intercept: bool) -> Self {
        let regressors = regressors.into_iter().map(Into::into).collect();
        Ols { regressors, terms: None, intercept, weighted: false, without: Arc::new([]), measure: None }
    }

    /// The same model with these terms, each the product of the regressors of these numbers, from 0.
    ///
    /// # Errors
    /// `Syntax` when there is no regressor of such a number, or a term is the product of none.
    pub fn terms(self, terms: impl IntoIterator<Item = Vec<usize>>) -> Result<Self> {
        let terms: Vec<Vec<usize>> = terms.into_iter().collect();
        let known = |term: &Vec<usize>| !term.is_empty() && term.iter().all(|at| *at < self.regressors.len());
        if !terms.iter().all(known) {
            return Err(Error::new(ErrorKind::Syntax, "a term of `ols` is the product of some of its regressors"));
        }
        let plain = terms.len() == self.regressors.len() && (0..).zip(&terms).all(|(at, term)| *term == [at]);
        Ok(Ols { terms: (!plain).then(|| terms.into()), ..self })
    }

    /// The same model of rows with weights, which are one more argument, the last.
    #[must_use]
    pub fn weighted(self) -> Self {
        Ols { weighted: true, ..self }
    }

    /// The same model, of which this is told in place of its terms.
    #[must_use]
    pub fn measure(self, measure: Measure) -> Self {
        Ols { measure: Some(measure), ..self }
    }

    /// What a fit tells of each of its terms, one row a term: what it is called; its estimate, null if it depends on terms
    /// before it; the standard error of that; their ratio t, and the probability of one that is as far from 0, or farther (to about 7 digits at 10⁸ rows, to more
    /// at fewer).
    pub fn term_fields() -> Fields {
        let number = |name: &str| Field::new(name, DataType::Float64, true);
        let term = Field::new("term", DataType::Utf8View, true);
        Fields::from(vec![term, number("estimate"), number("std_error"), number("t"), number("p")])
    }

    /// The same model, in which `*` among the regressors does not stand for columns of these names.
    #[must_use]
    pub fn without(self, columns: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Self {
        Ols { without: columns.into_iter().map(Into::into).collect(), ..self }
    }

    pub(super) fn has_intercept(&self) -> bool {
        self.intercept
    }

    pub(super) fn is_weighted(&self) -> bool {
        self.weighted
    }

    /// What the regressors are called.
    pub(super) fn regressors(&self) -> &[Arc<str>] {
        &self.regressors
    }

    /// The regressors of each term.
    pub(super) fn factors_of_terms(&self) -> Vec<Vec<usize>> {
        match &self.terms {
            Some(terms) => terms.to_vec(),
            None => (0..self.regressors.len()).map(|at| vec![at]).collect(),
        }
    }

    /// What a term is called.
    pub(super) fn name_of(&self, parts: &[Part]) -> Arc<str> {
        let name = |(regressor, level): &Part| match level {
            None => self.regressors[*regressor].to_string(),
            Some(level) => format!("{} = '{}'", self.regressors[*regressor], level.replace('\'', "''")),
        };
        match parts {
            [one] => name(one).into(),
            several => {
                let part = |name: String| if name.contains(' ') { format!("({name})") } else { name };
                several.iter().map(|one| part(name(one))).collect::<Vec<_>>().join(" * ").into()
            }
        }
    }

    /// Whether `aggregate`, which has this model, takes arguments of these types.
    pub(super) fn check(&self, aggregate: &dyn Aggregate, arguments: &[DataType]) -> Result<()> {
        let known: Vec<ColumnType> =
            arguments.iter().filter_map(|argument| ColumnType::from_arrow(argument).ok()).collect();
        let is_number = |known: &ColumnType| known.is_numeric() || *known == ColumnType::Null;
        let fits = known.len() == 1 + self.regressors.len() + usize::from(self.weighted)
            && known.len() == arguments.len()
            && is_number(&known[0])
            && known.iter().all(|known| is_number(known) || *known == ColumnType::Utf8)
            && !(self.weighted && known.last() == Some(&ColumnType::Utf8));
        if fits {
            return Ok(());
        }
        let takes = "a response, a number or Boolean, and regressors, each a number, Boolean or text";
        Err(wrong_arguments(aggregate, takes, arguments).hint("dates and times are numbers by year(x) and the like"))
    }

    /// Bytes of the sums of a group.
    pub(super) fn most_bytes(&self) -> usize {
        most_bytes(self.terms.as_ref().map_or(self.regressors.len(), |terms| terms.len()) + 1)
    }

    /// What ends the text of a call, of whose fit a measure of this name is told.
    pub(super) fn ending(&self, measure: Option<&str>) -> String {
        let intercept = if self.intercept { "" } else { ", intercept => false" };
        let measure = measure.map(|measure| format!(".{measure}")).unwrap_or_default();
        let term = |term: &Vec<usize>| term.iter().map(|at| (at + 1).to_string()).collect::<Vec<_>>().join(":");
        let terms = self.terms.iter().map(|terms| terms.iter().map(term).collect::<Vec<_>>().join(" + "));
        let terms: String = terms.map(|terms| format!(", terms => '{terms}'")).collect();
        format!("{terms}{intercept}){measure}")
    }

    /// Whether the argument at `at` is the weights.
    pub(super) fn is_weights(&self, at: usize) -> bool {
        self.weighted && at == 1 + self.regressors.len()
    }

    /// The same model with some of these columns in place of the regressor `*`, the argument at `at`, and which it takes.
    pub(super) fn with_all(&self, at: usize, columns: &[(Arc<str>, DataType)]) -> Option<(Self, Vec<usize>)> {
        let all = at.checked_sub(1).filter(|all| *all < self.regressors.len())?;
        let is_other = |name: &Arc<str>| !self.without.contains(name) && !self.regressors.contains(name);
        let chosen: Vec<usize> = (0..columns.len()).filter(|column| is_other(&columns[*column].0)).collect();
        let names = chosen.iter().map(|column| Arc::clone(&columns[*column].0));
        let mut regressors = self.regressors.to_vec();
        regressors.splice(all..=all, names);
        // Numbers behind the one that became several.
        let moved = |own: usize| if own > all { own + chosen.len() - 1 } else { own };
        let mut terms = Vec::new();
        for term in self.factors_of_terms() {
            match term.iter().position(|own| *own == all) {
                None => terms.push(term.into_iter().map(moved).collect()),
                Some(place) => terms.extend((all..all + chosen.len()).map(|column| {
                    let mut term: Vec<usize> = term.iter().copied().map(moved).collect();
                    term[place] = column;
                    term
                })),
            }
        }
        let model = Ols { regressors: regressors.into(), terms: None, ..self.clone() };
        Some((model.terms(terms).ok()?, chosen))
    }

    fn fit(&self, sums: &CrossSums, terms: usize) -> Option<Fit> {
        if sums.special { None } else { fit(sums, terms, self.intercept) }
    }

    /// What is to be told of models: the sums of each and its terms.
    pub(super) fn told<T: Borrow<Terms>>(
        &self,
        models: impl Iterator<Item = Result<(CrossSums, T)>>,
    ) -> Result<ArrayRef> {
        let Some(measure) = self.measure else { return self.terms_of(models) };
        let fitted = models.map(|model| {
            let (sums, terms) = model?;
            let fit = self.fit(&sums, terms.borrow().terms.len());
            Ok((sums, terms, fit))
        });
        type Fitted<T> = (CrossSums, T, Option<Fit>);
        Ok(if measure.is_count() {
            let count = |(sums, _, fit): Fitted<T>| measure.count(&sums, fit.as_ref()).map(u64::cast_signed);
            Arc::new(fitted.map(|fitted| fitted.map(count)).collect::<Result<Int64Array>>()?)
        } else if measure == Measure::Model {
            let text = |(_, terms, fit): Fitted<T>| {
                let estimates = fit?.coefficients.into_iter().map(|coefficient| Some(coefficient?.estimate));
                Some(terms.borrow().text(self.intercept, estimates))
            };
            Arc::new(fitted.map(|fitted| fitted.map(text)).collect::<Result<StringViewArray>>()?)
        } else {
            let number = |(_, _, fit): Fitted<T>| measure.number(&fit?);
            Arc::new(fitted.map(|fitted| fitted.map(number)).collect::<Result<Float64Array>>()?)
        })
    }

    /// The terms of each fit, a list.
    fn terms_of<T: Borrow<Terms>>(&self, models: impl Iterator<Item = Result<(CrossSums, T)>>) -> Result<ArrayRef> {
        let (mut names, mut lengths) = (StringViewBuilder::new(), Vec::new());
        let mut columns: [Float64Builder; 4] = Default::default();
        for model in models {
            let (sums, terms) = model?;
            let terms = &terms.borrow().terms;
            let fit = self.fit(&sums, terms.len());
            lengths.push(fit.as_ref().map_or(0, |fit| fit.coefficients.len()));
            let Some(fit) = fit else { continue };
            let own_names = terms.iter().map(|parts| self.name_of(parts));
            let intercept = self.intercept.then(|| Arc::from(INTERCEPT));
            for (name, coefficient) in intercept.into_iter().chain(own_names).zip(&fit.coefficients) {
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
    let Some(Coefficient { estimate, std_error, .. }) = coefficient else { return [None; 4] };
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
        self.check(self, arguments)?;
        Ok(match self.measure {
            None => DataType::List(item()),
            Some(measure) if measure.is_count() => DataType::Int64,
            Some(Measure::Model) => DataType::Utf8View,
            Some(_) => DataType::Float64,
        })
    }

    fn exactness(&self) -> Exactness {
        Exactness::Rounding
    }

    fn most_state_bytes(&self) -> usize {
        self.most_bytes()
    }

    fn makes(&self) -> Makes {
        if self.measure.is_none() { Makes::Rows } else { Makes::Value }
    }

    fn suffix(&self) -> String {
        self.ending(self.measure.map(Measure::name))
    }

    fn argument_name(&self, at: usize) -> Option<&str> {
        self.is_weights(at).then_some("weights")
    }

    fn over_columns(&self, at: usize, columns: &[(Arc<str>, DataType)]) -> Option<(Arc<dyn Aggregate>, Vec<usize>)> {
        let (model, chosen) = self.with_all(at, columns)?;
        Some((Arc::new(model), chosen))
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        self.output_type(arguments)?;
        Ok(match arguments.contains(&DataType::Utf8View) {
            true => Box::new(Cells::new(self.clone(), arguments)),
            false => {
                let term = |term: Vec<usize>| term.into_iter().map(|at| at + 1).collect();
                let terms = self.factors_of_terms().into_iter().map(term);
                let products = std::iter::once(vec![0]).chain(terms).collect();
                let weight = self.weighted.then(|| arguments.len() - 1);
                Box::new(CrossProducts::new(Design { products, weight, only_finite: true }, self.clone()))
            }
        })
    }
}

impl Answer for Ols {
    fn of(&self, groups: impl Iterator<Item = CrossSums>) -> Result<ArrayRef> {
        let term = |term: Vec<usize>| term.into_iter().map(|regressor| (regressor, None)).collect();
        let terms = self.factors_of_terms().into_iter().map(term).collect();
        let terms = Terms { terms, levels: Vec::new() };
        self.told(groups.map(|sums| Ok((sums, &terms))))
    }
}
