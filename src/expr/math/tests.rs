//! Against values computed with 60 digits (mpmath 1.3), against `libm`, and each instruction set against the others.

use super::*;
use crate::parallel::random::{Pcg64, Random};

type Values = &'static [(f64, f64)];

/// By function: arguments, and the doubles nearest to the values there.
#[rustfmt::skip]
#[allow(clippy::approx_constant, clippy::excessive_precision, reason = "as they were printed")]
const EXPECTED: &[(Function, Values)] = &[
    (Function::Exp, &[(-745.1, 5e-324), (-708.5, 2.006132305331306e-308), (-20.3, 1.5269401591266087e-09), (-0.3466, 0.7070881069410189), (1e-09, 1.000000001), (0.5, 1.6487212707001282), (1.0, 2.718281828459045), (88.7, 3.325986980250579e+38), (709.78, 1.7928227943945155e+308)]),
    (Function::Ln, &[(5e-324, -744.4400719213812), (1e-310, -713.8013788281542), (0.1, -2.3025850929940455), (0.70710678, -0.3465735919580042), (0.9999999, -1.0000000494736474e-07), (1.0000001, 9.999999505838704e-08), (1.4142136, 0.346573616886212), (2.718281828, 0.9999999998311266), (1e+300, 690.7755278982137)]),
    (Function::Sin, &[(1e-12, 1e-12), (0.5, 0.479425538604203), (0.785398163397448, 0.7071067811865472), (1.5, 0.9974949866040544), (3.141592653589793, 1.2246467991473532e-16), (100.0, -0.5063656411097588), (355.0, -3.014435335948845e-05), (1599999.7, -0.765683102146675), (1e+22, -0.8522008497671888)]),
    (Function::Cos, &[(1e-12, 1.0), (0.5, 0.8775825618903728), (0.785398163397448, 0.7071067811865478), (1.5707963267948966, 6.123233995736766e-17), (3.0, -0.9899924966004454), (100.0, 0.8623188722876839), (11.0, 0.004425697988050785), (1599999.7, 0.6432179934416048), (1e+22, 0.523214785395139)]),
    (Function::Tan, &[(0.3, 0.30933624960962325), (1.57, 1255.7655915007897), (-2.5, 0.7470222972386603), (100.0, -0.5872139151569291)]),
    (Function::Asin, &[(-0.99, -1.4292568534704693), (0.1, 0.1001674211615598), (0.5, 0.5235987755982989), (0.75, 0.848062078981481)]),
    (Function::Acos, &[(-0.99, 3.000053180265366), (0.1, 1.4706289056333368), (0.5, 1.0471975511965979), (0.75, 0.7227342478134157)]),
    (Function::Atan, &[(-3.0, -1.2490457723982544), (0.1, 0.09966865249116204), (0.5, 0.4636476090008061), (10000000000.0, 1.5707963266948965)]),
    (Function::Sinh, &[(-3.0, -10.017874927409903), (0.1, 0.10016675001984403), (0.5, 0.5210953054937474), (300.0, 9.712131976206279e+129)]),
    (Function::Cosh, &[(-3.0, 10.067661995777765), (0.1, 1.0050041680558035), (0.5, 1.1276259652063807), (300.0, 9.712131976206279e+129)]),
    (Function::Tanh, &[(-3.0, -0.9950547536867305), (0.1, 0.09966799462495582), (0.5, 0.46211715726000974), (10.0, 0.9999999958776927)]),
    (Function::Asinh, &[(-3.0, -1.8184464592320668), (0.1, 0.09983407889920756), (0.5, 0.48121182505960347), (10000000000.0, 23.7189981105004)]),
    (Function::Acosh, &[(1.1, 0.4435682543851154), (2.0, 1.3169578969248168), (5.5, 2.3895264345742184), (10000000000.0, 23.7189981105004)]),
    (Function::Atanh, &[(-0.9, -1.4722194895832204), (0.1, 0.10033534773107558), (0.5, 0.5493061443340549), (0.99, 2.6466524123622457)]),
    (Function::Log10, &[(1e-05, -5.0), (0.3, -0.5228787452803376), (2.0, 0.3010299956639812), (1000000000000000.0, 15.0)]),
    (Function::Log2, &[(1e-05, -16.609640474436812), (0.3, -1.7369655941662063), (10.0, 3.321928094887362), (1000000000000000.0, 49.82892142331043)]),
    (Function::Log1p, &[(-0.5, -0.6931471805599453), (1e-10, 9.999999999500001e-11), (0.3, 0.26236426446749106), (100000.0, 11.51293546492023)]),
    (Function::Expm1, &[(-5.0, -0.9932620530009145), (1e-10, 1.00000000005e-10), (0.3, 0.3498588075760031), (50.0, 5.184705528587072e+21)]),
    (Function::Cbrt, &[(-10.0, -2.154434690031884), (0.1, 0.4641588833612779), (2.0, 1.2599210498948732), (1e+100, 2.1544346900318838e+33)]),
    (Function::Gamma, &[(-1.5, 2.363271801207355), (0.1, 9.51350769866873), (0.5, 1.772453850905516), (3.3, 2.6834373819557684), (10.0, 362880.0), (100.5, 9.320963104082716e+156), (170.6, 9.295995953500918e+305)]),
    (Function::Lgamma, &[(-1.5, 0.860047015376481), (0.1, 2.252712651734206), (0.5, 0.5723649429247001), (3.3, 0.9870985778947344), (10.0, 12.801827480081469), (100.5, 361.4355404677776), (10000000000.0, 220258509288.81058)]),
    (Function::Erf, &[(-2.0, -0.9953222650189527), (1e-05, 1.1283791670579e-05), (0.5, 0.5204998778130465), (0.9, 0.7969082124228322), (1.5, 0.9661051464753108), (3.0, 0.9999779095030014)]),
    (Function::Erfc, &[(-2.0, 1.9953222650189528), (1e-05, 0.9999887162083294), (0.5, 0.4795001221869535), (0.9, 0.20309178757716786), (1.5, 0.033894853524689274), (3.0, 2.209049699858544e-05), (10.0, 2.088487583762545e-45), (26.0, 5.663192408856143e-296)]),
];

/// How many doubles lie between two of one sign.
fn ulps(a: f64, b: f64) -> u64 {
    if a == b { 0 } else { a.to_bits().abs_diff(b.to_bits()) }
}

fn at(function: Function, x: f64) -> f64 {
    let mut values = [x];
    assert!(of_one(function, &mut values), "{function}");
    values[0]
}

#[test]
fn values_are_within_the_stated_error() {
    for (function, values) in EXPECTED {
        let most = if matches!(function, Function::Gamma | Function::Lgamma) { 10 } else { 1 };
        for &(x, expected) in *values {
            let found = at(*function, x);
            assert!(ulps(found, expected) <= most, "{function}({x}) = {found:e}, not {expected:e}");
        }
    }
}

#[test]
fn kernels_are_faithful_wherever_libm_is() {
    let mut random = Random::new(Pcg64::new(11));
    let mut compare = |function: Function, other: fn(f64) -> f64, low: f64, high: f64| {
        let arguments: Vec<f64> = (0..200_000).map(|_| random.uniform(low, high)).collect();
        let mut values = arguments.clone();
        of_one(function, &mut values);
        let (x, value) =
            arguments.into_iter().zip(values).max_by_key(|(x, value)| ulps(*value, other(*x))).unwrap_or_default();
        assert!(ulps(value, other(x)) <= 1, "{function}({x:e}) = {value:e}, not {:e}", other(x));
    };
    for (low, high) in [(-1.0, 1.0), (-708.0, 709.0), (-746.0, -708.0), (709.0, 710.0)] {
        compare(Function::Exp, libm::exp, low, high);
    }
    for (low, high) in [(0.5, 2.0), (0.0, 1e-307), (0.0, 1e308), (0.99, 1.01)] {
        compare(Function::Ln, libm::log, low, high);
    }
    for (low, high) in [(-1.0, 1.0), (-20.0, 20.0), (-1.7e6, 1.7e6), (3.13, 3.15), (-1e300, 1e300)] {
        compare(Function::Sin, libm::sin, low, high);
        compare(Function::Cos, libm::cos, low, high);
    }
}

#[test]
fn zeros_infinities_and_nan_come_out_as_in_c() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let cases = [
        (Function::Exp, -inf, 0.0),
        (Function::Exp, inf, inf),
        (Function::Exp, 709.782_712_893_384_1, inf),
        (Function::Exp, -745.2, 0.0),
        (Function::Exp, nan, nan),
        (Function::Ln, 0.0, -inf),
        (Function::Ln, -0.0, -inf),
        (Function::Ln, -1.0, nan),
        (Function::Ln, 1.0, 0.0),
        (Function::Ln, inf, inf),
        (Function::Ln, nan, nan),
        (Function::Sin, -0.0, -0.0),
        (Function::Sin, inf, nan),
        (Function::Cos, 0.0, 1.0),
        (Function::Cos, -inf, nan),
        (Function::Cos, nan, nan),
        (Function::Sign, -0.0, -0.0),
        (Function::Sign, -inf, -1.0),
        (Function::Gamma, -1.0, nan),
        (Function::Lgamma, 0.0, inf),
    ];
    for (function, x, expected) in cases {
        let found = at(function, x);
        let same = found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan());
        assert!(same, "{function}({x}) = {found}");
    }
}

#[test]
fn a_power_of_the_base_has_a_whole_logarithm() {
    assert_eq!((logarithm(10.0, 1000.0), logarithm(2.0, 8.0)), (3.0, 3.0));
    assert!((logarithm(3.0, 81.0) - 4.0).abs() < 1e-15);
}

/// The values by every set of instructions that this machine has, which must be the same.
fn by_all<K: Kernel>(arguments: &[f64]) {
    let mut plain = arguments.to_vec();
    plain.iter_mut().for_each(|value| *value = std::hint::black_box(K::at(*value)));
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let expected = bits(&plain);
    let mut values = arguments.to_vec();
    each::<K>(&mut values);
    assert_eq!(bits(&values), expected);
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") {
            values.copy_from_slice(arguments);
            // SAFETY: the feature was detected.
            unsafe { x86::each_avx2::<K>(&mut values) };
            assert_eq!(bits(&values), expected);
        }
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
            values.copy_from_slice(arguments);
            // SAFETY: the features were detected.
            unsafe { x86::each_avx512::<K>(&mut values) };
            assert_eq!(bits(&values), expected);
        }
    }
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let mut random = Random::new(Pcg64::new(5));
    let mut arguments: Vec<f64> = (0..10_001).map(|_| random.uniform(-800.0, 800.0)).collect();
    arguments.extend([0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 1e-320, f64::MAX]);
    by_all::<Exp>(&arguments);
    by_all::<Ln>(&arguments);
    by_all::<Sin>(&arguments);
    by_all::<Cos>(&arguments);
}
