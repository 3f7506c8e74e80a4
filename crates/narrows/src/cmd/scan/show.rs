//! Samples to what is printed; the same for a run that has just ended and for a file.

use crate::failure::WrongInput;
use narrows_model::reference::{self, Reference};
use narrows_model::scan::{ScanResult, analyse};
use narrows_scan::samples::Samples;
use std::io::IsTerminal;

/// How a result is printed.
pub(crate) struct Style {
    json: bool,
    reference: Option<Reference>,
}

impl Style {
    /// Checks the name of the quoted table.
    pub(crate) fn new(json: bool, reference: Option<&str>) -> anyhow::Result<Style> {
        let reference = match reference {
            None => None,
            Some(name) => Some(reference::named(name).ok_or_else(|| {
                let known = reference::NAMES.join(", ");
                WrongInput(format!(
                    "--reference {name}: no such table; possible: {known}"
                ))
            })?),
        };
        Ok(Style { json, reference })
    }

    /// The quoted table.
    pub(crate) fn reference(&self) -> Option<Reference> {
        self.reference.clone()
    }
}

/// Analyses `samples` and prints the result to standard output.
pub(crate) fn show(samples: &Samples, style: &Style) -> anyhow::Result<ScanResult> {
    let mut result = analyse(samples);
    result.reference.clone_from(&style.reference);
    let text = if style.json {
        narrows_report::scan_json(&result)?
    } else {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        narrows_report::scan_text(&result, colour)
    };
    crate::output::print(&text)?;
    Ok(result)
}
