//! Draws from distributions.

use super::generator::BitGenerator;
use super::ziggurat;

/// Draws from distributions, as NumPy's `Generator` over the same bit generator does.
///
/// ```
/// use outcrop::parallel::random::{Pcg64, Random};
///
/// let mut random = Random::new(Pcg64::new(1).jumped(1));
/// assert_eq!(random.standard_normal(), 1.2336239148551291);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random<B> {
    bits: B,
}

impl<B: BitGenerator> Random<B> {
    /// Draws by the bits of `bits`.
    pub fn new(bits: B) -> Self {
        Random { bits }
    }

    /// The bit generator.
    pub fn bits(&mut self) -> &mut B {
        &mut self.bits
    }

    /// Uniform over [0, 1).
    pub fn random(&mut self) -> f64 {
        self.bits.next_double()
    }

    /// Uniform over [`low`, `high`).
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.bits.next_double()
    }

    /// Normal with mean 0 and standard deviation 1.
    pub fn standard_normal(&mut self) -> f64 {
        ziggurat::normal(&mut self.bits)
    }

    /// Normal with this mean and standard deviation.
    pub fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        mean + deviation * self.standard_normal()
    }

    /// Exponential with mean 1.
    pub fn standard_exponential(&mut self) -> f64 {
        ziggurat::exponential(&mut self.bits)
    }

    /// Exponential with mean `scale`.
    pub fn exponential(&mut self, scale: f64) -> f64 {
        scale * self.standard_exponential()
    }

    /// Gamma with this shape (at least 0; NaN for a negative one) and scale 1: Marsaglia and Tsang (2000) from shape 1 on,
    /// Ahrens and Dieter (1974) below.
    pub fn standard_gamma(&mut self, shape: f64) -> f64 {
        if shape == 1.0 {
            return self.standard_exponential();
        }
        if shape == 0.0 {
            return 0.0;
        }
        if shape.is_nan() || shape < 0.0 {
            return f64::NAN;
        }
        if shape < 1.0 { self.gamma_below_one(shape) } else { self.gamma_above_one(shape) }
    }

    /// Gamma with this shape and scale.
    pub fn gamma(&mut self, shape: f64, scale: f64) -> f64 {
        scale * self.standard_gamma(shape)
    }

    fn gamma_below_one(&mut self, shape: f64) -> f64 {
        loop {
            let uniform = self.bits.next_double();
            let exponential = self.standard_exponential();
            if uniform <= 1.0 - shape {
                let x = uniform.powf(1.0 / shape);
                if x <= exponential {
                    return x;
                }
            } else {
                let y = -((1.0 - uniform) / shape).ln();
                let x = (1.0 - shape + shape * y).powf(1.0 / shape);
                if x <= exponential + y {
                    return x;
                }
            }
        }
    }

    fn gamma_above_one(&mut self, shape: f64) -> f64 {
        let b = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * b).sqrt();
        loop {
            let (mut x, mut v);
            loop {
                x = self.standard_normal();
                v = 1.0 + c * x;
                if v > 0.0 {
                    break;
                }
            }
            v = v * v * v;
            let uniform = self.bits.next_double();
            if uniform < 1.0 - 0.0331 * (x * x) * (x * x) || uniform.ln() < 0.5 * x * x + b * (1.0 - v + v.ln()) {
                return b * v;
            }
        }
    }
}
