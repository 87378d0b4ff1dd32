//! Least squares from exact sums of products.
//!
//! The matrix of sums is scaled by powers of two, so that its diagonal lies around 1, and swept column after column
//! (Goodnight, "A tutorial on the SWEEP operator", 1979) in fixed point. Sweeping loses as many bits as squared condition
//! numbers have; a column that would lose more than 86 depends on those before it, as far as doubles can tell. With 512 bits
//! behind the point, what is left is right to hundreds of bits and is rounded once.
//!
//! Models that lose little are computed with 256 bits, many times faster: where pivots, the inverse and all that is told stay
//! within [`WELL_CONDITIONED_BITS`] of 1, those bits leave 70 and more behind the 53 of a double.

use super::fixed::{Number, Short};
use super::sums::CrossSums;
use crate::aggregate::rounding::{big_ratio, big_root};
use num_bigint::{BigInt, BigUint};
use statrs::function::beta::beta_reg;

/// A column depends on those before it when they leave less than 2⁻⁸⁶ of its sum of squares, 2⁻⁴³ of its length.
const INDEPENDENT_BITS: u32 = 86;
/// What is left of a sum of squares is nothing when less than this remains: no residual of doubles is so small.
const NOTHING_BITS: u32 = 400;
/// Pivots at least, the inverse at most, and estimates and the residual at least this many bits away from 1 are told from
/// 256 bits.
const WELL_CONDITIONED_BITS: u32 = 36;

/// One term of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Coefficient {
    pub(super) estimate: f64,
    /// `None` without degrees of freedom.
    pub(super) std_error: Option<f64>,
    /// What the standard error would be if the residual variance were 1.
    pub(super) unit_error: f64,
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
    let scaled = Scaled::new(sums, &terms);
    let solved = scaled.solved::<Short>(intercept).filter(Solved::is_well_conditioned);
    solved.or_else(|| scaled.solved::<BigInt>(intercept)).map(|solved| solved.fit(sums, intercept))
}

/// The sums of products of the terms and, last, the response.
struct Scaled<'a> {
    sums: &'a CrossSums,
    columns: Vec<usize>,
    /// Each column is multiplied with 2^(−scale).
    scales: Vec<i64>,
}

impl<'a> Scaled<'a> {
    fn new(sums: &'a CrossSums, terms: &[usize]) -> Self {
        let columns: Vec<usize> = terms.iter().copied().chain([RESPONSE]).collect();
        let scale = |&column: &usize| (sums.product(column, column).bits() as i64 + sums.exponent).div_euclid(2);
        let scales = columns.iter().map(scale).collect();
        Scaled { sums, columns, scales }
    }

    /// A cell in units of 2^(−`fraction`).
    fn cell(&self, a: usize, b: usize, fraction: u32) -> BigInt {
        let exponent = self.sums.exponent - self.scales[a] - self.scales[b] + i64::from(fraction);
        let product = self.sums.product(self.columns[a], self.columns[b]);
        if exponent >= 0 { product << exponent } else { product >> -exponent }
    }

    /// Sweeps all terms that do not depend on those before them; `None` where numbers of this kind have no room.
    fn solved<N: Number>(&self, intercept: bool) -> Option<Solved> {
        let mut matrix = Matrix::<N>::new(self)?;
        let response = matrix.size - 1;
        let (mut swept, mut total) = (Vec::new(), matrix.at(response, response).units());
        let mut least_pivot_bits = u64::MAX;
        let least = &matrix.diagonal[response] >> NOTHING_BITS.min(N::FRACTION);
        let left_of_response = |matrix: &Matrix<N>| {
            let left = matrix.at(response, response).units();
            if left > least { left } else { BigInt::ZERO }
        };
        for term in 0..response {
            let left = matrix.at(term, term).units();
            if left > &matrix.diagonal[term] >> INDEPENDENT_BITS {
                least_pivot_bits = least_pivot_bits.min(left.bits());
                matrix.sweep(term)?;
                swept.push(term);
            }
            if term == 0 && intercept {
                total = left_of_response(&matrix);
            }
        }
        // Of a response that is the intercept, the other terms have nothing: what they are given is rounding.
        let is_flat = intercept && total == BigInt::ZERO;
        let estimate = |term: usize| match is_flat && term > 0 {
            true => BigInt::ZERO,
            false => matrix.at(term, response).units(),
        };
        Some(Solved {
            fraction: N::FRACTION,
            scales: self.scales.clone(),
            least_pivot_bits,
            estimates: (0..response).map(estimate).collect(),
            inverse: (0..response).map(|term| matrix.at(term, term).units()).collect(),
            swept,
            total,
            residual: left_of_response(&matrix),
        })
    }
}

/// A symmetric matrix, of whose terms some are swept: cells of a swept and another row and column differ in sign from those
/// across the diagonal. Only cells on and above it are kept.
struct Matrix<N> {
    size: usize,
    cells: Vec<N>,
    swept: Vec<bool>,
    /// Before any sweep, in units.
    diagonal: Vec<BigInt>,
}

impl<N: Number> Matrix<N> {
    fn new(scaled: &Scaled<'_>) -> Option<Self> {
        let size = scaled.columns.len();
        let mut cells = Vec::with_capacity(size * (size + 1) / 2);
        for a in 0..size {
            for b in a..size {
                cells.push(N::of_units(&scaled.cell(a, b, N::FRACTION))?);
            }
        }
        let diagonal = (0..size).map(|at| scaled.cell(at, at, N::FRACTION)).collect();
        Some(Matrix { size, cells, swept: vec![false; size], diagonal })
    }

    /// Where the row of a column begins, as if it began with the first column.
    fn start(&self, row: usize) -> usize {
        row * self.size - row * (row + 1) / 2
    }

    /// A cell on or above the diagonal.
    fn at(&self, row: usize, column: usize) -> &N {
        &self.cells[self.start(row) + column]
    }

    /// Any cell.
    fn cell(&self, row: usize, column: usize) -> N {
        match row <= column {
            true => self.at(row, column).clone(),
            false if self.swept[row] == self.swept[column] => self.at(column, row).clone(),
            false => self.at(column, row).negated(),
        }
    }

    fn sweep(&mut self, term: usize) -> Option<()> {
        let inverse = self.at(term, term).inverse()?;
        let column: Vec<N> = (0..self.size).map(|row| self.cell(row, term)).collect();
        let row: Vec<N> =
            (0..self.size).map(|column| self.cell(term, column).times(&inverse)).collect::<Option<_>>()?;
        for (at, factor) in column.iter().enumerate() {
            if at == term {
                continue;
            }
            let start = self.start(at);
            for (other, share) in row.iter().enumerate().skip(at) {
                let cell = &mut self.cells[start + other];
                *cell = cell.minus(&factor.times(share)?)?;
            }
        }
        for (at, factor) in column.iter().enumerate().take(term) {
            let start = self.start(at);
            self.cells[start + term] = factor.times(&inverse)?.negated();
        }
        let start = self.start(term);
        self.cells[start + term] = inverse;
        for (at, share) in row.into_iter().enumerate().skip(term + 1) {
            self.cells[start + at] = share;
        }
        self.swept[term] = true;
        Some(())
    }
}

/// What sweeping gave, in units of 2^(−`fraction`) and scaled.
struct Solved {
    fraction: u32,
    /// Of the terms and the response.
    scales: Vec<i64>,
    /// Of the smallest pivot.
    least_pivot_bits: u64,
    /// Terms that are not left out.
    swept: Vec<usize>,
    /// One a term; of those that are left out, nothing of use.
    estimates: Vec<BigInt>,
    /// The diagonal of the inverse, likewise.
    inverse: Vec<BigInt>,
    /// Sum of squares of the response, around its mean where there is an intercept, and what the terms leave of it.
    total: BigInt,
    residual: BigInt,
}

impl Solved {
    fn is_well_conditioned(&self) -> bool {
        let (one, far) = (u64::from(self.fraction), u64::from(WELL_CONDITIONED_BITS));
        let estimates = self.swept.iter().map(|term| self.estimates[*term].bits());
        let inverse = self.swept.iter().map(|term| self.inverse[*term].bits());
        self.least_pivot_bits.min(self.residual.bits()).min(self.total.bits()) > one - far
            && { estimates }.all(|bits| (one - far..one + far).contains(&bits))
            && { inverse }.all(|bits| bits < one + far)
            && self.swept.len() == self.estimates.len()
    }

    fn response_scale(&self) -> i64 {
        self.scales[self.estimates.len()]
    }

    fn coefficient(&self, term: usize, df_residual: u64) -> Coefficient {
        let shift = self.response_scale() - self.scales[term] - i64::from(self.fraction);
        let estimate = big_ratio(&self.estimates[term], &BigUint::from(1_u8), shift);
        let variance = &self.inverse[term] * &self.residual;
        let std_error = || big_root(&variance, &BigUint::from(df_residual), 2 * shift);
        let unit = -2 * self.scales[term] - i64::from(self.fraction);
        let unit_error = big_root(&self.inverse[term], &BigUint::from(1_u8), unit);
        Coefficient { estimate, std_error: (df_residual > 0).then(std_error), unit_error }
    }

    fn fit(&self, sums: &CrossSums, intercept: bool) -> Fit {
        let Solved { total, residual, swept, .. } = self;
        let rank = swept.len() as u64;
        let df_residual = sums.count.saturating_sub(rank);
        let df_model = rank - u64::from(intercept).min(rank);
        let share = |numerator: &BigInt, denominator: &BigInt| {
            (*denominator > BigInt::ZERO).then(|| big_ratio(numerator, denominator.magnitude(), 0))
        };
        let explained = total - residual;
        let constants = sums.count - u64::from(intercept);
        let adjusted = || {
            let lost = residual * constants;
            let all = total * df_residual;
            share(&(&all - lost), &all)
        };
        let f = (df_model > 0 && df_residual > 0).then(|| match *residual == BigInt::ZERO {
            true => Some(f64::INFINITY).filter(|_| explained > BigInt::ZERO),
            false => share(&(&explained * df_residual), &(residual * df_model)),
        });
        let response_exponent = 2 * self.response_scale() - i64::from(self.fraction);
        let by_freedom = |rounded: fn(&BigInt, &BigUint, i64) -> f64| {
            (df_residual > 0).then(|| rounded(residual, &BigUint::from(df_residual), response_exponent))
        };
        let coefficient = |term: usize| swept.contains(&term).then(|| self.coefficient(term, df_residual));
        Fit {
            coefficients: (0..self.estimates.len()).map(coefficient).collect(),
            rank,
            df_residual,
            residual_variance: by_freedom(big_ratio),
            residual_std_error: by_freedom(big_root),
            r_squared: share(&explained, total),
            adj_r_squared: adjusted(),
            f_statistic: f.flatten(),
            df_model,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::cross::nist::sums_of;

    #[test]
    fn both_precisions_give_the_same_bits() {
        let mut seed = 3u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 11) as f64 / (1u64 << 53) as f64
        };
        let mut well_conditioned = 0;
        for round in 0..60 {
            let (columns, rows) = (2 + round % 12, 14 + round);
            let offset = if round % 3 == 0 { 1e6 } else { 0.0 };
            let mut values: Vec<Vec<f64>> =
                (0..columns).map(|_| (0..rows).map(|_| offset + next() * 10.0).collect()).collect();
            if round % 5 == 0 && columns > 3 {
                values[3] = values[2].iter().map(|value| value * 3.0).collect();
            }
            let (sums, intercept) = (sums_of(&values), round % 4 > 0);
            let terms: Vec<usize> =
                intercept.then_some(0).into_iter().chain(RESPONSE + 1..RESPONSE + columns).collect();
            let scaled = Scaled::new(&sums, &terms);
            let (short, long) =
                (scaled.solved::<Short>(intercept).unwrap(), scaled.solved::<BigInt>(intercept).unwrap());
            if short.is_well_conditioned() {
                well_conditioned += 1;
                let (short, long) = (short.fit(&sums, intercept), long.fit(&sums, intercept));
                assert_eq!(format!("{short:?}"), format!("{long:?}"));
            }
        }
        assert!((30..60).contains(&well_conditioned), "{well_conditioned}");
    }
}
