//! What is searched: dimensions with named values, and the settings that exist among their products.

use serde::{Deserialize, Serialize};

/// Most settings of a space: more is a typing error, and the file would list them all.
const MOST_SETTINGS: usize = 100_000;

/// One thing that can be set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimension {
    /// Its name: `threads`, `queue`, `OMP_NUM_THREADS`.
    pub name: String,
    /// Its values in words, simplest first.
    pub values: Vec<String>,
}

/// One value of every dimension, as indices into [`Dimension::values`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Setting(pub Vec<usize>);

/// Dimensions, and the settings that are possible.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Space {
    /// What is varied, in the order in which settings are written.
    pub dimensions: Vec<Dimension>,
    /// All possible settings.
    pub settings: Vec<Setting>,
    /// Threads times processes of each setting.
    pub widths: Vec<u32>,
    /// Index of the setting that everything is compared with.
    pub naive: usize,
}

/// Why a space cannot be searched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// A dimension without values, or with a value twice.
    #[error("{0}: give at least one value, and none twice")]
    Values(String),
    /// Too many settings.
    #[error(
        "{0} settings are more than can be searched; leave out values (at most {MOST_SETTINGS})"
    )]
    TooMany(usize),
    /// The naive setting is not in the space.
    #[error("the setting to compare with ({0}) is not possible")]
    NoNaive(String),
}

impl Space {
    /// All settings among the products of `dimensions` that `width` accepts; it gives the threads
    /// times processes of a setting, or `None` where the setting does not exist.
    pub fn new(
        dimensions: Vec<Dimension>,
        naive: &Setting,
        width: impl Fn(&Setting) -> Option<u32>,
    ) -> Result<Space, SpaceError> {
        for dimension in &dimensions {
            let mut values = dimension.values.clone();
            values.sort();
            values.dedup();
            if values.is_empty() || values.len() < dimension.values.len() {
                return Err(SpaceError::Values(dimension.name.clone()));
            }
        }
        let sizes: Vec<usize> = dimensions.iter().map(|d| d.values.len()).collect();
        let all = sizes.iter().fold(1usize, |n, s| n.saturating_mul(*s));
        if all > MOST_SETTINGS {
            return Err(SpaceError::TooMany(all));
        }
        let (mut settings, mut widths) = (Vec::new(), Vec::new());
        for number in 0..all {
            let setting = nth(number, &sizes);
            if let Some(width) = width(&setting) {
                settings.push(setting);
                widths.push(width.max(1));
            }
        }
        let mut space = Space {
            dimensions,
            settings,
            widths,
            naive: 0,
        };
        match space.find(naive) {
            Some(index) => space.naive = index,
            None => return Err(SpaceError::NoNaive(space.words_of(naive))),
        }
        Ok(space)
    }

    /// Index of a setting.
    pub fn find(&self, setting: &Setting) -> Option<usize> {
        self.settings.iter().position(|s| s == setting)
    }

    /// The word that setting `index` has in dimension `at`.
    pub fn word(&self, index: usize, at: usize) -> &str {
        let value = self.settings.get(index).and_then(|s| s.0.get(at));
        let dimension = self.dimensions.get(at);
        value
            .zip(dimension)
            .and_then(|(v, d)| d.values.get(*v))
            .map_or("?", String::as_str)
    }

    /// `threads=8 queue=own sync=event`; dimensions with one value are left out.
    pub fn words(&self, index: usize) -> String {
        self.settings
            .get(index)
            .map_or_else(String::new, |s| self.words_of(s))
    }

    fn words_of(&self, setting: &Setting) -> String {
        let parts: Vec<String> = self
            .dimensions
            .iter()
            .zip(&setting.0)
            .filter(|(d, _)| d.values.len() > 1)
            .map(|(d, v)| {
                format!(
                    "{}={}",
                    d.name,
                    d.values.get(*v).map_or("?", String::as_str)
                )
            })
            .collect();
        if parts.is_empty() {
            return "the only setting".into();
        }
        parts.join(" ")
    }

    /// Settings that differ from `index` in one dimension, by one step of it.
    pub fn neighbours(&self, index: usize) -> Vec<usize> {
        let Some(Setting(values)) = self.settings.get(index) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for (at, value) in values.iter().enumerate() {
            for next in [value.checked_sub(1), value.checked_add(1)]
                .into_iter()
                .flatten()
            {
                let mut moved = values.clone();
                if let Some(slot) = moved.get_mut(at) {
                    *slot = next;
                }
                found.extend(self.find(&Setting(moved)));
            }
        }
        found
    }

    /// The same setting with dimension `at` as the naive setting has it, or, where it has that
    /// already, with the other value that is nearest; `None`: there is none.
    pub fn without(&self, index: usize, at: usize) -> Option<usize> {
        let values = &self.settings.get(index)?.0;
        let mine = *values.get(at)?;
        let naive = *self.settings.get(self.naive)?.0.get(at)?;
        let with = |value: usize| {
            let mut other = values.clone();
            *other.get_mut(at)? = value;
            self.find(&Setting(other))
        };
        if mine != naive {
            return with(naive);
        }
        with(mine + 1).or_else(|| with(mine.checked_sub(1)?))
    }

    /// Steps away from the naive setting: of two equals the nearer one is simpler.
    pub fn distance(&self, index: usize) -> usize {
        let naive = self.settings.get(self.naive);
        let setting = self.settings.get(index);
        naive.zip(setting).map_or(usize::MAX, |(a, b)| {
            a.0.iter().zip(&b.0).map(|(x, y)| x.abs_diff(*y)).sum()
        })
    }

    /// Whether a file's space hangs together.
    pub(crate) fn check(&self) -> Result<(), String> {
        let fits = |s: &Setting| {
            s.0.len() == self.dimensions.len()
                && s.0
                    .iter()
                    .zip(&self.dimensions)
                    .all(|(v, d)| *v < d.values.len())
        };
        if self.naive >= self.settings.len() || self.widths.len() != self.settings.len() {
            return Err("its settings do not hang together".into());
        }
        if !self.settings.iter().all(fits) {
            return Err("a setting names a value that is not there".into());
        }
        Ok(())
    }
}

/// Setting `number` when the last dimension counts fastest.
fn nth(mut number: usize, sizes: &[usize]) -> Setting {
    let mut values = vec![0; sizes.len()];
    for (slot, size) in values.iter_mut().zip(sizes).rev() {
        *slot = number % size;
        number /= size;
    }
    Setting(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dimension(name: &str, values: &[&str]) -> Dimension {
        Dimension {
            name: name.into(),
            values: values.iter().map(|v| (*v).to_owned()).collect(),
        }
    }

    fn space() -> Space {
        let dimensions = vec![
            dimension("threads", &["1", "2", "4"]),
            dimension("queue", &["shared", "own"]),
            dimension("work", &["noop"]),
        ];
        // One thread has no own queue: it would be the same as the shared one.
        Space::new(dimensions, &Setting(vec![2, 0, 0]), |s| {
            (s.0[0] > 0 || s.0[1] == 0).then(|| 1 << s.0[0])
        })
        .unwrap()
    }

    #[test]
    fn settings_that_do_not_exist_are_not_in_the_space() {
        let space = space();
        assert_eq!(space.settings.len(), 5);
        assert_eq!(space.words(space.naive), "threads=4 queue=shared");
        assert_eq!(space.widths[space.naive], 4);
    }

    #[test]
    fn neighbours_and_the_setting_without_a_change() {
        let space = space();
        let best = space.find(&Setting(vec![1, 1, 0])).unwrap();
        let near: Vec<String> = space
            .neighbours(best)
            .iter()
            .map(|n| space.words(*n))
            .collect();
        assert_eq!(near, ["threads=4 queue=own", "threads=2 queue=shared"]);
        let without = |at| space.without(best, at).map(|i| space.words(i));
        assert_eq!(without(0).unwrap(), "threads=4 queue=own");
        assert_eq!(without(1).unwrap(), "threads=2 queue=shared");
        assert_eq!(without(2), None);
        assert_eq!(space.distance(best), 2);
    }

    #[test]
    fn bad_spaces_are_refused() {
        let none = Space::new(vec![dimension("a", &[])], &Setting(vec![0]), |_| Some(1));
        assert!(matches!(none, Err(SpaceError::Values(_))));
        let twice = vec![dimension("a", &["x", "x"])];
        assert!(Space::new(twice, &Setting(vec![0]), |_| Some(1)).is_err());
        let naive = vec![dimension("a", &["x", "y"])];
        let error = Space::new(naive, &Setting(vec![1]), |s| (s.0[0] == 0).then_some(1));
        assert!(error.unwrap_err().to_string().contains("a=y"));
    }
}
