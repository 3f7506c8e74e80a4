//! Numbers out of bytes. Nothing here fails: what lies outside reads as zero or is `None`.

/// A view of bytes that may be shorter than they should be.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn u32(self, at: usize) -> u32 {
        self.array::<4>(at).map_or(0, u32::from_le_bytes)
    }

    pub(super) fn u64(self, at: usize) -> u64 {
        self.array::<8>(at).map_or(0, u64::from_le_bytes)
    }

    /// Word number `index`.
    pub(super) fn word(self, index: usize) -> u64 {
        self.u64(index.saturating_mul(8))
    }

    fn array<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..)?.first_chunk().copied()
    }

    /// `length` bytes from word `index` on, or as many as there are.
    pub(super) fn string(self, index: usize, length: usize) -> &'a [u8] {
        let rest = self.0.get(index.saturating_mul(8)..).unwrap_or(&[]);
        rest.get(..length).unwrap_or(rest)
    }
}
