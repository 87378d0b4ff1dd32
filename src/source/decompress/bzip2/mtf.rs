//! The move-to-front list: recently seen bytes have small indices.

/// Bytes by recency. The first sixteen lie in one word, where moving to the front is a few shifts without a branch.
pub(super) struct MoveToFront {
    /// Byte `i` of the list is at bits `8 * i`.
    front: u128,
    /// The list from index 16 on; the first 16 entries are unused, so that indices agree.
    back: [u8; 256],
}

impl MoveToFront {
    /// The list that begins with `bytes`.
    pub(super) fn new(bytes: &[u8]) -> Self {
        let mut back = [0; 256];
        let length = bytes.len().min(256);
        back[..length].copy_from_slice(&bytes[..length]);
        let mut front = [0; 16];
        front.copy_from_slice(&back[..16]);
        MoveToFront { front: u128::from_le_bytes(front), back }
    }

    /// The byte at the front.
    #[inline(always)]
    pub(super) fn first(&self) -> u8 {
        self.front as u8
    }

    /// Moves the byte at `index`, 1 to 255, to the front and returns it.
    #[inline(always)]
    pub(super) fn pick(&mut self, index: u8) -> u8 {
        if index < 8 {
            // Most picks are this near; one machine word is enough for them.
            let low = self.front as u64;
            let shift = 8 * u32::from(index);
            let byte = (low >> shift) as u8;
            let stay = !0u64 << shift << 8;
            let moved = (low & stay) | ((low << 8) & !stay) | u64::from(byte);
            self.front = (self.front >> 64 << 64) | u128::from(moved);
            byte
        } else if index < 16 {
            let shift = 8 * u32::from(index);
            let byte = (self.front >> shift) as u8;
            let stay = !0u128 << shift << 8;
            self.front = (self.front & stay) | ((self.front << 8) & !stay) | u128::from(byte);
            byte
        } else {
            let index = index as usize;
            let byte = self.back[index];
            self.back.copy_within(16..index, 17);
            self.back[16] = (self.front >> 120) as u8;
            self.front = self.front << 8 | u128::from(byte);
            byte
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_equal_those_of_a_plain_list() {
        let mut list: Vec<u8> = (0..=255u8).map(|at| at.wrapping_mul(77)).collect();
        let mut fast = MoveToFront::new(&list);
        let mut state = 9u32;
        for round in 0..20_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let index = ((state >> 24) as u8 >> (round % 8)).max(1);
            let byte = list.remove(index as usize);
            list.insert(0, byte);
            assert_eq!((fast.pick(index), fast.first()), (byte, byte));
        }
    }
}
