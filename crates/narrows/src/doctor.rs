//! What this machine has for measuring GPU submission, one finding each with its remedy.

mod gpu;
mod injection;
mod machine;
mod python;

use serde::Serialize;

/// Version of the JSON.
const SCHEMA: &str = "narrows-doctor/1";

/// How it stands with a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// Not there; what needs it cannot be used.
    Missing,
    /// Makes results worse, or a command fail.
    Warning,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// `vulkan`, `injection`, `noise`, ...
    pub(crate) area: &'static str,
    /// How it stands.
    pub(crate) status: Status,
    /// What was found.
    pub(crate) found: String,
    /// What to do; `None`: nothing.
    pub(crate) remedy: Option<String>,
}

impl Finding {
    fn ok(area: &'static str, found: impl Into<String>) -> Finding {
        Finding {
            area,
            status: Status::Ok,
            found: found.into(),
            remedy: None,
        }
    }

    fn bad(
        status: Status,
        area: &'static str,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding {
            area,
            status,
            found: found.into(),
            remedy: Some(remedy.into()),
        }
    }

    fn note(area: &'static str, found: impl Into<String>) -> Finding {
        Finding {
            status: Status::Note,
            ..Finding::ok(area, found)
        }
    }
}

/// All findings.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    schema: &'static str,
    tool: &'static str,
    pub(crate) findings: Vec<Finding>,
    /// The answer in one sentence.
    pub(crate) sentence: String,
}

/// Looks at everything.
pub(crate) fn look() -> Report {
    let mut findings = machine::look();
    findings.extend(gpu::look());
    findings.push(injection::look());
    findings.extend(python::look());
    let count = |status| findings.iter().filter(|f| f.status == status).count();
    let (missing, warnings) = (count(Status::Missing), count(Status::Warning));
    let sentence = match (missing, warnings) {
        (0, 0) => "Everything that narrows uses is here: narrows scan is the next step.".into(),
        _ => format!(
            "{missing} not found, {warnings} that make results worse; each with what to do behind \
             ->. What is not found matters only to who needs it: narrows scan uses what there is."
        ),
    };
    Report {
        schema: SCHEMA,
        tool: env!("CARGO_PKG_VERSION"),
        findings,
        sentence,
    }
}
