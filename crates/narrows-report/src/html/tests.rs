use super::explain_html;
use crate::explain::fixture::{empty, serialised, single};
use narrows_model::explain::term::{Class, Term};
use narrows_model::explain::timeline::{Bin, Exact, Lane, LaneKind, Share, Timeline};
use narrows_model::layers::Layer;

const HOSTILE: &str = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&";

/// A page-filling timeline: the most lanes, bins and exact states that the model gives.
fn timeline() -> Timeline {
    let bin = |i: usize| Bin {
        first: Some(Share {
            term: (i % 180) as u16,
            part: 0.6,
        }),
        second: Some(Share {
            term: (i * 7 % 180) as u16,
            part: 0.3,
        }),
    };
    let lane = |n: u32| Lane {
        name: format!("worker {n}"),
        pid: 77,
        kind: LaneKind::Ops,
        levels: [128, 512, 2048].map(|n| (0..n).map(bin).collect()).into(),
        exact: (0..560)
            .map(|i| Exact {
                start_ns: 1_000_000_000 + i * 1000,
                length_ns: 900,
                term: (i % 180) as u16,
                owner: Some(format!("worker {}", i % 32)),
            })
            .collect(),
    };
    Timeline {
        length_ns: 2048 << 20,
        window: Some((1 << 28, 1 << 30)),
        terms: (0..180)
            .map(|i| {
                let mut term = Term::bare(Layer::Driver, Class::Lock);
                term.site.symbol = Some(format!("a_function_with_a_long_name_{i}"));
                term.site.object = Some("libsomething_of_a_driver.so.1".into());
                term
            })
            .collect(),
        bin_ns: vec![16 << 20, 4 << 20, 1 << 20],
        lanes: (0..32).map(lane).collect(),
        left_out: 5,
        exact: Some((1_000_000_000, 1_000_560_000)),
    }
}

#[test]
fn no_text_of_others_becomes_markup() {
    let mut explanation = serialised();
    explanation.command = Some(vec![HOSTILE.into()]);
    explanation.verdict.sentence = HOSTILE.into();
    explanation.verdict.limits = HOSTILE.into();
    explanation.verdict.proofs[0].sentence = HOSTILE.into();
    explanation.verdict.candidates[0].what = HOSTILE.into();
    explanation.environment.cpu = Some(HOSTILE.into());
    explanation.environment.os = Some(HOSTILE.into());
    explanation.started = Some(HOSTILE.into());
    explanation.tool = HOSTILE.into();
    explanation.workers[0].name = HOSTILE.into();
    for call in &mut explanation.calls {
        call.call.name = HOSTILE.into();
        call.kind = HOSTILE.into();
    }
    for wait in &mut explanation.waits {
        wait.wait.kind = HOSTILE.into();
        wait.wait.site.object = Some(HOSTILE.into());
        wait.wait.site.symbol = Some(HOSTILE.into());
        wait.wait.site.lock = Some(HOSTILE.into());
        wait.inside = Some(HOSTILE.into());
        wait.wait.owners[0].thread = HOSTILE.into();
        wait.wait.owners[0].call = Some(HOSTILE.into());
    }
    for blamed in &mut explanation.blame {
        blamed.site.symbol = Some(HOSTILE.into());
        blamed.owners[0].thread = HOSTILE.into();
    }
    for step in explanation.waterfall.iter_mut().flatten() {
        step.call = Some(HOSTILE.into());
    }
    for row in &mut explanation.partitions {
        row.call = Some(HOSTILE.into());
    }
    for slope in explanation.causal.iter_mut().flatten() {
        slope.point = HOSTILE.into();
    }
    for item in &mut explanation.advice {
        item.what = HOSTILE.into();
        item.try_with = Some(HOSTILE.into());
    }
    explanation.damage = vec![HOSTILE.into()];
    if let Some(coverage) = &mut explanation.coverage {
        coverage.unseen = vec![HOSTILE.into()];
        coverage.hooked = [(HOSTILE.into(), 1)].into();
    }
    if let Some(lost) = &mut explanation.lost {
        lost.reasons = vec![HOSTILE.into()];
    }
    let mut timeline = timeline();
    timeline.lanes[0].name = HOSTILE.into();
    timeline.lanes[0].exact[0].owner = Some(HOSTILE.into());
    timeline.terms[0].call = Some(HOSTILE.into());
    let hostile = explain_html(&explanation, Some(&timeline)).unwrap();
    let plain = explain_html(&serialised(), Some(&self::timeline())).unwrap();
    for mark in ["<script", "</script", "<img", "onerror=alert(2)>"] {
        let count = |page: &str| page.matches(mark).count();
        assert_eq!(count(&hostile), count(&plain), "{mark}");
    }
    assert!(
        hostile.matches("&lt;img src=x").count() >= 20,
        "it is shown as text"
    );
}

#[test]
fn the_fullest_page_stays_below_two_megabytes() {
    let mut explanation = serialised();
    explanation.calls = vec![explanation.calls[0].clone(); 1000];
    explanation.waits = vec![explanation.waits[0].clone(); 1000];
    let html = explain_html(&explanation, Some(&timeline())).unwrap();
    assert!(html.len() < 2_000_000, "{}", html.len());
    assert!(html.contains("800 more rows"));
}

#[test]
fn nothing_is_requested() {
    let html = explain_html(&serialised(), Some(&timeline())).unwrap();
    for scheme in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!html.contains(scheme), "{scheme}");
    }
    assert!(html.contains("default-src &#39;none&#39;"));
}

#[test]
fn every_explanation_has_a_page() {
    for explanation in [serialised(), single(), empty()] {
        let html = explain_html(&explanation, None).unwrap();
        assert!(html.starts_with("<!doctype html>") && html.ends_with("</html>\n"));
        for tag in [
            "section", "table", "div", "ul", "dl", "details", "svg", "td",
        ] {
            let opened = html.matches(&format!("<{tag}>")).count()
                + html.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
        }
        assert!(
            !html.contains("timeline-figure\">"),
            "no frame without data"
        );
        for id in html
            .split("href=\"#")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
        {
            assert!(html.contains(&format!("id=\"{id}\"")), "{id}");
        }
    }
}

#[test]
fn the_answer_is_the_heading() {
    let html = explain_html(&serialised(), None).unwrap();
    let sentence = serialised().verdict.sentence;
    assert!(html.contains(&format!("<h1>{sentence}</h1>")));
    assert!(html.contains("not measured here") && html.contains("measured here: batch 8"));
}
