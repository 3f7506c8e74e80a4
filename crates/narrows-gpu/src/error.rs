//! What can go wrong between us and a GPU API.

/// Errors of a backend. Each carries the call, the code and what the user can do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The API's loader library is not installed.
    #[error("{backend}: no loader: {library} could not be opened ({reason}); {remedy}")]
    NoLoader {
        /// Backend name.
        backend: &'static str,
        /// Library that was tried.
        library: String,
        /// The dynamic linker's words.
        reason: String,
        /// What to install.
        remedy: &'static str,
    },
    /// A backend that is not compiled in.
    #[error("no backend '{wanted}'; there are {available}")]
    UnknownBackend {
        /// What the user asked for.
        wanted: String,
        /// What there is, `auto, vulkan, ...`.
        available: String,
    },
    /// The API is there but lists no device.
    #[error("{backend}: no device found; {remedy}")]
    NoDevice {
        /// Backend name.
        backend: &'static str,
        /// What to install.
        remedy: &'static str,
    },
    /// A device index or name that is not there.
    #[error("{backend}: no device {wanted}; there are {available}")]
    UnknownDevice {
        /// Backend name.
        backend: &'static str,
        /// What the user asked for.
        wanted: String,
        /// What there is, `0: name, 1: name`.
        available: String,
    },
    /// The device cannot do what was asked. Not a failure: the point is left out and says why.
    #[error("{backend}: {what} is not supported: {why}")]
    Unsupported {
        /// Backend name.
        backend: &'static str,
        /// The setting.
        what: String,
        /// The limit that forbids it.
        why: String,
    },
    /// The driver lost the device in mid-run.
    #[error("{backend}: {call} lost the device (code {code})")]
    DeviceLost {
        /// Backend name.
        backend: &'static str,
        /// The API call.
        call: &'static str,
        /// The API's status code.
        code: i64,
    },
    /// Any other failing API call.
    #[error("{backend}: {call} failed with code {code}{detail}")]
    Call {
        /// Backend name.
        backend: &'static str,
        /// The API call.
        call: &'static str,
        /// The API's status code.
        code: i64,
        /// Empty, or `: ` and more words.
        detail: String,
    },
    /// A result that differs from the CPU reference.
    #[error("{backend}: {work} gave a wrong result: {detail}")]
    WrongResult {
        /// Backend name.
        backend: &'static str,
        /// Which work.
        work: String,
        /// Where and by how much.
        detail: String,
    },
}
