//! Least squares from exact sums of products.
//!
//! The matrix of sums is scaled by powers of two, so that its diagonal lies around 1, and swept column after column
//! (Goodnight, "A tutorial on the SWEEP operator", 1979) in fixed point with 512 bits behind the point. Sweeping loses as
//! many bits as squared condition numbers have; a column that would lose more than 86 depends on those before it, as far
//! as doubles can tell. So what is left is right to hundreds of bits and is rounded once.

use super::sums::CrossSums;
use crate::aggregate::rounding::big_ratio;
use num_bigint::{BigInt, BigUint};
use statrs::function::beta::beta_reg;

/// Bits behind the point.
const FRACTION: u32 = 512;
/// A column depends on those before it when they leave less than 2⁻⁸⁶ of its sum of squares, 2⁻⁴³ of its length.
const INDEPENDENT_BITS: u32 = 86;
/// What is left of a sum of squares is nothing when less than this remains: no residual of doubles is so small.
const NOTHING_BITS: u32 = 400;

/// One term of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Coefficient {
    pub(super) estimate: f64,
    /// `None` without degrees of freedom.
    pub(super) std_error: Option<f64>,
}

/// A model.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    /// The intercept, if there is one, and a coefficient for each regressor; `None` for one that depends on others before
    /// it and is left out.
    pub(super) coefficients: Vec<Option<Coefficient>>,
    /// Terms that are not left out.
    pub(super) rank: u64,
    /// Rows minus rank.
    pub(super) df_residual: u64,
    /// `None` without degrees of freedom.
    pub(super) residual_variance: Option<f64>,
    pub(super) residual_std_error: Option<f64>,
    /// Over the mean if there is an intercept, else over 0. `None` where the response does not vary.
    pub(super) r_squared: Option<f64>,
    pub(super) adj_r_squared: Option<f64>,
    /// Of the hypothesis that all coefficients but the intercept are 0.
    pub(super) f_statistic: Option<f64>,
    /// Of the terms but the intercept.
    pub(super) df_model: u64,
}

/// The column of the response; regressors follow it.
const RESPONSE: usize = 1;

/// The model of column 1 by `regressors` columns behind it, and a constant if so wanted; `None` when no row counts.
pub(super) fn fit(sums: &CrossSums, regressors: usize, intercept: bool) -> Option<Fit> {
    if sums.count == 0 {
        return None;
    }
    let terms: Vec<usize> = intercept.then_some(0).into_iter().chain(RESPONSE + 1..RESPONSE + 1 + regressors).collect();
    let mut matrix = Matrix::new(sums, &terms);
    let (mut swept, mut total) = (Vec::new(), matrix.at(terms.len(), terms.len()).clone());
    for term in 0..terms.len() {
        if matrix.is_independent(term) {
            matrix.sweep(term);
            swept.push(term);
        }
        if term == 0 && intercept {
            total = matrix.at(terms.len(), terms.len()).clone();
        }
    }
    let rank = swept.len() as u64;
    let df_residual = sums.count.saturating_sub(rank);
    let df_model = rank - u64::from(intercept).min(rank);
    let residual = matrix.residual();
    let coefficient = |term: usize| swept.contains(&term).then(|| matrix.coefficient(term, &residual, df_residual));
    let share = |numerator: &BigInt, denominator: &BigInt| {
        (*denominator > BigInt::ZERO).then(|| big_ratio(numerator, denominator.magnitude(), 0))
    };
    let explained = &total - &residual;
    let constants = sums.count - u64::from(intercept);
    let adjusted = || {
        let lost = &residual * constants;
        let all = &total * df_residual;
        share(&(&all - lost), &all)
    };
    let f = (df_model > 0 && df_residual > 0).then(|| match residual == BigInt::ZERO {
        true => Some(f64::INFINITY).filter(|_| explained > BigInt::ZERO),
        false => share(&(&explained * df_residual), &(&residual * df_model)),
    });
    let residual_variance = (df_residual > 0).then(|| matrix.of_response(&residual, df_residual));
    Some(Fit {
        coefficients: (0..terms.len()).map(coefficient).collect(),
        rank,
        df_residual,
        residual_variance,
        residual_std_error: residual_variance.map(f64::sqrt),
        r_squared: share(&explained, &total),
        adj_r_squared: adjusted(),
        f_statistic: f.flatten(),
        df_model,
    })
}

/// The sums of products of the terms and, last, the response, in fixed point.
struct Matrix {
    size: usize,
    cells: Vec<BigInt>,
    /// Each column was multiplied with 2^(−scale).
    scales: Vec<i64>,
    /// The diagonal before any sweep.
    diagonal: Vec<BigInt>,
}

impl Matrix {
    fn new(sums: &CrossSums, terms: &[usize]) -> Self {
        let columns: Vec<usize> = terms.iter().copied().chain([RESPONSE]).collect();
        let scale = |&column: &usize| (sums.product(column, column).bits() as i64 + sums.exponent).div_euclid(2);
        let scales: Vec<i64> = columns.iter().map(scale).collect();
        let cell = |(a, b): (usize, usize)| {
            let exponent = sums.exponent - scales[a] - scales[b] + i64::from(FRACTION);
            let product = sums.product(columns[a], columns[b]);
            if exponent >= 0 { product << exponent } else { product >> -exponent }
        };
        let size = columns.len();
        let cells: Vec<BigInt> = (0..size).flat_map(|a| (0..size).map(move |b| (a, b))).map(cell).collect();
        let diagonal = (0..size).map(|at| cells[at * size + at].clone()).collect();
        Matrix { size, cells, scales, diagonal }
    }

    fn at(&self, row: usize, column: usize) -> &BigInt {
        &self.cells[row * self.size + column]
    }

    fn response(&self) -> usize {
        self.size - 1
    }

    /// Whether the terms swept so far leave something of this one.
    fn is_independent(&self, term: usize) -> bool {
        let left = self.at(term, term);
        *left > &self.diagonal[term] >> INDEPENDENT_BITS
    }

    fn sweep(&mut self, term: usize) {
        let pivot = self.at(term, term).clone();
        let one = BigInt::from(1) << FRACTION;
        let row: Vec<BigInt> = (0..self.size).map(|column| (self.at(term, column) << FRACTION) / &pivot).collect();
        for other in (0..self.size).filter(|other| *other != term) {
            let factor = self.at(other, term).clone();
            for column in (0..self.size).filter(|column| *column != term) {
                let product: BigInt = (&factor * &row[column]) >> FRACTION;
                self.cells[other * self.size + column] -= product;
            }
            self.cells[other * self.size + term] = -(factor << FRACTION) / &pivot;
        }
        for (column, value) in row.into_iter().enumerate() {
            self.cells[term * self.size + column] = value;
        }
        self.cells[term * self.size + term] = (&one << FRACTION) / &pivot;
    }

    /// The scaled residual sum of squares.
    fn residual(&self) -> BigInt {
        let left = self.at(self.response(), self.response());
        let least = &self.diagonal[self.response()] >> NOTHING_BITS;
        if *left > least { left.clone() } else { BigInt::ZERO }
    }

    /// A scaled sum of squares of the response, over `divisor`.
    fn of_response(&self, sum: &BigInt, divisor: u64) -> f64 {
        big_ratio(sum, &BigUint::from(divisor), 2 * self.scales[self.response()] - i64::from(FRACTION))
    }

    fn coefficient(&self, term: usize, residual: &BigInt, df_residual: u64) -> Coefficient {
        let shift = self.scales[self.response()] - self.scales[term];
        let estimate = big_ratio(self.at(term, self.response()), &BigUint::from(1_u8), shift - i64::from(FRACTION));
        let variance = || {
            let product = self.at(term, term) * residual;
            big_ratio(&product, &BigUint::from(df_residual), 2 * (shift - i64::from(FRACTION)))
        };
        Coefficient { estimate, std_error: (df_residual > 0).then(|| variance().sqrt()) }
    }
}

/// Probability of a |t| at least so large, under Student's distribution with `df` degrees of freedom.
pub(super) fn t_probability(t: f64, df: u64) -> f64 {
    f_probability(t * t, 1, df)
}

/// Probability of an F at least so large, under Fisher's distribution.
pub(super) fn f_probability(f: f64, df_model: u64, df_residual: u64) -> f64 {
    let (model, residual) = (df_model as f64, df_residual as f64);
    match f {
        f if f.is_nan() => f,
        f64::INFINITY => 0.0,
        f => beta_reg(residual / 2.0, model / 2.0, residual / (residual + model * f)),
    }
}
