//! The geometry of the histograms: log-linear buckets, 16 to an octave, on raw ticks.
//!
//! A value `v` lies in group `g = log2(v + 16) - 4`; a group's 16 buckets are `2^g` wide. The
//! width is at most 1/16 of `v + 16`: about 6 % of the value once it is well above 16 ticks,
//! and never more than one tick below it. Writer and reader share these two functions.

/// Buckets of a histogram.
pub const BUCKETS: usize = 640;

/// Values above this are counted in the last bucket (about an hour at 5 GHz).
pub const LARGEST: u64 = (1 << 44) - 17;

/// The bucket that counts `value`; always below [`BUCKETS`].
#[inline(always)]
pub const fn bucket_of(value: u64) -> usize {
    let value = if value > LARGEST { LARGEST } else { value };
    let shifted = value + 16;
    let group = shifted.ilog2() - 4;
    ((group as usize) << 4) + ((shifted >> group) as usize & 15)
}

/// The same for values that fit into 32 bits, in fewer instructions: the exponent of a floating
/// point number and the first four bits behind it are the bucket's group and place. Exact: 33 bits
/// fit into the number.
#[inline(always)]
pub(crate) const fn bucket_of_short(value: u32) -> usize {
    /// Exponent of 16, as it is stored.
    const GROUP_0: usize = 1023 + 4;
    let shifted = (value as i64 + 16) as f64;
    (shifted.to_bits() >> 48) as usize - (GROUP_0 << 4)
}

/// The smallest value in a bucket.
pub const fn bucket_start(bucket: usize) -> u64 {
    let group = bucket / 16;
    ((16 + (bucket % 16) as u64) << group) - 16
}

/// One past the largest value in a bucket (the last bucket also counts all larger values).
pub const fn bucket_end(bucket: usize) -> u64 {
    bucket_start(bucket) + (1 << (bucket / 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_tile_the_range_without_gap() {
        assert_eq!(bucket_start(0), 0);
        for bucket in 0..BUCKETS - 1 {
            assert_eq!(bucket_end(bucket), bucket_start(bucket + 1));
        }
        assert_eq!(bucket_end(BUCKETS - 1), LARGEST + 1);
    }

    #[test]
    fn a_value_lies_in_its_bucket() {
        let mut value = 0_u64;
        while value < LARGEST {
            for probe in [value, value.saturating_sub(1), value + 1] {
                let bucket = bucket_of(probe);
                assert!(
                    bucket_start(bucket) <= probe && probe < bucket_end(bucket),
                    "{probe}"
                );
            }
            value = value * 21 / 20 + 1;
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn the_short_way_gives_the_same_bucket() {
        let edges = (0..BUCKETS).flat_map(|bucket| [bucket_start(bucket), bucket_end(bucket) - 1]);
        for value in edges.chain(0..100_000).chain([u64::from(u32::MAX)]) {
            if let Ok(short) = u32::try_from(value) {
                assert_eq!(bucket_of_short(short), bucket_of(value), "{value}");
            }
        }
    }

    #[test]
    fn resolution_is_a_sixteenth() {
        for bucket in 0..BUCKETS {
            let width = bucket_end(bucket) - bucket_start(bucket);
            assert!(width * 16 <= bucket_start(bucket) + 16);
        }
    }
}
