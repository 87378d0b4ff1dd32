//! Functions of doubles: the same value for the same argument on every machine.
//!
//! **Problem.** The system's mathematical library has values of its own on each system, and is called once a row.
//! **Idea.** `exp`, `ln`, `sin` and `cos` are kernels without branches ([`kernels`]), of which the compiler makes vector
//! code for several instruction sets; all others are those of the `libm` crate. Both consist of IEEE 754 operations alone,
//! never fused, so every instruction set gives the same bits.
//! **Accuracy.** Below 1 unit in the last place (ulp) for the kernels and for most others; `gamma` and `lgamma` within 10 ulp
//! but near the zeros of `lgamma`, where the error is absolute.

mod kernels;
#[cfg(test)]
mod tests;

use super::function::Function;
use kernels::{Cos, Exp, Kernel, Ln, Sin};

/// Puts the values of `function` over `values` into the places of `values`; whether it is a function of one double.
pub(super) fn of_one(function: Function, values: &mut [f64]) -> bool {
    match function {
        Function::Exp => vectorised::<Exp>(values),
        Function::Ln => vectorised::<Ln>(values),
        Function::Sin => vectorised::<Sin>(values),
        Function::Cos => vectorised::<Cos>(values),
        _ => match one_by_one(function) {
            Some(step) => values.iter_mut().for_each(|value| *value = step(*value)),
            None => return false,
        },
    }
    true
}

fn one_by_one(function: Function) -> Option<fn(f64) -> f64> {
    Some(match function {
        Function::Abs => f64::abs,
        Function::Round => f64::round,
        Function::Floor => f64::floor,
        Function::Ceil => f64::ceil,
        Function::Sqrt => f64::sqrt,
        Function::Sign => sign,
        Function::Cbrt => libm::cbrt,
        Function::Log10 => libm::log10,
        Function::Log2 => libm::log2,
        Function::Log1p => libm::log1p,
        Function::Expm1 => libm::expm1,
        Function::Tan => libm::tan,
        Function::Asin => libm::asin,
        Function::Acos => libm::acos,
        Function::Atan => libm::atan,
        Function::Sinh => libm::sinh,
        Function::Cosh => libm::cosh,
        Function::Tanh => libm::tanh,
        Function::Asinh => libm::asinh,
        Function::Acosh => libm::acosh,
        Function::Atanh => libm::atanh,
        Function::Degrees => f64::to_degrees,
        Function::Radians => f64::to_radians,
        Function::Gamma => libm::tgamma,
        Function::Lgamma => libm::lgamma,
        Function::Erf => libm::erf,
        Function::Erfc => libm::erfc,
        _ => return None,
    })
}

/// A function of two doubles.
pub(super) fn of_two(function: Function) -> Option<fn(f64, f64) -> f64> {
    Some(match function {
        Function::Power => libm::pow,
        Function::Atan2 => libm::atan2,
        Function::Hypot => libm::hypot,
        Function::Log => logarithm,
        _ => return None,
    })
}

/// −1, 0 or 1; zeros keep their sign, and NaN is NaN.
fn sign(x: f64) -> f64 {
    if x == 0.0 || x.is_nan() { x } else { 1.0_f64.copysign(x) }
}

/// The logarithm of `x` to `base`: without a quotient of two rounded logarithms where there is another way.
fn logarithm(base: f64, x: f64) -> f64 {
    if base == 2.0 {
        libm::log2(x)
    } else if base == 10.0 {
        libm::log10(x)
    } else {
        Ln::at(x) / Ln::at(base)
    }
}

fn vectorised<K: Kernel>(values: &mut [f64]) {
    // Without leaving early, so that this is vector code too.
    if values.iter().fold(true, |within, x| within & (x.abs() <= K::LARGEST || x.is_nan())) {
        return run::<K>(values);
    }
    let arguments = values.to_vec();
    run::<K>(values);
    for (value, x) in values.iter_mut().zip(arguments).filter(|(_, x)| x.abs() > K::LARGEST) {
        *value = K::beyond(x);
    }
}

#[inline(always)]
fn each<K: Kernel>(values: &mut [f64]) {
    // No closure: one that is not inlined would be compiled for any machine.
    for value in values {
        *value = K::at(*value);
    }
}

fn run<K: Kernel>(values: &mut [f64]) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
            // SAFETY: the features were detected.
            return unsafe { x86::each_avx512::<K>(values) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the feature was detected.
            return unsafe { x86::each_avx2::<K>(values) };
        }
    }
    each::<K>(values);
}

/// The same loop for wider vectors. None of the features fuses multiplications and additions by itself.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Kernel;

    #[target_feature(enable = "avx2")]
    pub(super) fn each_avx2<K: Kernel>(values: &mut [f64]) {
        super::each::<K>(values);
    }

    #[target_feature(enable = "avx512f,avx512dq")]
    pub(super) fn each_avx512<K: Kernel>(values: &mut [f64]) {
        super::each::<K>(values);
    }
}
