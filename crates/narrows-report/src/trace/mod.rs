//! Views of a trace: the summary as text and JSON.

pub(crate) mod text;
mod units;

pub use text::trace_text;

use crate::Error;
use narrows_model::trace::Summary;

/// The summary as indented JSON (`narrows-trace/1`), as documented in `docs/json.md`, with a
/// line's end after it.
pub fn trace_json(summary: &Summary) -> Result<String, Error> {
    Ok(serde_json::to_string_pretty(summary)? + "\n")
}

#[cfg(test)]
mod tests;
