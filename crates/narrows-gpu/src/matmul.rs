//! Inputs of a matmul and the CPU reference that its result is checked against.
//!
//! All backends compute the same: `C = A B`, row-major, elements of `A` and `B` in the stated
//! precision, products summed in f32, `C` rounded to the stated precision.

use crate::{Error, Precision, Work};

/// Entries of `C` that are compared; of larger matrices an evenly spread choice.
const CHECKED: usize = 1 << 14;

/// Two matrices, already rounded to the precision.
#[derive(Clone, Debug)]
pub struct Inputs {
    n: usize,
    precision: Precision,
    a: Vec<f32>,
    b: Vec<f32>,
}

impl Inputs {
    /// Random numbers from -1 to 1, the same in every run.
    pub fn new(n: u32, precision: Precision) -> Self {
        let n = n as usize;
        let mut state = 0x6e61_7272_6f77_7321_u64;
        let mut matrix = || -> Vec<f32> {
            let next = || round(random(&mut state), precision);
            std::iter::repeat_with(next).take(n * n).collect()
        };
        Self {
            n,
            precision,
            a: matrix(),
            b: matrix(),
        }
    }

    /// `A` and `B` as the device reads them.
    pub fn bytes(&self) -> (Vec<u8>, Vec<u8>) {
        (
            to_bytes(&self.a, self.precision),
            to_bytes(&self.b, self.precision),
        )
    }

    /// Compares the device's `C`; the largest error relative to `sum |a_ik b_kj|`, the quantity
    /// that bounds rounding errors of a sum of products (Higham, *Accuracy and Stability of
    /// Numerical Algorithms*, 2002, section 3.1).
    pub fn check(&self, backend: &'static str, c: &[u8]) -> Result<f64, Error> {
        let got = from_bytes(c, self.precision);
        let limit = self.limit();
        let total = self.n * self.n;
        let step = (total / CHECKED).max(1);
        let mut worst = 0.0_f64;
        for index in (0..total).step_by(step) {
            let (row, column) = (index / self.n, index % self.n);
            let (want, scale) = self.entry(row, column);
            let value = f64::from(got.get(index).copied().unwrap_or(f32::NAN));
            let error = (value - want).abs() / scale.max(f64::MIN_POSITIVE);
            if error.is_nan() || error > limit {
                return Err(Error::WrongResult {
                    backend,
                    work: self.work().to_string(),
                    detail: format!(
                        "row {row}, column {column}: {value} instead of {want}, \
                         relative error {error:.2e}, at most {limit:.2e} is rounding"
                    ),
                });
            }
            worst = worst.max(error);
        }
        Ok(worst)
    }

    /// Bound of f32 summation in any order, doubled, and the rounding of the result to f16.
    fn limit(&self) -> f64 {
        let sum = 2.0 * (self.n as f64 + 1.0) * f64::from(f32::EPSILON) / 2.0;
        match self.precision {
            Precision::F32 => sum,
            Precision::F16 => sum + 2.0_f64.powi(-11),
        }
    }

    fn entry(&self, row: usize, column: usize) -> (f64, f64) {
        let a = self.a.iter().skip(row * self.n).take(self.n);
        let b = self.b.iter().skip(column).step_by(self.n);
        a.zip(b).fold((0.0, 0.0), |(sum, scale), (x, y)| {
            let product = f64::from(*x) * f64::from(*y);
            (sum + product, scale + product.abs())
        })
    }

    fn work(&self) -> Work {
        Work::Matmul {
            n: self.n as u32,
            precision: self.precision,
        }
    }
}

/// Bytes of an `n` x `n` matrix.
pub(crate) fn size(n: u32, precision: Precision) -> u64 {
    let element = match precision {
        Precision::F32 => 4,
        Precision::F16 => 2,
    };
    u64::from(n) * u64::from(n) * element
}

/// SplitMix64's top bits as a number from -1 to 1.
fn random(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    (z >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
}

fn round(value: f32, precision: Precision) -> f32 {
    match precision {
        Precision::F32 => value,
        Precision::F16 => half_to_f32(f32_to_half(value)),
    }
}

fn to_bytes(values: &[f32], precision: Precision) -> Vec<u8> {
    match precision {
        Precision::F32 => values.iter().flat_map(|v| v.to_ne_bytes()).collect(),
        Precision::F16 => values
            .iter()
            .flat_map(|v| f32_to_half(*v).to_ne_bytes())
            .collect(),
    }
}

fn from_bytes(bytes: &[u8], precision: Precision) -> Vec<f32> {
    match precision {
        Precision::F32 => {
            let of = |b: &[u8]| b.try_into().map_or(f32::NAN, f32::from_ne_bytes);
            bytes.chunks_exact(4).map(of).collect()
        }
        Precision::F16 => {
            let of = |b: &[u8]| {
                b.try_into()
                    .map_or(f32::NAN, |b| half_to_f32(u16::from_ne_bytes(b)))
            };
            bytes.chunks_exact(2).map(of).collect()
        }
    }
}

/// Nearest IEEE binary16, ties to even. Only for values of magnitude below 65,504.
fn f32_to_half(value: f32) -> u16 {
    let sign = if value.is_sign_negative() { 0x8000 } else { 0 };
    let magnitude = f64::from(value.abs());
    let exponent = if magnitude == 0.0 {
        -14
    } else {
        (magnitude.log2().floor() as i32).max(-14)
    };
    // In units of the last place; 1024 of them start the next binade, which carries by itself.
    let units = (magnitude * 2.0_f64.powi(10 - exponent)).round_ties_even() as u16;
    let biased = (exponent + 14) as u16;
    sign | ((biased << 10) + units)
}

fn half_to_f32(half: u16) -> f32 {
    let fraction = f32::from(half & 0x3ff);
    let magnitude = match (half >> 10) & 0x1f {
        0 => fraction * 2.0_f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        e => (1024.0 + fraction) * 2.0_f32.powi(i32::from(e) - 25),
    };
    if half & 0x8000 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `C` as a device with f32 sums would give it.
    fn product(inputs: &Inputs) -> Vec<u8> {
        let n = inputs.n;
        let mut c = vec![0.0_f32; n * n];
        for (i, entry) in c.iter_mut().enumerate() {
            *entry = (0..n)
                .map(|k| inputs.a[i / n * n + k] * inputs.b[k * n + i % n])
                .sum();
        }
        to_bytes(&c, inputs.precision)
    }

    #[test]
    fn a_right_product_passes_and_each_wrong_entry_fails() {
        for precision in [Precision::F32, Precision::F16] {
            let inputs = Inputs::new(37, precision);
            let c = product(&inputs);
            let worst = inputs.check("test", &c).unwrap();
            assert!(worst > 0.0, "random inputs always round somewhere");
            for index in [0, 500, 37 * 37 - 1] {
                let mut values = from_bytes(&c, precision);
                values[index] += 0.1;
                let error = inputs
                    .check("test", &to_bytes(&values, precision))
                    .unwrap_err();
                assert!(matches!(error, Error::WrongResult { .. }));
            }
        }
    }

    #[test]
    fn a_transposed_factor_a_nan_and_a_short_result_fail() {
        let inputs = Inputs::new(16, Precision::F32);
        let swapped = Inputs {
            a: inputs.b.clone(),
            b: inputs.a.clone(),
            ..Inputs::new(16, Precision::F32)
        };
        assert!(inputs.check("test", &product(&swapped)).is_err());
        assert!(
            inputs
                .check("test", &to_bytes(&[f32::NAN; 256], Precision::F32))
                .is_err()
        );
        assert!(inputs.check("test", &product(&inputs)[..1000]).is_err());
    }

    #[test]
    fn half_conversion_is_the_inverse_on_all_finite_halves() {
        for half in 0..=u16::MAX {
            if (half >> 10) & 0x1f != 31 {
                assert_eq!(f32_to_half(half_to_f32(half)), half);
            }
        }
    }

    #[test]
    fn half_rounds_to_nearest_even() {
        assert_eq!(f32_to_half(1.0 + 1.0 / 2048.0), 0x3c00);
        assert_eq!(f32_to_half(1.0 + 3.0 / 2048.0), 0x3c02);
        assert_eq!(f32_to_half(0.999_9), 0x3c00);
        assert_eq!(f32_to_half(-2.0), 0xc000);
    }
}
