//! Turns "not measured here" into a number where `tune` measured the advice's dimension on this
//! machine, with the device and driver that are here now.

use super::{Key, Stored};
use narrows_gpu::DeviceInfo;
use narrows_model::explain::advice::Advice;
use narrows_model::explain::result::Explanation;
use narrows_model::words::{interval, significant};
use narrows_tune::result::Effect;

/// Fills [`Advice::measured`] from the store.
pub(crate) fn measured(explanation: &mut Explanation) {
    if explanation.advice.iter().all(|a| dimension(a).is_none()) {
        return;
    }
    let here = narrows_scan::environment::read();
    let machine = &explanation.environment;
    let same_cpu = machine.cpu.is_none() || machine.cpu == here.cpu;
    if !same_cpu || machine.cores.is_some_and(|n| n != here.cores) {
        // The trace is another machine's.
        return;
    }
    let called = |api: &str| {
        explanation
            .calls
            .iter()
            .any(|c| c.api == api && c.call.count > 0)
    };
    let stored: Vec<Stored> = super::good()
        .into_iter()
        .filter(|s| called(&s.key.backend) && s.key.cpu == here.cpu && s.key.cores == here.cores)
        .collect();
    if stored.is_empty() {
        return;
    }
    let devices: Vec<DeviceInfo> = narrows_gpu::backends()
        .iter()
        .filter(|b| stored.iter().any(|s| s.key.backend == b.name()))
        .filter_map(|b| b.devices().ok())
        .flatten()
        .collect();
    let valid: Vec<Stored> = stored
        .into_iter()
        .filter(|s| devices.iter().any(|d| is_of(&s.key, d)))
        .collect();
    for advice in &mut explanation.advice {
        advice.measured = words(advice, &valid).or(advice.measured.take());
    }
}

fn is_of(key: &Key, device: &DeviceInfo) -> bool {
    (&key.backend, &key.device) == (&device.backend, &device.name)
        && (&key.driver, &key.api_version) == (&device.driver, &device.api_version)
}

/// The dimension of a search that an advice is about: the option of its own command.
fn dimension(advice: &Advice) -> Option<&'static str> {
    let command = advice.try_with.as_deref()?;
    let known = [
        ("--queue", "queue"),
        ("--sync", "sync"),
        ("--batch", "batch"),
        ("--depth", "depth"),
        ("--processes", "as"),
        ("--record", "record"),
        ("--context", "context"),
    ];
    let option = |(option, _): &&(&str, &str)| command.split_whitespace().any(|w| w == *option);
    known.iter().find(option).map(|(_, dimension)| *dimension)
}

/// One sentence per device that was measured.
fn words(advice: &Advice, stored: &[Stored]) -> Option<String> {
    let dimension = dimension(advice)?;
    let sentences: Vec<String> = stored
        .iter()
        .filter_map(|s| {
            let effect = s.result.effects.iter().find(|e| e.dimension == dimension)?;
            Some(sentence(effect, s))
        })
        .collect();
    (!sentences.is_empty()).then(|| sentences.join("; "))
}

fn sentence(effect: &Effect, stored: &Stored) -> String {
    let chosen = stored.result.chosen.as_ref();
    let setting = chosen.map_or("", |c| c.setting.words.as_str());
    format!(
        "{dimension}={chosen} did {gain}x {ci} the ops/s of {dimension}={instead} in narrows' own \
         {work} ops ({setting}) on {device}, driver {driver}, {date}",
        dimension = effect.dimension,
        chosen = effect.chosen,
        instead = effect.instead,
        gain = significant(effect.gain.value),
        ci = interval(effect.gain.ci, significant),
        work = stored.key.work,
        device = stored.key.device,
        driver = stored.key.driver,
        date = stored.result.started.get(..10).unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(try_with: Option<&str>) -> Advice {
        Advice {
            what: "something".into(),
            why: "a reason".into(),
            try_with: try_with.map(str::to_owned),
            measured: None,
        }
    }

    #[test]
    fn the_dimension_is_that_of_the_command() {
        let of = |text| dimension(&advice(text));
        assert_eq!(of(Some("narrows scan --queue shared,own")), Some("queue"));
        assert_eq!(of(Some("narrows scan --processes 1,2,4,8")), Some("as"));
        assert_eq!(
            of(Some("narrows scan --threads up to the number of cores")),
            None
        );
        assert_eq!(of(None), None);
    }

    /// A search on a device with one effect, as `tune` would keep it.
    fn stored() -> Stored {
        use narrows_scan::samples::Block;
        use narrows_tune::samples::{FORMAT, Header, Line, Pair, Purpose, Samples, VERSION};
        use narrows_tune::{Dimension, Goal, Setting, Space};
        let values = ["shared", "own"].map(str::to_owned).to_vec();
        let name = "queue".to_owned();
        let dimensions = vec![Dimension { name, values }];
        let space = Space::new(dimensions, &Setting(vec![0]), |_| Some(4)).unwrap();
        let device = narrows_gpu::Backend::devices(&narrows_gpu::soft::SoftBackend::default());
        let subject = narrows_tune::samples::Subject::Device {
            device: device.unwrap().remove(0),
            choice: "a test".into(),
            work: "noop".into(),
            preparation: Default::default(),
        };
        let mut samples = Samples::new(Header {
            format: FORMAT.into(),
            version: VERSION,
            tool: "1".into(),
            started: "2026-01-02T03:04:05Z".into(),
            command: Vec::new(),
            environment: Default::default(),
            subject,
            goal: Goal::Throughput,
            time_ns: 1,
            seed: 1,
            simulated: true,
            space,
        });
        let block = |ops| Block {
            start_ns: 0,
            wall_ns: 1_000_000_000,
            ops,
            cpu_ns: None,
            gpu_busy_ns: None,
            gpu_work_ns: None,
            latency: Vec::new(),
            max_latency_ns: 0,
        };
        for purpose in [Purpose::Screen, Purpose::Confirm, Purpose::Effect] {
            for _ in 0..8 {
                samples.add(Line::Pair(Pair {
                    purpose,
                    setting: 1,
                    reference: 0,
                    setting_first: true,
                    measured: block(3_000),
                    compared: block(1_000),
                }));
            }
        }
        let result = narrows_tune::analyse(&samples);
        Stored {
            schema: super::super::SCHEMA.into(),
            key: super::super::key(&result).unwrap(),
            samples: None,
            result,
        }
    }

    #[test]
    fn what_was_measured_is_said_with_where_and_when() {
        let stored = [stored()];
        let text = words(&advice(Some("narrows scan --queue shared,own")), &stored).unwrap();
        for part in [
            "queue=own did 3.00x [3.00, 3.00]",
            "queue=shared",
            "noop",
            "2026-01-02",
        ] {
            assert!(text.contains(part), "no {part} in {text}");
        }
        assert_eq!(
            words(&advice(Some("narrows scan --depth 1,8")), &stored),
            None
        );
    }

    #[test]
    fn another_driver_is_another_device() {
        let key = stored().key;
        let soft = narrows_gpu::soft::SoftBackend::default();
        let mut device = narrows_gpu::Backend::devices(&soft).unwrap().remove(0);
        assert!(is_of(&key, &device));
        device.driver.push_str(" later");
        assert!(!is_of(&key, &device));
    }

    #[test]
    fn nothing_stored_is_not_measured() {
        assert_eq!(
            words(&advice(Some("narrows scan --queue shared,own")), &[]),
            None
        );
    }
}
