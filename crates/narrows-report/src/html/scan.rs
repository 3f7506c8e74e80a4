//! The report of a scan: the same page with the sections that a scan can fill.

use super::chart::{COLOURS, Curve, Spot, chart};
use super::markup::Html;
use super::tables::{Cell, table};
use super::{Section, page};
use crate::words::{interval, percent, quoted};
use narrows_model::scan::{PointResult, ScanResult};
use narrows_model::words::{count, nanos, plural, significant, stand_in};

/// The report of a scan's samples.
pub fn scan_html(result: &ScanResult) -> String {
    let parts = vec![
        scaling(result),
        points(result),
        models(result),
        checks(result),
        again(result),
    ];
    let title = format!("scan of {}", result.device.name);
    let stand_in = stand_in(&result.device.backend, result.device.stand_in);
    page(&title, &result.verdict, stand_in, parts, None)
}

fn curves(result: &ScanResult) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for point in &result.points {
        let name = format!("{}, {}", point.strategy, point.work);
        let Some(speedup) = point.speedup else {
            continue;
        };
        let spot = Spot {
            n: f64::from(point.threads * point.processes),
            speedup,
            ci: point.speedup_ci,
        };
        match curves.iter_mut().find(|c| c.name == name) {
            Some(curve) => curve.spots.push(spot),
            None => curves.push(Curve {
                name,
                spots: vec![spot],
            }),
        }
    }
    curves
}

fn scaling(result: &ScanResult) -> Section {
    let mut html = Html::default();
    if result.simulated {
        html.raw("<p class=\"warning\">Time was simulated: nothing here was measured.</p>\n");
    }
    let curves = curves(result);
    html.raw("<div class=\"charted\">\n");
    if chart(&mut html, &curves, "threads x processes") {
        html.raw("<ul class=\"legend\">");
        for (i, curve) in curves.iter().enumerate() {
            let class = format!("key c{}", i % COLOURS);
            html.raw("<li>")
                .open("span", &[("class", &class)])
                .raw("</span> ");
            html.text(&curve.name).raw("</li>");
        }
        html.raw("<li><span class=\"key ideal\"></span> ideal</li></ul>\n");
    } else {
        html.raw("<p>One number of threads was measured: there is no curve.</p>\n");
    }
    html.raw("</div>\n");
    Section {
        id: "scaling",
        title: "Scaling",
        body: html,
    }
}

fn row(p: &PointResult) -> Vec<Cell> {
    let number = |v: Option<f64>, text: fn(f64) -> String| {
        v.map_or(Cell::Missing, |v| Cell::Number(text(v), v))
    };
    let ends = |ci: Option<narrows_model::result::Interval>, text: fn(f64) -> String| {
        ci.map_or(Cell::Missing, |c| Cell::Number(interval(ci, text), c.low))
    };
    vec![
        Cell::Text(p.strategy.clone()),
        Cell::Text(p.work.clone()),
        Cell::count(Some(u64::from(p.threads))),
        Cell::count(Some(u64::from(p.processes))),
        number(p.ops_per_s, count),
        ends(p.ci, count),
        number(p.speedup, |v| format!("{}x", significant(v))),
        ends(p.speedup_ci, significant),
        number(p.efficiency, percent),
        Cell::ns(p.latency.map(|l| l.p50_ns)),
        Cell::ns(p.latency.map(|l| l.p99_ns)),
        number(p.cores_used, significant),
        number(p.gpu_busy, percent),
        ends(p.gpu_busy_ci, percent),
        Cell::count(Some(p.pairs)),
        Cell::List(p.notes.clone()),
    ]
}

fn points(result: &ScanResult) -> Section {
    let mut html = Html::default();
    let rows: Vec<Vec<Cell>> = result.points.iter().map(row).collect();
    let headings = [
        "strategy",
        "work",
        "threads",
        "processes",
        "ops/s",
        "its interval",
        "speedup",
        "its interval",
        "efficiency",
        "p50",
        "p99",
        "cores",
        "device busy",
        "its interval",
        "pairs",
        "notes",
    ];
    table(&mut html, "All points", &headings, &rows);
    if !result.left_out.is_empty() {
        html.raw("<h3>Left out</h3>\n<ul>\n");
        for l in &result.left_out {
            let text = format!(
                "{}, {}, {} in {}: {}",
                l.strategy,
                l.work,
                plural(l.threads, "thread"),
                plural(l.processes, "process"),
                l.why
            );
            html.element("li", &[], &text).raw("\n");
        }
        html.raw("</ul>\n");
    }
    if let Some(quote) = &result.reference {
        let title = format!(
            "{}: {}, {} ({})",
            quote.name, quote.machine, quote.date, quote.label
        );
        html.element("h3", &[], &title).raw("\n");
        let rows: Vec<Vec<Cell>> = quote
            .rows
            .iter()
            .map(|r| {
                let number = |v: Option<f64>, text: fn(f64) -> String| {
                    v.map_or(Cell::Missing, |v| Cell::Number(text(v), v))
                };
                vec![
                    Cell::Text(r.group.clone()),
                    Cell::count(Some(u64::from(r.threads))),
                    Cell::count(Some(u64::from(r.processes))),
                    number(r.ops_per_s, count),
                    number(r.speedup, |v| format!("{}x", significant(v))),
                    number(r.efficiency, percent),
                ]
            })
            .collect();
        let headings = [
            "quoted",
            "threads",
            "processes",
            "ops/s",
            "speedup",
            "efficiency",
        ];
        table(&mut html, "Quoted table", &headings, &rows);
    }
    Section {
        id: "points",
        title: "All points",
        body: html,
    }
}

fn models(result: &ScanResult) -> Section {
    let mut html = Html::default();
    html.raw("<p>Models describe a curve; the verdict does not rest on them.</p>\n");
    let rows: Vec<Vec<Cell>> = result
        .fits
        .iter()
        .map(|f| {
            let number =
                |v: Option<f64>| v.map_or(Cell::Missing, |v| Cell::Number(significant(v), v));
            let (amdahl, usl) = (f.amdahl.as_ref(), f.usl.as_ref());
            let said = match (&f.not_fitted, &f.usl_test) {
                (Some(why), _) => why.clone(),
                (None, Some(test)) => test.why.clone(),
                (None, None) => String::new(),
            };
            vec![
                Cell::Text(f.strategy.clone()),
                Cell::Text(f.work.clone()),
                number(amdahl.map(|a| a.serial)),
                Cell::Text(interval(amdahl.and_then(|a| a.serial_ci), significant)),
                number(usl.map(|u| u.a)),
                Cell::Text(interval(usl.and_then(|u| u.a_ci), significant)),
                number(usl.map(|u| u.b)),
                Cell::Text(interval(usl.and_then(|u| u.b_ci), significant)),
                number(usl.and_then(|u| u.peak_n)),
                Cell::Text(said),
            ]
        })
        .collect();
    let headings = [
        "strategy",
        "work",
        "Amdahl serial",
        "interval",
        "USL contention",
        "interval",
        "USL coherence",
        "interval",
        "peak at N",
        "said",
    ];
    table(&mut html, "Models", &headings, &rows);
    Section {
        id: "models",
        title: "Models",
        body: html,
    }
}

fn checks(result: &ScanResult) -> Section {
    let mut html = Html::default();
    let check = &result.self_check;
    let passed = match check.passed {
        Some(true) => "passed",
        Some(false) => "failed",
        None => "too few pairs to say",
    };
    let ratio = check.ratio.map_or("not measured".into(), |r| {
        let ci = interval(check.ratio_ci, |v| format!("{v:.3}"));
        format!("{r:.3} {ci} in {}", plural(check.pairs, "pair"))
    });
    html.raw("<dl class=\"facts\">\n<dt>one thread against itself</dt>")
        .element("dd", &[], &format!("{passed}: {ratio}"))
        .raw("<dt>not measured</dt><dd>calls, lock waits and time per layer need a trace: <code>narrows explain -- COMMAND</code></dd>\n");
    for warning in &result.environment.warnings {
        html.raw("<dt class=\"bad\">warning</dt>")
            .element("dd", &[], warning);
    }
    html.raw("</dl>\n");
    Section {
        id: "health",
        title: "Checks",
        body: html,
    }
}

fn again(result: &ScanResult) -> Section {
    let mut html = Html::default();
    let device = &result.device;
    let kind = match (device.stand_in, device.software) {
        (true, _) => ", a stand-in for tests",
        (_, true) => ", software, no GPU behind it",
        _ => "",
    };
    let e = &result.environment;
    let known = |v: &Option<String>| v.clone().unwrap_or_else(|| "not known".into());
    let load = |v: Option<f64>| v.map_or("not measured".into(), |l| format!("{l:.2}"));
    let facts = [
        (
            "device",
            format!(
                "{} {}: {} (driver {}, API {}{kind}); {}",
                device.backend,
                device.index,
                device.name,
                device.driver,
                device.api_version,
                result.device_choice
            ),
        ),
        (
            "CPU",
            format!("{}; {}", known(&e.cpu), plural(e.cores, "core")),
        ),
        ("system", known(&e.os)),
        (
            "load",
            format!(
                "{} before, {} after",
                load(e.load_before),
                load(result.end.as_ref().and_then(|e| e.load_after))
            ),
        ),
        (
            "run",
            format!(
                "{} of {} blocks, started {}",
                plural(result.samples.pairs, "pair"),
                nanos(result.block_ns as f64),
                result.started
            ),
        ),
        ("tool", format!("narrows {}", result.tool)),
    ];
    html.raw("<dl class=\"facts\">\n");
    for (name, value) in &facts {
        html.element("dt", &[], name)
            .element("dd", &[], value)
            .raw("\n");
    }
    let command: Vec<String> = result.command.iter().map(|w| quoted(w)).collect();
    html.raw("</dl>\n<p>To measure again:</p>\n<pre tabindex=\"0\"><code>narrows ")
        .text(&command.join(" "))
        .raw("</code></pre>\n");
    Section {
        id: "again",
        title: "Environment, and how to measure again",
        body: html,
    }
}
