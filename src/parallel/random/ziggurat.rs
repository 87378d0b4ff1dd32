//! Normal and exponential draws by the ziggurat of Marsaglia and Tsang ("The Ziggurat Method for Generating Random
//! Variables", 2000), with the 256 layers and the use of bits that NumPy's `Generator` has.
//!
//! Layers are numbered from the widest but the tail (255) to the narrowest (1); layer 0 stands for the bottom with the tail.

use super::generator::BitGenerator;
use super::layers;
use std::sync::LazyLock;

/// Where the tail of the normal density begins.
const NORMAL_TAIL: f64 = 3.654_152_885_361_009;
/// Where the tail of the exponential density begins.
const EXPONENTIAL_TAIL: f64 = 7.697_117_470_131_05;

struct Ziggurat {
    /// By layer, what a drawn integer is multiplied by.
    widths: [f64; 256],
    /// By layer, the integers below which a point is under the curve for certain.
    certain: [u64; 256],
    /// By layer, the density at its edge.
    densities: [f64; 256],
}

impl Ziggurat {
    /// Of layers as wide as `bits` say, in units of 1 / `unit`.
    fn new(bits: &[u64; 256], unit: f64, density: impl Fn(f64) -> f64) -> Self {
        let widths = bits.map(f64::from_bits);
        let edge = |layer: usize| widths[layer] * unit;
        let certain = std::array::from_fn(|layer| match layer {
            0 => (edge(255) / edge(0) * unit) as u64,
            1 => 0,
            _ => (edge(layer - 1) / edge(layer) * unit) as u64,
        });
        let densities = std::array::from_fn(|layer| if layer == 0 { 1.0 } else { density(edge(layer)) });
        Ziggurat { widths, certain, densities }
    }

    /// Whether a point in the part of a layer that the curve cuts, at a height drawn now, is under the curve.
    fn is_under(&self, layer: usize, density: f64, bits: &mut impl BitGenerator) -> bool {
        let height = self.densities[layer - 1] - self.densities[layer];
        height * bits.next_double() + self.densities[layer] < density
    }
}

static NORMAL: LazyLock<Ziggurat> =
    LazyLock::new(|| Ziggurat::new(&layers::NORMAL, (1_u64 << 52) as f64, |x| (-0.5 * x * x).exp()));
static EXPONENTIAL: LazyLock<Ziggurat> =
    LazyLock::new(|| Ziggurat::new(&layers::EXPONENTIAL, (1_u64 << 53) as f64, |x| (-x).exp()));

/// A draw from the normal distribution with mean 0 and variance 1.
pub(super) fn normal(bits: &mut impl BitGenerator) -> f64 {
    let ziggurat = &*NORMAL;
    loop {
        let drawn = bits.next_u64();
        let layer = (drawn & 0xff) as usize;
        let negative = drawn >> 8 & 1 == 1;
        let place = drawn >> 9 & 0x000f_ffff_ffff_ffff;
        let x = place as f64 * ziggurat.widths[layer];
        let signed = if negative { -x } else { x };
        if place < ziggurat.certain[layer] {
            return signed;
        }
        if layer > 0 {
            if ziggurat.is_under(layer, (-0.5 * x * x).exp(), bits) {
                return signed;
            }
            continue;
        }
        // The tail, after Marsaglia (1964).
        loop {
            let beyond = -(1.0 / NORMAL_TAIL) * (-bits.next_double()).ln_1p();
            let height = -(-bits.next_double()).ln_1p();
            if height + height > beyond * beyond {
                let x = NORMAL_TAIL + beyond;
                return if place >> 8 & 1 == 1 { -x } else { x };
            }
        }
    }
}

/// A draw from the exponential distribution with mean 1.
pub(super) fn exponential(bits: &mut impl BitGenerator) -> f64 {
    let ziggurat = &*EXPONENTIAL;
    loop {
        let drawn = bits.next_u64() >> 3;
        let layer = (drawn & 0xff) as usize;
        let place = drawn >> 8;
        let x = place as f64 * ziggurat.widths[layer];
        if place < ziggurat.certain[layer] {
            return x;
        }
        if layer == 0 {
            return EXPONENTIAL_TAIL - (-bits.next_double()).ln_1p();
        }
        if ziggurat.is_under(layer, (-x).exp(), bits) {
            return x;
        }
    }
}
