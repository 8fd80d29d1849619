//! Runs of one measurement, and what is told of them: the median, with the smallest and largest.

use std::time::Duration;

/// What several runs of one measurement gave, in one unit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples {
    /// Sorted.
    values: Vec<f64>,
}

impl Samples {
    /// Adds what one run gave.
    pub fn push(&mut self, value: f64) {
        let at = self.values.partition_point(|earlier| earlier.total_cmp(&value).is_lt());
        self.values.insert(at, value);
    }

    /// The value that this share of all are at or below; 0 without any.
    pub fn quantile(&self, share: f64) -> f64 {
        let last = self.values.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        self.values.get(at).copied().unwrap_or_default()
    }

    /// The value in the middle; of two the mean.
    pub fn median(&self) -> f64 {
        let count = self.values.len();
        match count {
            0 => 0.0,
            _ if count.is_multiple_of(2) => {
                f64::midpoint(self.values[count / 2 - 1], self.values[count / 2])
            }
            _ => self.values[count / 2],
        }
    }

    /// The smallest.
    pub fn min(&self) -> f64 {
        self.quantile(0.0)
    }

    /// The largest.
    pub fn max(&self) -> f64 {
        self.quantile(1.0)
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Samples {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Samples { values }
    }
}

/// How many a second.
pub fn per_second(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

/// Microseconds.
pub fn microseconds(elapsed: Duration) -> f64 {
    elapsed.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_ends_are_found_in_any_order() {
        let mut samples = Samples::default();
        for value in [5.0, 1.0, 3.0, 9.0, 7.0] {
            samples.push(value);
        }
        assert_eq!((samples.min(), samples.median(), samples.max()), (1.0, 5.0, 9.0));
        assert_eq!(samples, [9.0, 7.0, 5.0, 3.0, 1.0].into_iter().collect());
        samples.push(6.0);
        assert_eq!(samples.median(), 5.5);
        assert_eq!(Samples::default().median(), 0.0);
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let samples: Samples = (0..=100).map(f64::from).collect();
        assert_eq!((samples.quantile(0.5), samples.quantile(0.99)), (50.0, 99.0));
    }
}
