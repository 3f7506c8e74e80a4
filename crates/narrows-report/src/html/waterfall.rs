//! The waterfall as bars: each begins where the one before ended, from c at the smallest N to c at
//! the largest.

use super::Section;
use super::markup::Html;
use crate::explain::{Row, decimals, rows, sum_keeping, unit};
use crate::words::{percent, place};
use narrows_model::explain::result::Explanation;
use narrows_model::words::{nanos, plural};

pub(super) fn section(explanation: &Explanation) -> Option<Section> {
    let steps = explanation.waterfall.as_ref()?;
    let (base, cost) = (explanation.base_ns_per_op?, explanation.cost_ns_per_op?);
    let threads = |last: bool| {
        let mut points = explanation.points.iter();
        let point = if last {
            points.next_back()
        } else {
            points.next()
        };
        point.map_or("no thread".into(), |p| plural(p.point.threads, "thread"))
    };
    let mut html = Html::default();
    html.raw("<p>Time of all threads per op, ")
        .text(&format!(
            "{} at {} and {} at {}. ",
            nanos(base),
            threads(false),
            nanos(cost),
            threads(true)
        ))
        .raw(
            "Each bar is what one kind of time adds; together they are the whole difference.</p>\n",
        );
    let rows = rows(steps);
    let most = peak(base, &rows).max(cost);
    let (divisor, name, digits) = unit(cost.max(base));
    let quantum = divisor / 10f64.powi(digits as i32);
    let added: Vec<f64> = rows.iter().map(|r| r.added_ns).collect();
    let whole = sum_keeping(&added, quantum);
    let shown = |n: i64| format!("{} {name}", decimals(n, quantum, divisor, digits));
    html.open(
        "div",
        &[
            ("class", "waterfall"),
            ("role", "table"),
            ("aria-label", "Waterfall"),
        ],
    );
    bar(
        &mut html,
        &Bar {
            layer: None,
            label: threads(false),
            detail: String::new(),
            from: 0.0,
            to: base / most,
            value: nanos(base),
            share: String::new(),
        },
    );
    let mut at = base;
    let loss: f64 = added.iter().sum();
    for (row, whole) in rows.iter().zip(&whole) {
        let next = at + row.added_ns;
        let share = if loss > 0.0 {
            percent(row.added_ns / loss)
        } else {
            String::new()
        };
        let sign = if *whole < 0 { "" } else { "+" };
        let (label, detail) = named(row);
        bar(
            &mut html,
            &Bar {
                layer: Some(row.step.map_or("rest", |s| s.term.layer.name())),
                label,
                detail,
                from: at.min(next) / most,
                to: at.max(next) / most,
                value: format!("{sign}{}", shown(*whole)),
                share,
            },
        );
        at = next;
    }
    bar(
        &mut html,
        &Bar {
            layer: None,
            label: threads(true),
            detail: String::new(),
            from: 0.0,
            to: cost / most,
            value: nanos(cost),
            share: String::new(),
        },
    );
    html.raw("</div>\n");
    Some(Section {
        id: "waterfall",
        title: "Where the time goes",
        body: html,
    })
}

/// Highest point on the way.
fn peak(base: f64, rows: &[Row<'_>]) -> f64 {
    let mut at = base;
    rows.iter().fold(base, |most, row| {
        at += row.added_ns;
        most.max(at)
    })
}

fn named(row: &Row<'_>) -> (String, String) {
    match row.step {
        Some(step) => (
            format!("{}: {}", step.term.layer, step.class.words()),
            place(step.class, step.term.site.as_ref(), step.call.as_deref()),
        ),
        None => (format!("{} more", row.steps), "smaller ones".into()),
    }
}

struct Bar {
    layer: Option<&'static str>,
    label: String,
    detail: String,
    from: f64,
    to: f64,
    value: String,
    share: String,
}

fn bar(html: &mut Html, bar: &Bar) {
    let class = match bar.layer {
        Some(layer) => format!("bar l-{layer}"),
        None => "bar total".into(),
    };
    let width = ((bar.to - bar.from) * 100.0).max(0.15);
    let style = format!("left:{:.2}%;width:{width:.2}%", bar.from * 100.0);
    html.raw("<div class=\"step\" role=\"row\"><div class=\"name\" role=\"rowheader\"><b>")
        .text(&bar.label)
        .raw("</b> <span>")
        .text(&bar.detail)
        .raw("</span></div><div class=\"track\" role=\"presentation\">")
        .open("div", &[("class", &class), ("style", &style)])
        .raw("</div></div><div class=\"value\" role=\"cell\">")
        .text(&bar.value)
        .raw("</div><div class=\"share\" role=\"cell\">")
        .text(&bar.share)
        .raw("</div></div>\n");
}
