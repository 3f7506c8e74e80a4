//! Starts a program with the probe inside it, and waits for its end.
//!
//! Promises: everything that would make the recording useless is found before the program starts
//! ([`target`], [`folder`]); the program's standard streams, arguments and exit status are
//! untouched; a crash of the program is a result. What the probe records lives in the probe and
//! `narrows-trace`; what it means lives in `narrows-model`.

mod environment;
mod folder;
mod library;
mod mac;
mod run;
mod size;
mod target;

pub(crate) use environment::Settings;
pub(crate) use folder::default_name;
pub(crate) use run::{Plan, run};
pub(crate) use size::parse as parse_size;
pub(crate) use target::{Target, find, obstacle};
