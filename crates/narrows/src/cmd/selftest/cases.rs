//! What is planted where, and what has to be found: the self-test's answers.

use crate::failure::WrongInput;
use narrows_model::layers::Layer;
use narrows_model::result::VerdictKind;
use narrows_model::selftest::Planted;
use narrows_planted::{Layer as Posing, Plant};

/// Threads of a plant that needs no core of its own.
const THREADS: u32 = 4;
/// Threads of a plant that keeps a core per thread.
const BUSY_THREADS: u32 = 2;

/// One program to run.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// What.
    pub(super) plant: Plant,
    /// Where.
    pub(super) posing: Posing,
    /// The answer.
    pub(super) planted: Planted,
    /// Whether the gain of removing it can be predicted from one named cause.
    pub(super) has_gain: bool,
}

/// Every plant once; together they are in all layers.
const DEFAULT: &[(Plant, Posing)] = &[
    (Plant::Mutex, Posing::Framework),
    (Plant::Rwlock, Posing::Library),
    (Plant::Gil, Posing::App),
    (Plant::GilHeld, Posing::Framework),
    (Plant::Futex, Posing::Runtime),
    (Plant::Spin, Posing::Driver),
    (Plant::Worker, Posing::Library),
    (Plant::BackPressure, Posing::Driver),
    (Plant::FalseSharing, Posing::Driver),
    (Plant::Allocator, Posing::Driver),
    (Plant::LazyLoad, Posing::Driver),
    (Plant::TwoLocks, Posing::Framework),
    (Plant::Saturated, Posing::Driver),
    (Plant::Cores, Posing::App),
    (Plant::Nothing, Posing::Driver),
];

/// The cases that `only` asks for (`PLANT` or `PLANT:LAYER`), all when it is empty.
pub(super) fn cases(only: &[String], cores: u32) -> anyhow::Result<Vec<Case>> {
    if only.is_empty() {
        return Ok(DEFAULT
            .iter()
            .map(|&(plant, posing)| case(plant, posing, cores))
            .collect());
    }
    only.iter().map(|word| named(word, cores)).collect()
}

fn named(word: &str, cores: u32) -> anyhow::Result<Case> {
    let (name, layer) = match word.split_once(':') {
        Some((name, layer)) => (name, Some(layer)),
        None => (word, None),
    };
    let unknown = |what: &str, text: &str, known: Vec<&str>| -> anyhow::Error {
        WrongInput(format!(
            "selftest: no {what} {text}; there are {}",
            known.join(", ")
        ))
        .into()
    };
    let plant = Plant::from_name(name).ok_or_else(|| {
        unknown(
            "plant",
            name,
            Plant::ALL.iter().map(|plant| plant.name()).collect(),
        )
    })?;
    let posing = match layer {
        Some(text) => Posing::from_name(text).ok_or_else(|| {
            unknown(
                "layer",
                text,
                Posing::ALL.iter().map(|layer| layer.name()).collect(),
            )
        })?,
        None => DEFAULT
            .iter()
            .find(|(other, _)| *other == plant)
            .map_or(Posing::Driver, |(_, posing)| *posing),
    };
    Ok(case(plant, posing, cores))
}

fn case(plant: Plant, posing: Posing, cores: u32) -> Case {
    use VerdictKind::{Ambiguous, BackPressure, CpuLimited, GpuSaturated, Scales, Serialised};
    let guilty: Vec<Layer> = plant.guilty(posing).into_iter().map(layer_of).collect();
    let mut threads = THREADS;
    let (layers, expected, may_name) = match plant {
        Plant::Spin => {
            threads = BUSY_THREADS;
            (guilty.clone(), vec![Serialised], guilty)
        }
        // No lock and no wait: what is seen is that the layer's code runs longer.
        Plant::FalseSharing => {
            threads = BUSY_THREADS;
            (guilty.clone(), vec![Ambiguous, Serialised], guilty)
        }
        // Inside the driver's submit, waiting for its worker is waiting for room in its queue.
        Plant::Worker if posing == Posing::Driver => {
            (guilty.clone(), vec![Serialised, BackPressure], guilty)
        }
        // The one engine is busy all the time: both are true.
        Plant::BackPressure => {
            let named = guilty.iter().copied().chain([Layer::Gpu]).collect();
            (guilty, vec![BackPressure, GpuSaturated], named)
        }
        Plant::Saturated => (vec![Layer::Gpu], vec![GpuSaturated], vec![Layer::Gpu]),
        Plant::Cores => {
            threads = THREADS.max(2 * cores);
            (Vec::new(), vec![CpuLimited], vec![Layer::Scheduler])
        }
        Plant::Nothing => (Vec::new(), vec![Scales], Vec::new()),
        Plant::TwoLocks => (guilty, vec![Ambiguous], Vec::new()),
        _ => (guilty.clone(), vec![Serialised], guilty),
    };
    let planted = Planted {
        plant: plant.name().into(),
        names_all: plant == Plant::TwoLocks,
        layers,
        threads,
        expected,
        may_name,
    };
    let has_gain = planted.expected == [Serialised];
    Case {
        plant,
        posing,
        planted,
        has_gain,
    }
}

const fn layer_of(posing: Posing) -> Layer {
    match posing {
        Posing::App => Layer::App,
        Posing::Framework => Layer::Framework,
        Posing::Library => Layer::Library,
        Posing::Runtime => Layer::Runtime,
        Posing::Driver => Layer::Driver,
    }
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT, cases};
    use narrows_model::layers::{Layer, Placement, Rules};
    use narrows_model::result::VerdictKind;
    use narrows_planted::{Layer as Posing, Plant, RULES, object_name};

    #[test]
    fn every_plant_is_tested_and_every_layer_holds_one() {
        for plant in Plant::ALL {
            assert!(
                DEFAULT.iter().any(|(other, _)| other == plant),
                "{}",
                plant.name()
            );
        }
        for layer in Posing::ALL {
            assert!(
                DEFAULT.iter().any(|(_, posing)| *posing == layer),
                "{}",
                layer.name()
            );
        }
    }

    #[test]
    fn the_rules_put_each_object_where_it_poses() {
        let rules = Rules::with_file("planted", RULES).expect("rules");
        for posing in Posing::ALL {
            let path = format!("/somewhere/{}", object_name(Some(posing)));
            let wanted = Placement::Known(super::layer_of(posing));
            assert_eq!(rules.place(&path, None), wanted, "{path}");
        }
        assert_eq!(
            rules.place("/x/libplanted_alloc.so", None),
            Placement::Caller
        );
        assert_eq!(
            rules.place("/x/planted-host", None),
            Placement::Known(Layer::App)
        );
    }

    #[test]
    fn names_choose_plants_and_layers() {
        let chosen = cases(&["mutex:runtime".into(), "spin".into()], 2).expect("known");
        assert_eq!(chosen.len(), 2);
        assert_eq!(chosen[0].planted.layers, [Layer::Runtime]);
        assert_eq!(chosen[1].planted.layers, [Layer::Driver]);
        assert_eq!(chosen[1].planted.threads, 2);
        for (word, what) in [
            ("lock", "no plant lock; there are mutex,"),
            ("spin:gpu", "no layer gpu"),
        ] {
            let error = cases(&[word.into()], 2).expect_err(word).to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn cores_are_outnumbered_everywhere() {
        for (cores, threads) in [(1, 4), (2, 4), (64, 128)] {
            assert_eq!(
                cases(&["cores".into()], cores).expect("known")[0]
                    .planted
                    .threads,
                threads
            );
        }
    }

    #[test]
    fn only_single_locks_have_a_gain_to_predict() {
        for case in cases(&[], 2).expect("all") {
            let single = case.planted.expected == [VerdictKind::Serialised];
            assert_eq!(case.has_gain, single, "{}", case.planted.plant);
        }
    }
}
