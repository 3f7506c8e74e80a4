//! The scaling chart: speedup over threads, intervals, the ideal line. Plain SVG.

use super::markup::Html;
use narrows_model::result::Interval;
use narrows_model::words::significant;

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 44.0;

/// Colours of curves; the style sheet has as many.
pub(super) const COLOURS: usize = 8;

/// One measured point.
pub(super) struct Spot {
    pub(super) n: f64,
    pub(super) speedup: f64,
    pub(super) ci: Option<Interval>,
}

/// One curve.
pub(super) struct Curve {
    pub(super) name: String,
    pub(super) spots: Vec<Spot>,
}

/// From numbers to places.
struct Scale {
    n: f64,
    speedup: f64,
}

impl Scale {
    fn x(&self, n: f64) -> f64 {
        LEFT + n / self.n * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, speedup: f64) -> f64 {
        HEIGHT - BOTTOM - speedup.min(self.speedup) / self.speedup * (HEIGHT - TOP - BOTTOM)
    }
}

pub(super) fn at(value: f64) -> String {
    format!("{value:.1}")
}

/// Draws `curves`; nothing without two different numbers of threads.
pub(super) fn chart(html: &mut Html, curves: &[Curve], what: &str) -> bool {
    let spots = || curves.iter().flat_map(|c| &c.spots);
    let most = spots().map(|s| s.n).fold(0.0, f64::max);
    let least = spots().map(|s| s.n).fold(f64::INFINITY, f64::min);
    if most <= least {
        return false;
    }
    let top = spots()
        .flat_map(|s| [Some(s.speedup), s.ci.map(|ci| ci.high)])
        .flatten()
        .fold(1.0, f64::max);
    // The ideal line shows where it can; a flat curve must still be readable.
    let scale = Scale {
        n: most,
        speedup: (top * 1.1).max(most.min(top * 2.0)),
    };
    let summary = format!("Speedup over {what}, measured curves against the ideal line");
    html.open(
        "svg",
        &[
            ("viewBox", &format!("0 0 {WIDTH} {HEIGHT}")),
            ("class", "scaling"),
            ("role", "img"),
            ("aria-label", &summary),
        ],
    );
    axes(html, &scale, curves, what);
    let reach = scale.n.min(scale.speedup);
    line(
        html,
        "ideal",
        [scale.x(0.0), scale.y(0.0), scale.x(reach), scale.y(reach)],
    );
    for (i, curve) in curves.iter().enumerate() {
        draw(html, &scale, curve, i % COLOURS);
    }
    html.raw("</svg>\n");
    true
}

pub(super) fn line(html: &mut Html, class: &str, [x1, y1, x2, y2]: [f64; 4]) {
    html.open(
        "line",
        &[
            ("class", class),
            ("x1", &at(x1)),
            ("y1", &at(y1)),
            ("x2", &at(x2)),
            ("y2", &at(y2)),
        ],
    )
    .close("line");
}

fn axes(html: &mut Html, scale: &Scale, curves: &[Curve], what: &str) {
    let step = nice_step(scale.speedup / 5.0);
    let mut value = 0.0;
    while value <= scale.speedup {
        let y = scale.y(value);
        line(html, "grid", [LEFT, y, WIDTH - RIGHT, y]);
        let place = [("class", "y"), ("x", &at(LEFT - 6.0)), ("y", &at(y + 4.0))];
        html.element("text", &place, &format!("{}x", plain(value)));
        value += step;
    }
    let mut ns: Vec<f64> = curves.iter().flat_map(|c| &c.spots).map(|s| s.n).collect();
    ns.sort_by(f64::total_cmp);
    ns.dedup();
    let mut last = f64::NEG_INFINITY;
    for n in ns {
        let x = scale.x(n);
        if x - last < 22.0 {
            continue;
        }
        last = x;
        let place = [
            ("class", "x"),
            ("x", &at(x)),
            ("y", &at(HEIGHT - BOTTOM + 18.0)),
        ];
        html.element("text", &place, &plain(n));
    }
    let middle = at((LEFT + WIDTH - RIGHT) / 2.0);
    let place = [("class", "x"), ("x", &middle), ("y", &at(HEIGHT - 6.0))];
    html.element("text", &place, what);
}

fn draw(html: &mut Html, scale: &Scale, curve: &Curve, colour: usize) {
    let class = format!("curve c{colour}");
    html.open("g", &[("class", &class)])
        .element("title", &[], &curve.name);
    let path: Vec<String> = curve
        .spots
        .iter()
        .map(|s| format!("{},{}", at(scale.x(s.n)), at(scale.y(s.speedup))))
        .collect();
    html.open("polyline", &[("points", &path.join(" "))])
        .close("polyline");
    for spot in &curve.spots {
        let x = scale.x(spot.n);
        if let Some(ci) = spot.ci {
            let (low, high) = (scale.y(ci.low), scale.y(ci.high));
            line(html, "ci", [x, low, x, high]);
            for y in [low, high] {
                line(html, "ci", [x - 4.0, y, x + 4.0, y]);
            }
        }
        let place = [
            ("cx", &*at(x)),
            ("cy", &*at(scale.y(spot.speedup))),
            ("r", "4"),
        ];
        html.open("circle", &place)
            .element("title", &[], &words(curve, spot))
            .close("circle");
    }
    html.close("g");
}

fn words(curve: &Curve, spot: &Spot) -> String {
    let ci = crate::words::interval(spot.ci, significant);
    format!(
        "{}, {}: {}x {ci}",
        curve.name,
        plain(spot.n),
        significant(spot.speedup)
    )
}

/// `4`, `0.5`.
fn plain(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// 1, 2 or 5 times a power of ten, not below `raw`.
fn nice_step(raw: f64) -> f64 {
    let power = 10f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|f| f * power >= raw);
    factor.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::nice_step;

    #[test]
    fn steps_are_round() {
        let steps = [0.03, 0.2, 0.21, 1.0, 1.7, 7.2].map(nice_step);
        let expected = [0.05, 0.2, 0.5, 1.0, 2.0, 10.0];
        for (step, wanted) in steps.into_iter().zip(expected) {
            assert!((step / wanted - 1.0).abs() < 1e-9, "{step} {wanted}");
        }
    }
}
