//! Against plain loops, against each other on any number of threads, and each instruction set against the others.

use super::gemm::{Engine, Part, add_product_by};
use super::*;
use crate::error::ErrorKind;
use crate::parallel::Tasks;
use crate::parallel::random::{Pcg64, Random};

fn draws(rows: usize, columns: usize, seed: u128) -> Matrix {
    let mut random = Random::new(Pcg64::new(seed));
    Matrix::from_fn(rows, columns, |_, _| random.standard_normal())
}

fn plain_product(left: &Matrix, right: &Matrix) -> Matrix {
    let entry = |row, column| (0..left.columns()).map(|at| left.get(row, at) * right.get(at, column)).sum();
    Matrix::from_fn(left.rows(), right.columns(), entry)
}

fn assert_near(found: &Matrix, expected: &Matrix, most: f64) {
    assert_eq!((found.rows(), found.columns()), (expected.rows(), expected.columns()));
    let far = found.values().iter().zip(expected.values()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(far <= most, "{far} apart");
}

#[test]
fn products_are_those_of_the_definition() {
    for (rows, columns, others) in
        [(70, 23, 9), (1, 1, 1), (3, 50, 26), (0, 4, 2), (33, 0, 5), (0, TILE + 5, TILE + 2), (100, TILE + 1, 7)]
    {
        let (x, y) = (draws(rows, columns, 1), draws(rows, others, 2));
        assert_near(&x.crossprod().unwrap(), &plain_product(&x.transposed(), &x), 1e-12);
        assert_near(&x.crossprod_with(&y).unwrap(), &plain_product(&x.transposed(), &y), 1e-12);
        assert_near(&x.transposed().multiply(&y).unwrap(), &plain_product(&x.transposed(), &y), 1e-12);
    }
    let (x, y) = (draws(7, 3, 1), draws(7, 2, 2));
    assert_eq!(x.multiply(&y).unwrap_err().message(), "a matrix of 7 × 3 is not multiplied by one of 7 × 2");
    assert_eq!(x.crossprod_with(&draws(3, 3, 1)).unwrap_err().kind(), ErrorKind::Type);
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let (x, y) = (draws(95, 61, 3), draws(95, 29, 4));
    let by = |engine| {
        let mut whole = vec![1.0; 61 * 29];
        add_product_by(engine, &mut whole, 61, x.view().transposed(), y.view(), -1.0, Part::All);
        whole.iter().map(|value| value.to_bits()).collect::<Vec<_>>()
    };
    let expected = by(Engine::Portable);
    for engine in Engine::available() {
        assert_eq!(by(engine), expected, "{engine:?}");
    }
}

/// More than two tiles in each direction, the last of them not full.
const WIDE: usize = 2 * TILE + 10;

#[test]
fn tiles_make_up_the_whole_on_any_number_of_threads() {
    let x = draws(40, WIDE, 3);
    let product = x.crossprod_on(&Tasks::new().workers(1)).unwrap();
    assert_eq!(product, product.transposed());
    for workers in [2, 5] {
        assert_eq!(x.crossprod_on(&Tasks::new().workers(workers)).unwrap(), product);
    }
    // Positive definite by what is added to the diagonal.
    let added = |row, column| product.get(row, column) + if row == column { 1.0 } else { 0.0 };
    let sure = Matrix::from_fn(WIDE, WIDE, added);
    let factor = sure.cholesky_on(&Tasks::new().workers(1)).unwrap();
    assert_eq!(sure.cholesky_on(&Tasks::new().workers(3)).unwrap(), factor);
    let lower = factor.lower();
    assert!((0..WIDE).all(|column| lower.column(column)[..column].iter().all(|value| *value == 0.0)));
    assert_near(&lower.multiply(&lower.transposed()).unwrap(), &sure, 1e-12);
    let right = draws(WIDE, 2, 4);
    assert_near(&sure.multiply(&factor.solve(&right).unwrap()).unwrap(), &right, 1e-11);
}

#[test]
fn factors_and_spectra_give_the_matrix_back() {
    let x = draws(60, 12, 5);
    let product = x.crossprod().unwrap();
    let eigen = product.eigen_symmetric().unwrap();
    let scaled = Matrix::from_fn(12, 12, |row, column| eigen.vectors().get(row, column) * eigen.values()[column]);
    assert_near(&scaled.multiply(&eigen.vectors().transposed()).unwrap(), &product, 1e-12);
    assert_near(&eigen.vectors().crossprod().unwrap(), &Matrix::identity(12), 1e-14);
    assert!(eigen.values().is_sorted());
    for (matrix, order) in [(x.clone(), 12), (x.transposed(), 12)] {
        let svd = matrix.svd().unwrap();
        let scaled = Matrix::from_fn(matrix.rows(), order, |row, at| svd.left().get(row, at) * svd.values()[at]);
        assert_near(&scaled.multiply(&svd.right().transposed()).unwrap(), &matrix, 1e-13);
        assert_near(&svd.left().crossprod().unwrap(), &Matrix::identity(order), 1e-14);
        // Singular values are the roots of the eigenvalues of XᵀX.
        for (singular, eigenvalue) in svd.values().iter().zip(eigen.values().iter().rev()) {
            assert!((singular * singular - eigenvalue).abs() < 1e-11);
        }
    }
    let factor = product.cholesky().unwrap();
    let determinant: f64 = eigen.values().iter().map(|value| value.ln()).sum();
    assert!((factor.ln_determinant() - determinant).abs() < 1e-11);
    assert_near(&product.multiply(&factor.inverse().unwrap()).unwrap(), &Matrix::identity(12), 1e-11);
    let (square, right) = (draws(12, 12, 6), draws(12, 3, 7));
    assert_near(&square.multiply(&square.solve(&right).unwrap()).unwrap(), &right, 1e-11);
}

#[test]
fn spectra_known_by_heart() {
    // Eigenvalues of the second difference are 2 − 2 cos(kπ / (n + 1)).
    let order = 40;
    let second = Matrix::from_fn(order, order, |row, column| match row.abs_diff(column) {
        0 => 2.0,
        1 => -1.0,
        _ => 0.0,
    });
    let eigen = second.eigen_symmetric().unwrap();
    for (k, value) in (1..).zip(eigen.values()) {
        let expected = 2.0 - 2.0 * (f64::from(k) * std::f64::consts::PI / (order + 1) as f64).cos();
        assert!((value - expected).abs() < 4.0 * f64::EPSILON * order as f64, "{value} and not {expected}");
    }
    let repeated = Matrix::from_fn(20, 3, |row, column| if column == 2 { 0.0 } else { (row + 1) as f64 });
    let svd = repeated.svd().unwrap();
    let length = (0..20).map(|row| f64::from(row + 1).powi(2)).sum::<f64>();
    assert!((svd.values()[0] - (2.0 * length).sqrt()).abs() < 1e-12);
    assert!(svd.values()[1] < 1e-12 && svd.values()[2] == 0.0, "{:?}", svd.values());
}

#[test]
fn spectra_of_very_large_and_small_entries_are_those_of_others() {
    let x = draws(15, 6, 9);
    let (svd, eigen) = (x.svd().unwrap(), x.crossprod().unwrap().eigen_symmetric().unwrap());
    for power in [-1000, -600, 600, 1015] {
        let by = |value: f64| libm::scalbn(value, power);
        let far = Matrix::from_fn(15, 6, |row, column| by(x.get(row, column))).svd().unwrap();
        assert!(
            far.values().iter().zip(svd.values()).all(|(far, near)| *far == by(*near)),
            "{power} {:?}",
            far.values()
        );
        assert_eq!((far.left(), far.right()), (svd.left(), svd.right()));
        let product = x.crossprod().unwrap();
        let far = Matrix::from_fn(6, 6, |row, column| by(product.get(row, column))).eigen_symmetric().unwrap();
        assert!(far.values().iter().zip(eigen.values()).all(|(far, near)| *far == by(*near)), "{power}");
        assert_eq!(far.vectors(), eigen.vectors());
    }
}

#[test]
fn what_cannot_be_computed_is_an_error() {
    let ones = Matrix::from_fn(2, 2, |_, _| 1.0);
    let error = ones.cholesky().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Value);
    assert_eq!(error.message(), "the matrix is not positive definite: its column 1 depends on those before it");
    assert_eq!(draws(10, 2, 8).cholesky().unwrap_err().kind(), ErrorKind::Type);
    assert_eq!(ones.solve(&ones).unwrap_err().kind(), ErrorKind::Value);
    assert_eq!(ones.solve(&draws(3, 1, 1)).unwrap_err().message(), "2 equations with 3 right sides");
    let special = Matrix::new(1, 1, vec![f64::NAN]).unwrap();
    assert!(special.cholesky().is_err() && special.svd().is_err() && special.eigen_symmetric().is_err());
    assert!(Matrix::new(2, 2, vec![1.0]).is_err());
}
