use super::{Object, Private, issue_text};
use crate::explain::fixture::{empty, serialised, single};
use narrows_model::explain::result::Explanation;
use proptest::prelude::*;

fn objects(home: &str) -> Vec<Object> {
    let object = |path: String, id: Option<&str>| Object {
        path,
        build_id: id.map(str::to_owned),
    };
    vec![
        object("/usr/lib/libcuda.so.1".into(), Some("0123abcd")),
        object(format!("{home}/build/app"), Some("ff00")),
        object(format!("{home}/lib/libapp.so"), None),
        object("/lib/libc.so.6".into(), Some("cafe")),
    ]
}

#[test]
fn a_lock_of_the_driver() {
    let private = Private::new(["ada", "box7"], Some("/home/ada"));
    insta::assert_snapshot!(issue_text(&serialised(), &objects("/home/ada"), &private));
}

#[test]
fn without_a_verdict_it_is_not_ready() {
    for explanation in [single(), empty()] {
        let text = issue_text(&explanation, &[], &Private::default());
        assert!(text.contains("**Not ready to be sent.**"), "{text}");
    }
    let text = issue_text(&serialised(), &[], &Private::default());
    assert!(!text.contains("Not ready"));
}

/// Puts a private text wherever the measured program's own words stand.
fn soil(explanation: &mut Explanation, dirt: &str) {
    let path = format!("{dirt}/bin/app");
    explanation.command = Some(vec![
        path.clone(),
        format!("--in={dirt}"),
        dirt.into(),
        "{}".into(),
    ]);
    explanation.verdict.sentence += &format!(" In {dirt} and {path}.");
    explanation.verdict.proofs[0].sentence += dirt;
    explanation.verdict.candidates[0].what += dirt;
    for site in explanation
        .verdict
        .site
        .iter_mut()
        .chain(explanation.blame.iter_mut().map(|b| &mut b.site))
    {
        site.object = Some(path.clone());
        site.symbol = Some(format!("f<{dirt}>"));
    }
    for wait in &mut explanation.waits {
        wait.wait.site.object = Some(path.clone());
        wait.wait.owners[0].thread = dirt.into();
    }
    for step in explanation.waterfall.iter_mut().flatten() {
        step.call = Some(dirt.into());
    }
    for call in &mut explanation.calls {
        call.call.name = dirt.into();
    }
    for slope in explanation.causal.iter_mut().flatten() {
        slope.point = path.clone();
    }
    explanation.environment.os = Some(format!("Linux {dirt}"));
    explanation.started = Some(dirt.into());
}

proptest! {
    #[test]
    fn nothing_private_survives(
        user in "zq[a-z0-9]{1,8}",
        host in "zw[a-z0-9-]{1,8}",
        folder in "zy[a-z0-9]{1,8}",
        shape in 0u8..5,
    ) {
        let home = format!("/home/{user}/{folder}");
        let dirt = match shape {
            0 => home.clone(),
            1 => format!("{host}.lan"),
            2 => format!("{user}@{host}:{home}/x"),
            3 => format!("prefix-{user}"),
            _ => format!("..//{folder}/../{user}"),
        };
        let mut explanation = serialised();
        soil(&mut explanation, &dirt);
        let private = Private::new([user.as_str(), host.as_str()], Some(&home));
        let text = issue_text(&explanation, &objects(&home), &private);
        for name in [&user, &host, &folder] {
            prop_assert!(!text.contains(name.as_str()), "{} in {}", name, text);
        }
        prop_assert!(!text.contains("/home/"), "{}", text);
    }
}

#[test]
fn markup_of_others_is_no_markup() {
    let mut explanation = serialised();
    soil(&mut explanation, "<img src=x>|`code`*b*");
    let text = issue_text(&explanation, &[], &Private::default());
    // Fences and code spans are taken literally; no backtick of others is left unescaped.
    let prose = text.split("```").step_by(2).collect::<String>();
    for line in prose.replace("\\`", "").lines() {
        let outside: String = line.split('`').step_by(2).collect();
        assert!(!outside.contains('<'), "{line}");
    }
    for line in text.lines().filter(|l| l.starts_with("| driver")) {
        assert_eq!(line.matches(" | ").count(), 5, "{line}");
    }
}
