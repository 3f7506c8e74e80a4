//! Which functions the probe covers: asked of the probe that this command carries, so that the
//! answer cannot drift from the code.
//!
//! The C library's functions are those that the probe exports in their place. Functions that are
//! reached through pointers (CUDA, Vulkan, OpenCL) and Metal's selectors stand in a section of the
//! probe, one name a line, as do the functions that the macOS probe interposes, behind `macos:`.

use narrows_symbols::calls::{Api, Carried};

/// The probe's section of names.
const SECTION: &str = "narrows_covered";

/// What the probe covers.
pub(super) struct Covered {
    carried: Carried,
    /// Why nothing is known, for the audit's limits.
    pub(super) fault: Option<String>,
}

impl Covered {
    /// Reads the probe.
    pub(super) fn of_probe() -> Covered {
        let carried = Carried::read(crate::probe_image::PROBE, SECTION);
        let fault = match &carried {
            Ok(carried) if carried.listed.is_empty() => Some(
                "this build's probe lists no functions that are reached through pointers".into(),
            ),
            Ok(_) => None,
            Err(reason) => Some(format!(
                "this build carries no probe to compare with ({reason})"
            )),
        };
        Covered {
            carried: carried.unwrap_or_default(),
            fault,
        }
    }

    /// Is the function seen when it is called? `mach`: in a macOS program.
    pub(super) fn has(&self, api: Api, name: &str, mach: bool) -> bool {
        match api {
            Api::Locks | Api::Kernel if mach => self.listed(&format!("macos:{name}")),
            Api::Locks | Api::Kernel => self.carried.exported.contains(name),
            // The forms for per-thread default streams are the same functions to the probe.
            Api::CudaDriver => {
                self.listed(name.trim_end_matches("_ptsz").trim_end_matches("_ptds"))
            }
            _ => self.listed(name),
        }
    }

    fn listed(&self, name: &str) -> bool {
        self.carried.listed.contains(name)
    }
}
