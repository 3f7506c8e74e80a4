//! Which device a run takes, and why, in words.
//!
//! The order: GPU hardware, then software drivers of a real API (they show the real loader and a
//! real driver's locks), then the `soft` device; among equals the order of [`crate::backends`] and
//! of the API. All APIs are asked, so that the words can say what else is there.

use crate::{Backend, DeviceInfo, Error, cuda, soft};

/// What a backend says when it is asked for its devices.
type Answer = Result<Vec<DeviceInfo>, Error>;

/// A device to open: `backend.open(index)`.
pub struct Chosen {
    /// Its backend.
    pub backend: Box<dyn Backend>,
    /// Its index there.
    pub index: usize,
    /// What it says of itself.
    pub info: DeviceInfo,
    /// One line: what was taken, why, what else there is.
    pub why: String,
}

/// Takes a device. `backend` is a name or `auto` (the same as `None`); `device` an index or a
/// part of a name, upper and lower case alike. With `auto`, an index counts in the list of the
/// backend that `auto` takes, a name is looked for in all of them.
pub fn choose(backend: Option<&str>, device: Option<&str>) -> Result<Chosen, Error> {
    choose_from(crate::backends(), backend, device)
}

/// [`choose`] among other backends than those compiled in.
pub fn choose_from(
    backends: Vec<Box<dyn Backend>>,
    backend: Option<&str>,
    device: Option<&str>,
) -> Result<Chosen, Error> {
    match backend.filter(|name| *name != "auto") {
        Some(name) => choose_in(backends, name, device),
        None => choose_auto(backends, device),
    }
}

/// Within the backend that the user named; its own errors are the answer.
fn choose_in(
    backends: Vec<Box<dyn Backend>>,
    name: &str,
    device: Option<&str>,
) -> Result<Chosen, Error> {
    let backend = named(backends, name)?;
    let infos = backend.devices()?;
    let (info, reason) = match device {
        Some(wanted) => (find(&infos, wanted), "as asked for"),
        None => (
            infos.iter().min_by_key(|d| rank(d)),
            "the best that this backend has",
        ),
    };
    let Some(info) = info.cloned() else {
        let wanted = device.map(quoted).unwrap_or_default();
        return Err(crate::unknown_device(backend.name(), wanted, &infos));
    };
    let why = format!("{}: {reason}", describe(&info));
    Ok(Chosen {
        index: info.index,
        backend,
        info,
        why,
    })
}

/// The backend `name`; where it is not compiled in, why.
pub fn backend(name: &str) -> Result<Box<dyn Backend>, Error> {
    named(crate::backends(), name)
}

fn named(backends: Vec<Box<dyn Backend>>, name: &str) -> Result<Box<dyn Backend>, Error> {
    let names: Vec<_> = backends.iter().map(|b| b.name()).collect();
    let found = backends.into_iter().find(|b| b.name() == name);
    found.ok_or_else(|| match name {
        "metal" => no_metal(),
        _ => Error::UnknownBackend {
            wanted: name.into(),
            available: format!("auto, {}", names.join(", ")),
        },
    })
}

/// Metal is compiled in on macOS only.
pub(crate) fn no_metal() -> Error {
    Error::NoLoader {
        backend: "metal",
        library: "Metal.framework".into(),
        reason: format!("this system is {}", std::env::consts::OS),
        remedy: "Metal is a part of macOS; here, try --backend auto",
    }
}

fn choose_auto(backends: Vec<Box<dyn Backend>>, device: Option<&str>) -> Result<Chosen, Error> {
    let mut answers: Vec<_> = backends.into_iter().map(|b| (b.devices(), b)).collect();
    let all: Vec<DeviceInfo> = answers
        .iter()
        .filter_map(|(list, _)| list.as_ref().ok())
        .flatten()
        .cloned()
        .collect();
    let Some(best) = all.iter().min_by_key(|d| rank(d)) else {
        let first = answers.into_iter().find_map(|(list, _)| list.err());
        return Err(first.unwrap_or(Error::NoDevice {
            backend: "auto",
            remedy: "no backend is compiled in",
        }));
    };
    let in_best: Vec<DeviceInfo> = all
        .iter()
        .filter(|d| d.backend == best.backend)
        .cloned()
        .collect();
    let info = match device {
        None => Some(best),
        Some(wanted) => by_index(&in_best, wanted).or_else(|| by_name(&all, wanted)),
    };
    let Some(info) = info.cloned() else {
        return Err(Error::UnknownDevice {
            backend: "auto",
            wanted: device.map(quoted).unwrap_or_default(),
            available: all.iter().map(describe).collect::<Vec<_>>().join("; "),
        });
    };
    let why = reason(&info, device.is_some(), &answers);
    let backend = answers.iter().position(|(_, b)| b.name() == info.backend);
    match backend {
        Some(position) => {
            let (_, backend) = answers.swap_remove(position);
            Ok(Chosen {
                index: info.index,
                backend,
                info,
                why,
            })
        }
        None => Err(crate::unknown_device("auto", info.name, &all)),
    }
}

/// 0 is best.
fn rank(info: &DeviceInfo) -> u8 {
    match (info.stand_in, info.software) {
        // One that poses as an API that has real devices elsewhere is only taken by name.
        (true, _) if info.backend != soft::NAME => 3,
        (true, _) => 2,
        (false, true) => 1,
        (false, false) => 0,
    }
}

fn find<'a>(infos: &'a [DeviceInfo], wanted: &str) -> Option<&'a DeviceInfo> {
    by_index(infos, wanted).or_else(|| by_name(infos, wanted))
}

fn by_index<'a>(infos: &'a [DeviceInfo], wanted: &str) -> Option<&'a DeviceInfo> {
    let index: usize = wanted.parse().ok()?;
    infos.iter().find(|d| d.index == index)
}

fn by_name<'a>(infos: &'a [DeviceInfo], wanted: &str) -> Option<&'a DeviceInfo> {
    let wanted = wanted.to_lowercase();
    let matching = infos
        .iter()
        .filter(|d| d.name.to_lowercase().contains(&wanted));
    matching.min_by_key(|d| rank(d))
}

fn quoted(wanted: &str) -> String {
    format!("'{wanted}'")
}

/// `vulkan: llvmpipe (software driver)`.
fn describe(info: &DeviceInfo) -> String {
    let kind = match rank(info) {
        0 => "",
        1 => " (software driver)",
        _ => " (stand-in)",
    };
    format!("{}: {}{kind}", info.backend, info.name)
}

fn reason(info: &DeviceInfo, asked: bool, answers: &[(Answer, Box<dyn Backend>)]) -> String {
    let why = match (asked, rank(info)) {
        (true, _) => "as asked for",
        (false, 0) if info.backend == cuda::NAME => {
            "a GPU, through its maker's own API (cuda comes before vulkan and opencl)"
        }
        (false, 0) => "the first GPU found",
        (false, 1) => "no GPU hardware found",
        (false, _) => "no GPU and no driver found",
    };
    let others = answers.iter().filter_map(|(list, backend)| match list {
        Ok(list) => {
            let names: Vec<_> = list
                .iter()
                .filter(|d| !(d.backend == info.backend && d.index == info.index))
                .map(describe)
                .collect();
            (!names.is_empty()).then(|| format!("also there: {}", names.join(", ")))
        }
        Err(Error::NoLoader { .. }) => Some(format!("{}: no loader", backend.name())),
        Err(Error::NoDevice { .. }) => Some(format!("{}: no device", backend.name())),
        Err(other) => Some(other.to_string()),
    });
    let parts: Vec<_> = std::iter::once(format!("{}: {why}", describe(info)))
        .chain(others)
        .collect();
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;

    /// A stand-in backend that only lists devices: `(name, software, stand_in)`.
    struct Listed(&'static str, Option<Vec<(&'static str, bool, bool)>>);

    impl Backend for Listed {
        fn name(&self) -> &'static str {
            self.0
        }

        fn devices(&self) -> Result<Vec<DeviceInfo>, Error> {
            let Some(list) = &self.1 else {
                return Err(Error::NoDevice {
                    backend: self.0,
                    remedy: "plug one in",
                });
            };
            let info =
                |(index, (name, software, stand_in)): (usize, &(&str, bool, bool))| DeviceInfo {
                    backend: self.0.into(),
                    index,
                    name: (*name).into(),
                    driver: String::new(),
                    api_version: String::new(),
                    software: *software,
                    stand_in: *stand_in,
                    max_queues: None,
                    f16: false,
                    layers: Vec::new(),
                };
            Ok(list.iter().enumerate().map(info).collect())
        }

        fn open(&self, _: usize) -> Result<Box<dyn Device>, Error> {
            Err(Error::NoDevice {
                backend: self.0,
                remedy: "only listed",
            })
        }
    }

    type Devices = Option<Vec<(&'static str, bool, bool)>>;

    fn machine(vulkan: Devices, opencl: Devices) -> Vec<Box<dyn Backend>> {
        vec![
            Box::new(Listed("vulkan", vulkan)),
            Box::new(Listed("opencl", opencl)),
            Box::new(Listed("soft", Some(vec![("soft device", true, true)]))),
        ]
    }

    fn drivers() -> Vec<Box<dyn Backend>> {
        machine(
            Some(vec![("llvmpipe", true, false)]),
            Some(vec![("pthread CPU", true, false)]),
        )
    }

    fn taken(chosen: &Chosen) -> (&str, usize) {
        assert_eq!(chosen.backend.name(), chosen.info.backend);
        assert_eq!(chosen.index, chosen.info.index);
        (chosen.backend.name(), chosen.index)
    }

    #[test]
    fn hardware_beats_software_drivers_beat_the_stand_in() {
        let gpu = || Some(vec![("llvmpipe", true, false), ("RTX", false, false)]);
        let chosen = choose_from(machine(gpu(), gpu()), None, None).unwrap();
        assert_eq!(taken(&chosen), ("vulkan", 1));
        let mixed = machine(Some(vec![("llvmpipe", true, false)]), gpu());
        assert_eq!(
            taken(&choose_from(mixed, Some("auto"), None).unwrap()),
            ("opencl", 1)
        );
        assert_eq!(
            taken(&choose_from(drivers(), None, None).unwrap()),
            ("vulkan", 0)
        );
        assert_eq!(
            taken(&choose_from(machine(None, None), None, None).unwrap()),
            ("soft", 0)
        );
    }

    #[test]
    fn the_reason_names_the_choice_and_the_rest() {
        let why = choose_from(drivers(), None, None).unwrap().why;
        assert_eq!(
            why,
            "vulkan: llvmpipe (software driver): no GPU hardware found; \
             also there: opencl: pthread CPU (software driver); also there: soft: soft device \
             (stand-in)"
        );
        let why = choose_from(machine(None, None), None, None).unwrap().why;
        assert_eq!(
            why,
            "soft: soft device (stand-in): no GPU and no driver found; vulkan: no device; \
             opencl: no device"
        );
    }

    #[test]
    fn cuda_comes_first_on_a_gpu_and_a_stand_in_of_it_last() {
        let vulkan = || Box::new(Listed("vulkan", Some(vec![("RTX", false, false)])));
        let gpu: Vec<Box<dyn Backend>> = vec![
            Box::new(Listed("cuda", Some(vec![("RTX", false, false)]))),
            vulkan(),
        ];
        let chosen = choose_from(gpu, None, None).unwrap();
        assert_eq!(taken(&chosen), ("cuda", 0));
        assert!(
            chosen.why.contains("cuda comes before vulkan"),
            "{}",
            chosen.why
        );
        let stand_in: Vec<Box<dyn Backend>> = vec![
            Box::new(Listed("cuda", Some(vec![("a stand-in", true, true)]))),
            Box::new(Listed("soft", Some(vec![("soft device", true, true)]))),
        ];
        assert_eq!(
            taken(&choose_from(stand_in, None, None).unwrap()),
            ("soft", 0)
        );
    }

    #[test]
    fn a_device_is_an_index_or_a_part_of_a_name() {
        let pick = |backend, device| choose_from(drivers(), backend, Some(device));
        assert_eq!(taken(&pick(None, "PTHREAD").unwrap()), ("opencl", 0));
        assert_eq!(taken(&pick(None, "0").unwrap()), ("vulkan", 0));
        assert_eq!(taken(&pick(Some("opencl"), "cpu").unwrap()), ("opencl", 0));
        let error = pick(None, "7").err().unwrap().to_string();
        assert!(
            error.contains("'7'") && error.contains("llvmpipe"),
            "{error}"
        );
        let error = pick(Some("soft"), "radeon").err().unwrap().to_string();
        assert_eq!(error, "soft: no device 'radeon'; there are 0: soft device");
    }

    #[test]
    fn a_named_backend_answers_for_itself() {
        let error = choose_from(machine(None, None), Some("vulkan"), None)
            .err()
            .unwrap();
        assert!(
            matches!(
                error,
                Error::NoDevice {
                    backend: "vulkan",
                    ..
                }
            ),
            "{error}"
        );
        let error = choose_from(drivers(), Some("direct3d"), None)
            .err()
            .unwrap();
        assert_eq!(
            error.to_string(),
            "no backend 'direct3d'; there are auto, vulkan, opencl, soft"
        );
    }
}
