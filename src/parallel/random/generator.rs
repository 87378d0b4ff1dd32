//! What all bit generators offer.

/// A source of random bits.
pub trait BitGenerator {
    /// The next 64 random bits.
    fn next_u64(&mut self) -> u64;

    /// The next 32 random bits.
    fn next_u32(&mut self) -> u32;

    /// The next double, uniform over multiples of 2⁻⁵³ in [0, 1).
    fn next_double(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl<B: BitGenerator + ?Sized> BitGenerator for &mut B {
    fn next_u64(&mut self) -> u64 {
        (**self).next_u64()
    }

    fn next_u32(&mut self) -> u32 {
        (**self).next_u32()
    }

    fn next_double(&mut self) -> f64 {
        (**self).next_double()
    }
}
