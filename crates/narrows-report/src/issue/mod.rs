//! A bug report for the maintainers of the guilty layer, in Markdown: what was measured, on what
//! versions, what was ruled out, how to see it again. Nothing private is in it.

mod scrub;

pub use scrub::Private;

use crate::words::{again_words, interval, percent, place, whole};
use narrows_model::explain::causal::Reading;
use narrows_model::explain::result::{Explanation, Step};
use narrows_model::layers::Layer;
use narrows_model::result::{Site, VerdictKind};
use narrows_model::words::{count, nanos, plural, significant, stand_ins};
use std::collections::BTreeMap;

/// Rows of evidence of each kind.
const EVIDENCE: usize = 6;
/// Objects listed.
const OBJECTS: usize = 40;
/// A part of the loss below which a layer is ruled out as its cause.
const SMALL: f64 = 0.1;

/// A shared object of the traced program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its path; only the base name is shown.
    pub path: String,
    /// Build id in hexadecimal; `None`: it has none.
    pub build_id: Option<String>,
}

/// Objects that matter to such a report whether or not a wait was seen in them.
const INTERFACES: [&str; 16] = [
    "libcuda.",
    "libcudart",
    "libnvidia",
    "libvulkan",
    "libOpenCL",
    "libpocl",
    "libamdhip",
    "libhsa",
    "libze_",
    "libpython",
    "libtorch",
    "libc.so",
    "libc10",
    "libMoltenVK",
    "Metal",
    "libstdc++",
];

/// The report.
pub fn issue_text(explanation: &Explanation, objects: &[Object], private: &Private) -> String {
    let page = Page {
        explanation,
        private,
    };
    let mut text = format!("# {}\n\n", page.title());
    text += &page.readiness();
    text += &page.measured();
    text += &page.evidence();
    text += &page.ruled_out();
    text += &page.again();
    text += &page.versions(objects);
    text += "## About this report\n\nMade by narrows. It holds no absolute path, user name, host name or environment variable: paths were cut to base names and names of this user, host and home directory were replaced by `...`. Please read it once before you send it.\n";
    text
}

struct Page<'a> {
    explanation: &'a Explanation,
    private: &'a Private,
}

impl Page<'_> {
    /// Text of the measured program, for a line of Markdown.
    fn plain(&self, text: &str) -> String {
        let text = self.private.scrub(text);
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '|' | '`' | '*' | '\\' => {
                    out.push('\\');
                    out.push(c);
                }
                c if c.is_control() => out.push(' '),
                c => out.push(c),
            }
        }
        out
    }

    /// The same as code, which Markdown does not look into.
    fn code(&self, text: &str) -> String {
        let text: String = self
            .private
            .scrub(text)
            .chars()
            .map(|c| match c {
                '`' => '\'',
                '|' => '¦',
                c if c.is_control() => ' ',
                c => c,
            })
            .collect();
        match text.is_empty() {
            true => "-".into(),
            false => format!("`{text}`"),
        }
    }

    fn title(&self) -> String {
        let verdict = &self.explanation.verdict;
        let points = &self.explanation.points;
        let scale = match (points.first(), points.last()) {
            (Some(base), Some(last)) if last.point.speedup.is_some() && points.len() > 1 => {
                format!(
                    "{} run {}x as fast as {}",
                    plural(last.point.threads, "thread"),
                    significant(last.point.speedup.unwrap_or(f64::NAN)),
                    base.point.threads
                )
            }
            _ => "threads wait for each other".into(),
        };
        match &verdict.site {
            Some(site) => format!("{scale}: {}", self.plain(&whereabouts(site))),
            None => scale,
        }
    }

    /// A report without a proved cause is said not to be one.
    fn readiness(&self) -> String {
        let verdict = &self.explanation.verdict;
        let sentence = self.plain(&verdict.sentence);
        let guilty = match verdict.layer {
            Some(layer) => format!(" The layer: **{layer}**."),
            None => String::new(),
        };
        let ready = matches!(
            verdict.kind,
            VerdictKind::Serialised | VerdictKind::BackPressure
        );
        let warning = match ready {
            true => String::new(),
            false => format!(
                "> **Not ready to be sent.** The verdict is `{}`: no cause is proved by two independent proofs.\n\n",
                crate::words::kind(verdict.kind)
            ),
        };
        let stand_in = self.explanation.coverage.as_ref().and_then(stand_ins);
        let stand_in = stand_in.map_or(String::new(), |line| {
            format!("> **Stand-in.** {}.\n\n", self.plain(&line))
        });
        format!("{stand_in}{warning}{sentence}{guilty}\n\n")
    }

    fn measured(&self) -> String {
        let mut text = String::from("## What was measured\n\n");
        text += &format!(
            "{}\n\n",
            self.plain(&crate::explain::runs(self.explanation))
        );
        if self.explanation.points.is_empty() {
            return text;
        }
        text += "| threads | ops/s | interval | speedup | interval | efficiency | cores used | device busy |\n|--:|--:|--:|--:|--:|--:|--:|--:|\n";
        let missing = || "-".to_owned();
        for point in &self.explanation.points {
            let p = &point.point;
            let cells = [
                p.threads.to_string(),
                p.ops_per_s.map_or_else(missing, count),
                interval(p.ci, count),
                p.speedup.map_or_else(missing, significant),
                interval(p.speedup_ci, significant),
                p.efficiency.map_or_else(missing, percent),
                p.cores_used.map_or_else(missing, significant),
                p.gpu_busy.map_or_else(missing, percent),
            ];
            text += &format!("| {} |\n", cells.join(" | "));
        }
        text += "\nIntervals are of 95 % or of the level beside them.\n\n";
        text
    }

    fn evidence(&self) -> String {
        let e = self.explanation;
        let mut text = String::from("## Evidence\n\n");
        for proof in &e.verdict.proofs {
            text += &format!("- {}\n", self.plain(&proof.sentence));
        }
        for slope in e.causal.iter().flatten().take(EVIDENCE) {
            text += &format!(
                "- delaying {}: slope {} {} ({}; 1 means that everybody waits for it, 1/N that threads do it side by side)\n",
                self.code(&slope.point),
                significant(slope.slope),
                interval(slope.slope_ci, significant),
                crate::explain::reading(slope.reading()),
            );
        }
        text += "\n";
        text += &self.steps();
        text += &self.owners();
        text += &self.calls();
        text
    }

    fn steps(&self) -> String {
        let Some(steps) = self.explanation.waterfall.as_deref() else {
            return String::new();
        };
        let mut text = String::from(
            "What one op costs more, thread time, from the smallest to the largest number of threads:\n\n| layer | what | where | before | added | share of the loss |\n|---|---|---|--:|--:|--:|\n",
        );
        let (shown, rest) = steps.split_at(steps.len().min(EVIDENCE));
        for step in shown {
            text += &format!(
                "| {} | {} | {} | {} | {} | {} |\n",
                step.term.layer,
                step.class.words(),
                self.code(&step_place(step)),
                nanos(step.base_ns_per_op),
                nanos(step.term.ns_per_op),
                percent(step.term.share)
            );
        }
        if !rest.is_empty() {
            let sum = |of: fn(&Step) -> f64| rest.iter().map(of).sum::<f64>();
            text += &format!(
                "| | {} more | | {} | {} | {} |\n",
                rest.len(),
                nanos(sum(|s| s.base_ns_per_op)),
                nanos(sum(|s| s.term.ns_per_op)),
                percent(sum(|s| s.term.share))
            );
        }
        text + "\n"
    }

    fn owners(&self) -> String {
        let mut text = String::new();
        for blamed in self.explanation.blame.iter().take(EVIDENCE / 2) {
            let at = whereabouts(&blamed.site);
            text += &format!(
                "- {} waited at {} ({}); meanwhile its owners were: ",
                nanos(blamed.waited_ns as f64),
                self.code(&at),
                blamed.layer
            );
            let owners: Vec<String> = blamed
                .owners
                .iter()
                .take(3)
                .map(|o| match &o.call {
                    Some(call) => format!("{} in {}", percent(o.share), self.code(call)),
                    None => format!("{} outside recorded calls", percent(o.share)),
                })
                .collect();
            text += &format!("{}\n", owners.join(", "));
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }

    fn calls(&self) -> String {
        let calls = &self.explanation.calls;
        if calls.is_empty() {
            return String::new();
        }
        let mut text = String::from(
            "Calls of one run at the largest number of threads, waits inside them included:\n\n| call | layer | calls | mean | p50 | p99 | longest |\n|---|---|--:|--:|--:|--:|--:|\n",
        );
        let time = |ns: Option<u64>| ns.map_or("-".to_owned(), |ns| nanos(ns as f64));
        for row in calls.iter().take(EVIDENCE) {
            let call = &row.call;
            text += &format!(
                "| {} | {} | {} | {} | {} | {} | {} |\n",
                self.code(&call.name),
                call.layer,
                whole(call.count),
                call.mean_ns.map_or("-".into(), nanos),
                time(call.p50_ns),
                time(call.p99_ns),
                time(call.max_ns)
            );
        }
        text + "\n"
    }

    fn ruled_out(&self) -> String {
        let e = self.explanation;
        let mut lines: Vec<String> = Vec::new();
        let last = e.points.last().map(|p| &p.point);
        if let Some(busy) = last.and_then(|p| p.gpu_busy).filter(|b| *b < 0.9) {
            lines.push(format!(
                "a full device: it works {} of the time",
                percent(busy)
            ));
        }
        for (layer, share) in self.by_layer() {
            let guilty = e.verdict.layer == Some(layer);
            if !guilty && share.abs() < SMALL {
                let what = match layer {
                    Layer::Scheduler => "too few cores: time spent ready without one".to_owned(),
                    Layer::Unseen => "time that nothing recorded explains".to_owned(),
                    layer => format!("the layer {layer}"),
                };
                lines.push(format!("{what} adds {} of the loss", percent(share)));
            }
        }
        for slope in e.causal.iter().flatten() {
            let reading = slope.reading();
            if matches!(reading, Reading::Hidden | Reading::Parallel) {
                lines.push(format!(
                    "{}: a delay there is {} (slope {} {})",
                    self.code(&slope.point),
                    crate::explain::reading(reading),
                    significant(slope.slope),
                    interval(slope.slope_ci, significant)
                ));
            }
        }
        if let Some(lost) = e.lost.as_ref().filter(|l| l.reasons.is_empty()) {
            let events = whole(lost.recorded);
            lines.push(format!("lost data: none of {events} events"));
        }
        if let Some(cost) = &e.own_cost {
            lines.push(format!(
                "the measuring itself: {} of the threads' time",
                percent(cost.share)
            ));
        }
        let mut text = String::from("## What was ruled out\n\n");
        if lines.is_empty() {
            text += "Nothing.\n";
        }
        for line in lines {
            text += &format!("- {line}\n");
        }
        for candidate in &e.verdict.candidates {
            let said = format!("{}. {}", candidate.what, candidate.sentence);
            text += &format!("- not ruled out: {}\n", self.plain(&said));
        }
        text + "\n"
    }

    /// Share of the loss per layer.
    fn by_layer(&self) -> BTreeMap<Layer, f64> {
        let mut sums = BTreeMap::new();
        for step in self.explanation.waterfall.iter().flatten() {
            *sums.entry(step.term.layer).or_default() += step.term.share;
        }
        sums
    }

    fn again(&self) -> String {
        let words = again_words(self.explanation, |word, before| {
            self.private.word(word, before)
        });
        let mut text = format!(
            "## How to see it again\n\n```\n{}\n```\n\n",
            words.replace("```", "'''")
        );
        if let Some(backend) = self.backend() {
            let ns: Vec<String> = self
                .explanation
                .points
                .iter()
                .filter_map(|p| p.point.n.map(|n| n.to_string()))
                .collect();
            let ns = if ns.is_empty() {
                "1,4".into()
            } else {
                ns.join(",")
            };
            text += &format!(
                "Without that program, the same interface alone (not measured for this report):\n\n```\nnarrows scan --backend {backend} --threads {ns} --queue shared,own\n```\n\n"
            );
        }
        text
    }

    /// The interface that took most time, if `scan` can drive it.
    fn backend(&self) -> Option<&'static str> {
        let mut times: BTreeMap<&str, u64> = BTreeMap::new();
        for row in &self.explanation.calls {
            *times.entry(&row.api).or_default() += row.call.total_ns;
        }
        let known = ["vulkan", "opencl"];
        let found = known.into_iter().filter(|k| times.contains_key(k));
        found.max_by_key(|k| times.get(k).copied())
    }

    fn versions(&self, objects: &[Object]) -> String {
        let e = self.explanation;
        let machine = &e.environment;
        let known = |v: &Option<String>| v.as_deref().map_or("not known".into(), |v| self.plain(v));
        let mut text = format!(
            "## Versions\n\n- narrows {}\n- CPU: {}; {}\n- system: {}\n",
            self.plain(&e.tool),
            known(&machine.cpu),
            machine
                .cores
                .map_or("cores not known".into(), |n| plural(n, "core")),
            known(&machine.os)
        );
        let mut listed: Vec<(bool, String, &Object)> = objects
            .iter()
            .filter_map(|o| {
                let name = base(&o.path).to_owned();
                let seen = self.names_object(&name);
                let interface = INTERFACES.iter().any(|i| name.starts_with(i));
                (seen || interface).then_some((!seen, name, o))
            })
            .collect();
        listed.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        for (_, name, object) in listed.iter().take(OBJECTS) {
            let id = match &object.build_id {
                Some(id) => format!("build id `{id}`"),
                None => "no build id".into(),
            };
            text += &format!("- {}: {id}\n", self.code(name));
        }
        text + "\n"
    }

    /// Whether the evidence names this object.
    fn names_object(&self, name: &str) -> bool {
        let e = self.explanation;
        let steps = e
            .waterfall
            .iter()
            .flatten()
            .filter_map(|s| s.term.site.as_ref());
        let sites = steps
            .chain(e.blame.iter().map(|b| &b.site))
            .chain(e.waits.iter().map(|w| &w.wait.site))
            .chain(&e.verdict.site);
        sites
            .filter_map(|s| s.object.as_deref())
            .any(|object| base(object) == name)
    }
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn whereabouts(site: &Site) -> String {
    place(narrows_model::explain::term::Class::Lock, Some(site), None)
}

fn step_place(step: &Step) -> String {
    place(step.class, step.term.site.as_ref(), step.call.as_deref())
}

#[cfg(test)]
mod tests;
