//! The audit on a terminal.

use super::{Audit, InterfaceRow, ObjectRow};
use std::fmt::Write;

/// Names shown of what is not covered; JSON has them all.
const NAMES: usize = 12;

/// The whole audit as text, at most 100 columns wide where names allow.
pub(crate) fn audit_text(audit: &Audit) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(audit, &mut text);
    text
}

fn write(audit: &Audit, text: &mut String) -> std::fmt::Result {
    let seen = audit.objects_seen;
    writeln!(
        text,
        "audit of {} ({}), {seen} objects",
        audit.target, audit.machine
    )?;
    match &audit.obstacle {
        Some(why) => writeln!(text, "the probe cannot be injected: it {why}")?,
        None => writeln!(text, "the probe can be injected")?,
    }
    writeln!(text, "\nwhat it can call, and what the probe covers")?;
    if audit.interfaces.is_empty() {
        writeln!(text, "  nothing that this audit knows")?;
    }
    for row in &audit.interfaces {
        interface(row, text)?;
    }
    writeln!(text, "\nobjects that import or name such functions")?;
    for row in &audit.objects {
        object(row, text)?;
    }
    for missing in &audit.missing {
        writeln!(text, "not read: {missing}")?;
    }
    writeln!(text, "\nnot seen by this audit")?;
    audit
        .limits
        .iter()
        .try_for_each(|limit| writeln!(text, "  {limit}"))
}

fn interface(row: &InterfaceRow, text: &mut String) -> std::fmt::Result {
    let layers: Vec<_> = row.layers.iter().map(|layer| layer.name()).collect();
    write!(
        text,
        "  {:<13} {:>4} callable, {:>4} covered   by {}",
        row.interface,
        row.callable,
        row.covered,
        layers.join(", ")
    )?;
    match row.call_sites {
        Some(sites) => writeln!(text, ", {sites} call sites")?,
        None => writeln!(text)?,
    }
    if row.uncovered.is_empty() {
        return Ok(());
    }
    let shown: Vec<_> = row
        .uncovered
        .iter()
        .take(NAMES)
        .map(String::as_str)
        .collect();
    let more = row.uncovered.len().saturating_sub(NAMES);
    let more = if more > 0 {
        format!(" and {more} more (--json has all)")
    } else {
        String::new()
    };
    let mut line = String::from("    not covered:");
    for word in shown
        .join(", ")
        .split(' ')
        .chain(more.split(' ').filter(|word| !word.is_empty()))
    {
        if line.len() + 1 + word.len() > 100 {
            writeln!(text, "{line}")?;
            line = "     ".into();
        }
        line.push(' ');
        line.push_str(word);
    }
    writeln!(text, "{line}")
}

fn object(row: &ObjectRow, text: &mut String) -> std::fmt::Result {
    let name = row.path.file_name().unwrap_or_default().to_string_lossy();
    let guess = if row.unknown { "?" } else { "" };
    write!(
        text,
        "  {name}  {}{guess}: {} imported, {} by name",
        row.layer.map_or("passes on", |layer| layer.name()),
        row.imported.len(),
        row.by_string.len()
    )?;
    if row.offered > 0 {
        write!(text, ", offers {}", row.offered)?;
    }
    if !row.selectors.is_empty() {
        let ours = row
            .selectors
            .values()
            .filter(|selector| selector.api.is_some());
        write!(
            text,
            ", {} selectors ({} of Metal, MPS and MPSGraph)",
            row.selectors.len(),
            ours.count()
        )?;
    }
    if row.no_symbols {
        write!(text, ", has no symbol table")?;
    }
    writeln!(text)?;
    for (library, file) in &row.opens {
        match file {
            Some(file) => writeln!(text, "    may open {library} ({})", file.display())?,
            None => writeln!(text, "    may open {library} (not on this machine)")?,
        }
    }
    Ok(())
}
