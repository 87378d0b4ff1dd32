//! Fits beside the certified values of the linear regressions of NIST's Statistical Reference Datasets.

use super::fit::{Fit, f_probability, fit, t_probability};
use super::sums::{CrossProducts, CrossSums, Design, Unasked};
use crate::aggregate::store::Store;
use crate::aggregate::{GroupIds, Rows};
use crate::batch::{Positions, RowOrigin};
use arrow::array::{ArrayRef, Float64Array};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

pub(super) fn sums_of(columns: &[Vec<f64>]) -> CrossSums {
    let arrays: Vec<ArrayRef> =
        columns.iter().map(|values| Arc::new(Float64Array::from(values.clone())) as ArrayRef).collect();
    let mut states = CrossProducts::new(Design::plain(columns.len()), Unasked);
    states.grow(1);
    let origin = RowOrigin { file: 0, positions: Positions::Consecutive(0) };
    let rows = Rows { groups: GroupIds::One(columns[0].len()), mask: None, origin: &origin };
    states.update(&arrays, &rows).unwrap();
    states.sums_of(0)
}

/// Correct digits.
fn digits(found: f64, certified: f64) -> f64 {
    let error = if certified == 0.0 { found.abs() } else { ((found - certified) / certified).abs() };
    if error == 0.0 { 16.0 } else { -error.log10() }
}

struct Certified(Value);

impl Certified {
    fn read(set: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/nist/certified.json");
        let all: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        Certified(all["linear"][set].clone())
    }

    fn number(&self, path: &str) -> f64 {
        let text = self.0.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("no {path}"));
        text.parse().unwrap()
    }

    /// The response and the regressors, whose powers are doubles.
    fn columns(&self) -> Vec<Vec<f64>> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/nist").join(self.0["file"].as_str().unwrap());
        let text = std::fs::read_to_string(path).unwrap();
        let rows: Vec<Vec<f64>> =
            text.lines().skip(1).map(|line| line.split(',').map(|field| field.parse().unwrap()).collect()).collect();
        let column = |at: usize| rows.iter().map(|row| row[at]).collect::<Vec<f64>>();
        let terms = self.0["terms"].as_array().unwrap().iter().map(|term| term.as_str().unwrap());
        let regressor = |term: &str| match term.split_once("x^") {
            Some((_, power)) => column(1).into_iter().map(|x| x.powi(power.parse().unwrap())).collect(),
            None => column(term[1..].parse().unwrap()),
        };
        std::iter::once(column(0)).chain(terms.map(regressor)).collect()
    }

    fn fit(&self) -> Fit {
        let columns = self.columns();
        fit(&sums_of(&columns), columns.len() - 1, self.0["intercept"].as_bool().unwrap()).unwrap()
    }

    /// The fewest correct digits among all estimates, and among all else.
    fn check(&self, of_estimates: f64, of_others: f64) {
        let fit = self.fit();
        let first = usize::from(!self.0["intercept"].as_bool().unwrap());
        let (mut estimates, mut others) = (f64::INFINITY, f64::INFINITY);
        for (at, coefficient) in fit.coefficients.iter().enumerate() {
            let coefficient = coefficient.expect("full rank");
            let of = |what: &str| self.number(&format!("/certified/params/B{}/{what}", at + first));
            estimates = estimates.min(digits(coefficient.estimate, of("estimate")));
            others = others.min(digits(coefficient.std_error.unwrap(), of("se")));
        }
        others = others
            .min(digits(fit.residual_variance.unwrap() * fit.df_residual as f64, self.number("/certified/ss_res")))
            .min(digits(fit.residual_std_error.unwrap(), self.number("/certified/residual_sd")))
            .min(digits(fit.r_squared.unwrap(), self.number("/certified/r_squared")));
        let f = self.0.pointer("/certified/F").and_then(Value::as_str).unwrap();
        match f {
            "Infinity" => assert_eq!(fit.f_statistic, Some(f64::INFINITY)),
            f => others = others.min(digits(fit.f_statistic.unwrap(), f.parse().unwrap())),
        }
        println!("{}: {estimates:.2} digits of estimates, {others:.2} of all else", self.0["file"]);
        assert!(estimates >= of_estimates, "{estimates}");
        assert!(others >= of_others, "{others}");
        assert_eq!(self.0.pointer("/certified/df_res").unwrap(), fit.df_residual);
        assert_eq!(self.0.pointer("/certified/df_reg").unwrap(), fit.df_model);
    }
}

#[test]
fn certified_fits_are_met() {
    Certified::read("Norris").check(12.0, 12.0);
    Certified::read("NoInt1").check(14.0, 14.0);
    Certified::read("Longley").check(12.0, 12.0);
    Certified::read("Wampler1").check(15.0, 15.0);
    // Powers are rounded to doubles before they are regressed on, and this set makes the most of it.
    Certified::read("Filip").check(7.0, 7.0);
}

#[test]
fn a_column_that_depends_on_others_is_left_out_and_told() {
    let x = [1.0, 2.0, 3.0, 4.0, 7.0];
    let y = x.map(|x| 0.1 * x + 2.0);
    let columns = [y.to_vec(), x.to_vec(), x.map(|x| 0.3 * x + 1.0).to_vec(), x.map(|x| x * x).to_vec()];
    let fit = fit(&sums_of(&columns), 3, true).unwrap();
    assert_eq!((fit.rank, fit.df_residual, fit.df_model), (3, 2, 2));
    assert!(fit.coefficients[2].is_none() && fit.coefficients.iter().flatten().count() == 3);
    assert!(digits(fit.coefficients[1].unwrap().estimate, 0.1) > 14.0);
}

#[test]
fn ends_of_what_can_be_fitted() {
    // As many rows as terms: nothing is left to tell errors from.
    let line = fit(&sums_of(&[vec![1.0, 3.0], vec![0.0, 1.0]]), 1, true).unwrap();
    let slope = line.coefficients[1].unwrap();
    assert_eq!((slope.estimate, slope.std_error, line.df_residual), (2.0, None, 0));
    assert_eq!((line.r_squared, line.f_statistic, line.residual_std_error), (Some(1.0), None, None));
    // A response that does not vary has nothing to be explained. Means of 3, 5 and 7 rows have no end in binary.
    for (rows, value) in [3, 4, 5, 7].into_iter().flat_map(|rows| [(rows, 5.0), (rows, -0.1)]) {
        let x: Vec<f64> = (0..rows).map(|row| f64::from(row * row) + 0.3).collect();
        let flat = fit(&sums_of(&[vec![value; x.len()], x]), 1, true).unwrap();
        assert_eq!((flat.coefficients[0].unwrap().estimate, flat.coefficients[1].unwrap().estimate), (value, 0.0));
        assert_eq!((flat.r_squared, flat.adj_r_squared, flat.f_statistic), (None, None, None), "{rows} {value}");
        assert_eq!(flat.residual_variance, Some(0.0));
    }
    // Far apart in size.
    let wide = fit(&sums_of(&[vec![1e-150, 2e-150, 4e-150], vec![1e150, 2e150, 3e150]]), 1, true).unwrap();
    assert!(digits(wide.coefficients[1].unwrap().estimate, 1.5e-300) > 14.0);
    assert!(fit(&sums_of(&[vec![], vec![]]), 1, true).is_none());
}

/// The first by numerical integration of the density, the second is (1 + 3 · 2 / 10)⁻⁵.
#[test]
fn probabilities_are_right_to_many_digits() {
    assert!(digits(t_probability(2.5, 7), 0.040_992_218_585_749_36) > 11.0);
    assert!(digits(f_probability(3.0, 2, 10), 0.095_367_431_640_625) > 12.0);
    assert!(t_probability(40.0, 200) < 1e-90 && t_probability(40.0, 200) > 0.0);
    assert_eq!(f_probability(f64::INFINITY, 2, 10), 0.0);
}
