//! Reads the machine's state without privileges. What cannot be read is `None`.

use crate::samples::Environment;
use std::fs;

/// Load above this share of the cores makes a warning.
const BUSY_SHARE: f64 = 0.3;

/// Reads the environment once, before the run.
pub fn read() -> Environment {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    let mut environment = Environment {
        cpu: cpu_model(),
        cores,
        cores_online: cores_online(),
        load_before: load_average(),
        governor: trimmed("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        os: Some(os()),
        warnings: Vec::new(),
    };
    environment.warnings = warnings(&environment);
    environment
}

/// Load average over one minute.
pub fn load_average() -> Option<f64> {
    fs::read_to_string("/proc/loadavg")
        .ok()?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

fn warnings(environment: &Environment) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(load) = environment
        .load_before
        .filter(|l| *l > BUSY_SHARE * f64::from(environment.cores))
    {
        found.push(format!(
            "the machine was busy before the run: load {load:.2} on {} cores; other programs may \
             take part of what is measured",
            environment.cores
        ));
    }
    if let Some(governor) = environment
        .governor
        .as_deref()
        .filter(|g| *g == "powersave")
    {
        found.push(format!(
            "CPU governor is {governor}; clocks rise late and short blocks suffer"
        ));
    }
    if let Some(online) = environment.cores_online.filter(|n| *n > environment.cores) {
        found.push(format!(
            "only {} of {online} cores are allowed to this process",
            environment.cores
        ));
    }
    found
}

fn cpu_model() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text
        .lines()
        .find(|l| l.starts_with("model name") || l.starts_with("Model"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Counts a list like `0-3,6`.
fn cores_online() -> Option<u32> {
    let text = trimmed("/sys/devices/system/cpu/online")?;
    let mut count = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        count += last
            .parse::<u32>()
            .ok()?
            .checked_sub(first.parse::<u32>().ok()?)?
            + 1;
    }
    Some(count)
}

fn os() -> String {
    let name = rustix::system::uname();
    format!(
        "{} {} {}",
        name.sysname().to_string_lossy(),
        name.release().to_string_lossy(),
        name.machine().to_string_lossy()
    )
}

fn trimmed(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can_be_read() {
        let environment = read();
        assert!(environment.cores >= 1);
        assert!(environment.os.is_some_and(|os| os.contains(' ')));
    }

    #[test]
    fn a_busy_machine_and_a_lazy_governor_are_warned_of() {
        let environment = Environment {
            cores: 2,
            cores_online: Some(4),
            load_before: Some(1.9),
            governor: Some("powersave".into()),
            ..Environment::default()
        };
        let text = warnings(&environment).join("\n");
        for word in ["load 1.90", "powersave", "2 of 4"] {
            assert!(text.contains(word), "{text}");
        }
    }
}
