//! Planted profiles: what each kind of program must be called, and what must not be claimed.

use super::*;
use crate::explain::causal::{CausalBlock, CausalPair, slope};
use crate::explain::profile::{Blame, Ready};
use crate::explain::scaling::points;
use crate::result::Site;

const US: u64 = 1000;

fn term(layer: Layer, class: Class, object: &str) -> Term {
    let site = Site {
        object: Some(object.into()),
        offset: Some(0x40),
        ..Site::default()
    };
    Term {
        layer,
        class,
        site,
        call: None,
    }
}

/// A run of `n` threads in which an op costs 100 us of running and, in us, `parts`.
fn run(n: u32, repeat: u32, parts: &[(Term, u64)]) -> Profile {
    let per_op: u64 = (100 + parts.iter().map(|(_, us)| us).sum::<u64>()) * US;
    let ops = 10_000;
    let mut profile = Profile {
        n: Some(n),
        repeat,
        op_threads: n,
        op_processes: 1,
        ops,
        window_ns: per_op * ops / u64::from(n),
        cores: Some(16),
        cores_used: Some(1.0),
        ..Profile::default()
    };
    profile
        .terms
        .insert(Term::bare(Layer::App, Class::Running), 100 * US * ops);
    for (term, us) in parts {
        profile.terms.insert(term.clone(), us * US * ops);
    }
    profile
}

fn repeats(n: u32, parts: &[(Term, u64)]) -> Vec<Profile> {
    (0..3).map(|repeat| run(n, repeat, parts)).collect()
}

fn judge(profiles: &[Profile], slopes: &[Slope]) -> Verdict {
    let points = points(profiles);
    verdict(&Evidence {
        profiles,
        points: &points,
        slopes,
    })
}

fn planted_slope(term: &Term, value: f64) -> Slope {
    let free = CausalBlock {
        wall_ns: 100_000_000,
        ops: 1000,
        hits: 0,
        spent_ns: 0,
    };
    let pairs: Vec<CausalPair> = (0..30)
        .map(|i| {
            let delay_ns = [10_000, 20_000, 40_000][i % 3];
            let wall = 100_000_000.0 + value * delay_ns as f64 * 1000.0;
            let delayed = CausalBlock {
                wall_ns: wall as u64,
                ops: 1000,
                hits: 1000,
                spent_ns: delay_ns * 1000,
            };
            CausalPair {
                delay_ns,
                delayed,
                free,
            }
        })
        .collect();
    slope(term, "planted", 8, &pairs).unwrap()
}

fn gil() -> Term {
    let site = Site {
        object: Some("libpython3.12.so.1.0".into()),
        symbol: Some("take_gil".into()),
        offset: Some(7),
        lock: Some(crate::explain::GIL.into()),
    };
    Term {
        layer: Layer::Interpreter,
        class: Class::Lock,
        site,
        call: None,
    }
}

fn with_gil() -> Vec<Profile> {
    let mut profiles = repeats(1, &[]);
    let driver = term(Layer::Driver, Class::Lock, "libcuda.so.1");
    profiles.extend(repeats(8, &[(gil(), 1500), (driver, 100)]));
    for profile in profiles.iter_mut().filter(|p| p.n == Some(8)) {
        let rows = vec![
            Blame {
                owner: Some("a".into()),
                call: Some("cudaLaunchKernel".into()),
                ns: 62,
            },
            Blame {
                owner: Some("b".into()),
                call: None,
                ns: 38,
            },
        ];
        profile.blame.insert(gil(), rows);
    }
    profiles
}

#[test]
fn a_lock_with_waits_and_slope_is_serialised() {
    let verdict = judge(&with_gil(), &[planted_slope(&gil(), 0.95)]);
    assert_eq!(verdict.kind, VerdictKind::Serialised);
    assert_eq!(verdict.layer, Some(Layer::Interpreter));
    assert_eq!(verdict.proofs.len(), 2);
    for words in [
        "8 threads run",
        "Python's GIL",
        "take_gil",
        "held 62.0 %",
        "cudaLaunchKernel",
    ] {
        assert!(
            verdict.sentence.contains(words),
            "{words}: {}",
            verdict.sentence
        );
    }
}

#[test]
fn one_proof_is_ambiguous_and_says_how_to_get_the_other() {
    let verdict = judge(&with_gil(), &[]);
    assert_eq!(verdict.kind, VerdictKind::Ambiguous);
    assert_eq!(verdict.layer, None);
    assert_eq!(verdict.candidates[0].layer, Some(Layer::Interpreter));
    assert!(
        verdict.sentence.contains("--causal"),
        "{}",
        verdict.sentence
    );
}

#[test]
fn a_slope_that_says_otherwise_wins_over_waits() {
    let verdict = judge(&with_gil(), &[planted_slope(&gil(), 0.0)]);
    assert_eq!(verdict.kind, VerdictKind::Ambiguous);
    assert!(
        verdict.sentence.contains("says otherwise"),
        "{}",
        verdict.sentence
    );
}

#[test]
fn two_equal_locks_are_both_named_unless_a_slope_tells_them_apart() {
    let one = term(Layer::Framework, Class::Lock, "libframework.so");
    let two = term(Layer::Driver, Class::Lock, "libdriver.so");
    let mut profiles = repeats(1, &[]);
    profiles.extend(repeats(8, &[(one.clone(), 700), (two.clone(), 600)]));
    let verdict = judge(&profiles, &[]);
    assert_eq!(verdict.kind, VerdictKind::Ambiguous);
    let layers: Vec<_> = verdict.candidates.iter().filter_map(|c| c.layer).collect();
    assert!(layers.contains(&Layer::Framework) && layers.contains(&Layer::Driver));
    let slopes = [planted_slope(&one, 0.0), planted_slope(&two, 1.0)];
    // The larger wait sits where a delay is hidden: it queues for the other.
    assert_eq!(judge(&profiles, &slopes).layer, None);
    let slopes = [planted_slope(&one, 1.0), planted_slope(&two, 0.0)];
    let verdict = judge(&profiles, &slopes);
    assert_eq!(
        (verdict.kind, verdict.layer),
        (VerdictKind::Serialised, Some(Layer::Framework))
    );
}

#[test]
fn a_lock_that_spins_before_it_sleeps_is_one_layer() {
    let lock = term(Layer::Driver, Class::Lock, "libcuda.so.1");
    let spin = Term {
        call: Some("cuLaunchKernel".into()),
        ..Term::bare(Layer::Driver, Class::Running)
    };
    let device = Term {
        call: Some("cuStreamSynchronize".into()),
        ..Term::bare(Layer::Gpu, Class::Completion)
    };
    let mut profiles = repeats(1, &[]);
    profiles.extend(repeats(
        8,
        &[(lock.clone(), 420), (spin, 370), (device, 210)],
    ));
    assert_eq!(judge(&profiles, &[]).kind, VerdictKind::Ambiguous);
    assert_eq!(
        judge(&profiles, &[planted_slope(&lock, 0.1)]).kind,
        VerdictKind::Ambiguous
    );
    let verdict = judge(&profiles, &[planted_slope(&lock, 1.0)]);
    assert_eq!(
        (verdict.kind, verdict.layer),
        (VerdictKind::Serialised, Some(Layer::Driver))
    );
    assert!(verdict.share.unwrap() > 0.75, "{verdict:?}");
}

#[test]
fn a_lock_whose_caller_is_not_known_has_no_layer() {
    let lock = term(Layer::Unseen, Class::Lock, "libc.so.6");
    let mut profiles = repeats(1, &[]);
    profiles.extend(repeats(8, &[(lock.clone(), 900)]));
    let verdict = judge(&profiles, &[planted_slope(&lock, 1.0)]);
    assert_eq!(
        (verdict.kind, verdict.layer),
        (VerdictKind::Ambiguous, None)
    );
    assert!(
        verdict.sentence.contains("passes calls on"),
        "{}",
        verdict.sentence
    );
}

#[test]
fn a_spin_lock_needs_the_slope() {
    let spin = Term {
        call: Some("cuLaunchKernel".into()),
        ..Term::bare(Layer::Driver, Class::Running)
    };
    let mut profiles = repeats(1, &[(spin.clone(), 5)]);
    profiles.extend(repeats(8, &[(spin.clone(), 700)]));
    assert_eq!(judge(&profiles, &[]).kind, VerdictKind::Ambiguous);
    // A delay in the call is met before the lock, and absorbed in the spinning; inside the lock
    // it would be serial. Both are the same stage.
    for slope in [0.0, 1.0] {
        let verdict = judge(&profiles, &[planted_slope(&spin, slope)]);
        let found = (verdict.kind, verdict.layer);
        assert_eq!(
            found,
            (VerdictKind::Serialised, Some(Layer::Driver)),
            "{slope}"
        );
    }
    let parallel = judge(&profiles, &[planted_slope(&spin, 0.125)]);
    assert_eq!(parallel.kind, VerdictKind::Ambiguous);
}

#[test]
fn a_busy_worker_is_followed_through() {
    let wait = term(Layer::Framework, Class::Completion, "libframework.so");
    let idle = term(Layer::Library, Class::Other, "liblibrary.so");
    let mut profiles = repeats(1, &[(wait.clone(), 50)]);
    profiles.extend(repeats(8, &[(wait, 900)]));
    for busy in [0.99, 0.3] {
        for profile in profiles.iter_mut().filter(|p| p.n == Some(8)) {
            let name = "worker".into();
            let idle_term = Some(idle.clone());
            profile.workers = vec![Worker {
                name,
                busy,
                idle_term,
                waited_for_ns: 9,
            }];
        }
        let verdict = judge(&profiles, &[]);
        let found = (verdict.kind, verdict.layer);
        match busy > 0.9 {
            true => assert_eq!(found, (VerdictKind::Serialised, Some(Layer::Library))),
            false => assert_eq!(found, (VerdictKind::Ambiguous, None)),
        }
    }
}

#[test]
fn waiting_to_submit_behind_a_full_device_is_back_pressure() {
    let wait = term(Layer::Driver, Class::Submission, "libdriver.so");
    let mut profiles = repeats(1, &[]);
    profiles.extend(repeats(8, &[(wait, 700)]));
    assert_eq!(judge(&profiles, &[]).kind, VerdictKind::Ambiguous);
    for profile in profiles.iter_mut().filter(|p| p.n == Some(8)) {
        let name = "engine".into();
        profile.workers = vec![Worker {
            name,
            busy: 0.99,
            idle_term: None,
            waited_for_ns: 9,
        }];
    }
    assert_eq!(judge(&profiles, &[]).kind, VerdictKind::BackPressure);
}

#[test]
fn a_full_device_is_a_right_answer() {
    let wait = term(Layer::Gpu, Class::Completion, "libdriver.so");
    let mut profiles = repeats(1, &[(wait.clone(), 100)]);
    profiles.extend(repeats(8, &[(wait, 900)]));
    profiles.iter_mut().for_each(|p| p.gpu_busy = Some(0.97));
    assert_eq!(judge(&profiles, &[]).kind, VerdictKind::GpuSaturated);
}

#[test]
fn too_few_cores_are_no_lock() {
    let ready = Term::bare(Layer::Scheduler, Class::Scheduler);
    let mut profiles = repeats(1, &[]);
    profiles.extend(repeats(8, &[(ready, 300)]));
    for profile in &mut profiles {
        profile.cores = Some(2);
        profile.cores_used = Some(if profile.n == Some(8) { 1.95 } else { 1.0 });
    }
    assert_eq!(judge(&profiles, &[]).kind, VerdictKind::CpuLimited);
}

#[test]
fn nothing_planted_scales() {
    let mut profiles = repeats(1, &[]);
    profiles.extend(repeats(8, &[(Term::bare(Layer::Unseen, Class::Unseen), 3)]));
    let verdict = judge(&profiles, &[]);
    assert_eq!((verdict.kind, verdict.layer), (VerdictKind::Scales, None));
}

#[test]
fn a_noisy_machine_gets_no_verdict() {
    let lock = term(Layer::Driver, Class::Lock, "libdriver.so");
    // The single thread itself waits for cores.
    let ready = (Term::bare(Layer::Scheduler, Class::Scheduler), 40);
    let mut profiles = repeats(1, std::slice::from_ref(&ready));
    profiles.extend(repeats(8, &[(lock.clone(), 900), ready]));
    assert_eq!(judge(&profiles, &[]).kind, VerdictKind::TooNoisy);
    // It does so only when it wakes up, inside its waits.
    let quiet = || {
        let mut profiles = repeats(1, &[]);
        profiles.extend(repeats(8, &[(lock.clone(), 900)]));
        profiles
    };
    let ready = |profile: &mut Profile, turn_ns: u64| {
        let times = profile.window_ns / 4 / turn_ns;
        profile.ready = Some(Ready {
            ns: times * turn_ns,
            times,
        });
    };
    let mut profiles = quiet();
    profiles[..2].iter_mut().for_each(|p| ready(p, 400_000));
    let verdict = judge(&profiles, &[]);
    assert_eq!(verdict.kind, VerdictKind::TooNoisy);
    assert!(verdict.sentence.contains("25.0 %"), "{}", verdict.sentence);
    // Once in three repeats says little.
    let mut profiles = quiet();
    ready(&mut profiles[0], 400_000);
    assert_ne!(judge(&profiles, &[]).kind, VerdictKind::TooNoisy);
    // Waking up on an idle core is no other program.
    let mut profiles = quiet();
    profiles[..3].iter_mut().for_each(|p| ready(p, 4_000));
    assert_ne!(judge(&profiles, &[]).kind, VerdictKind::TooNoisy);
    // Its repeats differ by far.
    let mut profiles = repeats(1, &[]);
    profiles[1].ops /= 2;
    profiles.extend(repeats(8, &[(lock, 900)]));
    assert_eq!(judge(&profiles, &[]).kind, VerdictKind::TooNoisy);
}

#[test]
fn one_number_of_threads_has_no_baseline() {
    let lock = term(Layer::Driver, Class::Lock, "libdriver.so");
    let verdict = judge(
        &[Profile {
            n: None,
            ..run(8, 0, &[(lock, 900)])
        }],
        &[],
    );
    assert_eq!(verdict.kind, VerdictKind::Ambiguous);
    assert!(
        verdict.sentence.contains("baseline is missing"),
        "{}",
        verdict.sentence
    );
    assert_eq!(verdict.candidates[0].layer, Some(Layer::Driver));
    let nothing = judge(&[Profile::default()], &[]);
    assert!(
        nothing.sentence.contains("No op was seen"),
        "{}",
        nothing.sentence
    );
}
