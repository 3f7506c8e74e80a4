//! Numbers as text.

/// A number as text, without allocation.
pub(crate) struct Decimal {
    digits: [u8; 10],
    from: usize,
}

impl Decimal {
    /// The text of `number`.
    pub(crate) fn new(mut number: u32) -> Self {
        let mut digits = [b'0'; 10];
        let mut from = digits.len();
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            from -= 1;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        Self { digits, from }
    }

    /// The digits.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.digits.get(self.from..).unwrap_or(&self.digits)
    }
}
