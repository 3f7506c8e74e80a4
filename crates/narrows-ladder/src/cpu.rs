//! CPU time of another process, as far as the system tells it without privileges.

/// Nanoseconds on a CPU of all threads that process `pid` has now; `None` where the kernel has no
/// such count. Threads that ended are not in it, so a difference of two reads holds only while
/// the same threads live, which they do within a block.
pub(crate) fn cpu_ns(pid: u32) -> Option<u64> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let mut sum = 0;
    for task in tasks.flatten() {
        // A thread that ended since the listing has no file any more.
        let Ok(text) = std::fs::read_to_string(task.path().join("schedstat")) else {
            continue;
        };
        sum += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::cpu_ns;

    #[test]
    #[cfg(target_os = "linux")]
    fn our_own_time_grows_and_nobodys_is_not_known() {
        let before = cpu_ns(std::process::id()).unwrap();
        let mut x = 1u64;
        for i in 0..20_000_000u64 {
            x = std::hint::black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(i));
        }
        let after = cpu_ns(std::process::id()).unwrap();
        assert!(after > before, "{before} {after} {x}");
        assert_eq!(cpu_ns(u32::MAX), None);
    }
}
