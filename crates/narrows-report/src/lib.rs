//! Views of a result of `narrows-model`: text and JSON.
//!
//! A view adds no number and drops no caveat: what is not in the result was not measured, and a
//! view says so. It reads no clock, no file and no environment.

#![forbid(unsafe_code)]

mod compare;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests
mod documented;
mod explain;
pub mod export;
mod html;
mod issue;
mod ladder;
mod scan;
mod selftest;
mod text;
mod trace;
mod tune;
mod words;

pub use compare::{compare_json, compare_text};
pub use explain::{explain_json, explain_text};
pub use html::{explain_html, ladder_html, scan_html};
pub use issue::{Object, Private, issue_text};
pub use ladder::{ladder_json, ladder_text};
pub use scan::scan_text;
pub use selftest::{selftest_json, selftest_text};
pub use trace::{trace_json, trace_text};
pub use tune::{tune_json, tune_text};

use narrows_model::scan::ScanResult;

/// Why a view could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value that JSON cannot hold.
    #[error("the result cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// The result as indented JSON, as documented in `docs/json.md`, with a line's end after it.
pub fn scan_json(result: &ScanResult) -> Result<String, Error> {
    Ok(serde_json::to_string_pretty(result)? + "\n")
}
