//! Threads of Grand Central Dispatch, for programs that submit from its pool.

use crate::Error;

/// Threads that GCD's global queue gives to blocks which wait: more would never start.
pub const MOST_THREADS: u32 = 64;

/// Whether so many threads can be had: [`Error::Unsupported`] beyond [`MOST_THREADS`], and
/// elsewhere than on macOS.
pub fn check(threads: u32) -> Result<(), Error> {
    let why = if cfg!(not(any(target_os = "macos", metal_stand_in))) {
        let system = std::env::consts::OS;
        format!("Grand Central Dispatch is a part of macOS, this is {system}")
    } else if threads > MOST_THREADS {
        format!("its pool gives at most {MOST_THREADS} to work that waits")
    } else {
        return Ok(());
    };
    Err(Error::Unsupported {
        backend: "GCD",
        what: format!("submitting from {threads} of its threads"),
        why,
    })
}

/// Runs `work` on a thread of GCD's global queue; elsewhere than on macOS it is
/// [`Error::Unsupported`].
#[cfg(any(target_os = "macos", metal_stand_in))]
pub fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    use dispatch2::{DispatchQoS, DispatchQueue, GlobalQueueIdentifier};
    let queue = GlobalQueueIdentifier::QualityOfService(DispatchQoS::UserInitiated);
    DispatchQueue::global_queue(queue).exec_async(work);
    Ok(())
}

/// Runs `work` on a thread of GCD's global queue; elsewhere than on macOS it is
/// [`Error::Unsupported`].
#[cfg(not(any(target_os = "macos", metal_stand_in)))]
pub fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    drop(work);
    check(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(not(any(target_os = "macos", metal_stand_in)))]
    fn elsewhere_it_says_where_it_is() {
        let line = check(2).unwrap_err().to_string();
        assert!(line.contains("macOS") && line.contains(std::env::consts::OS));
        assert_eq!(
            spawn(|| ()).unwrap_err().to_string(),
            check(1).unwrap_err().to_string()
        );
    }

    #[test]
    #[cfg(any(target_os = "macos", metal_stand_in))]
    fn work_runs_on_another_thread_and_too_many_are_refused() {
        let (sender, receiver) = std::sync::mpsc::channel();
        spawn(move || sender.send(std::thread::current().id()).unwrap_or_default()).unwrap();
        assert_ne!(receiver.recv().unwrap(), std::thread::current().id());
        assert!(check(MOST_THREADS).is_ok() && check(MOST_THREADS + 1).is_err());
    }
}
