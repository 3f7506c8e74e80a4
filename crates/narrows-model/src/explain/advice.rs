//! What to try: remedies by layer, kind of time and interface. They are suggestions from other
//! machines until they are measured on this one, and each says so.

use super::cause::Cause;
use super::profile::QueueUse::{self, Mixed, Own, Shared};
use super::term::Class;
use crate::layers::Layer;
use crate::result::{Verdict, VerdictKind};
use crate::trace::TraceCall;
use serde::{Deserialize, Serialize};

/// Something to try.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// What to do.
    pub what: String,
    /// Why it may help.
    pub why: String,
    /// How to find out here; `None`: there is no command for it.
    pub try_with: Option<String>,
    /// Gain measured on this machine and device; `None`: not measured here.
    pub measured: Option<String>,
}

/// When a remedy fits.
struct Remedy {
    layers: &'static [Layer],
    classes: &'static [Class],
    /// Interfaces that must have been called; empty: any.
    apis: &'static [&'static str],
    /// How threads and queues may belong together now (`None`: not known); empty: any.
    queues: &'static [Option<QueueUse>],
    what: &'static str,
    why: &'static str,
    try_with: Option<&'static str>,
}

use Class::{Completion, Lock, Running, Scheduler, Submission};
use Layer::{App, Driver, Framework, Gpu, Interpreter, Library, Runtime};

const ALL_APIS: &[&str] = &[];
const ANY_QUEUES: &[Option<QueueUse>] = &[];

/// In the order in which they are shown.
const REMEDIES: &[Remedy] = &[
    Remedy {
        layers: &[Interpreter],
        classes: &[Lock],
        apis: ALL_APIS,
        queues: ANY_QUEUES,
        what: "a free-threaded Python (3.13t or later)",
        why: "it has no global interpreter lock",
        try_with: None,
    },
    Remedy {
        layers: &[Interpreter],
        classes: &[Lock],
        apis: ALL_APIS,
        queues: ANY_QUEUES,
        what: "processes instead of threads, with the GPU shared by a service where there is one",
        why: "each process has its own interpreter lock; on some drivers processes then share the \
              GPU by time slices, which can be far slower",
        try_with: Some("narrows scan --processes 1,2,4,8"),
    },
    Remedy {
        layers: &[Interpreter],
        classes: &[Lock],
        apis: ALL_APIS,
        queues: ANY_QUEUES,
        what: "fewer, larger ops per Python call (batching, graphs, compiled regions)",
        why: "the lock is taken per call; less Python per unit of GPU work leaves it free",
        try_with: Some("narrows scan --batch 1,8"),
    },
    Remedy {
        layers: &[Driver, Runtime],
        classes: &[Lock, Running],
        apis: &["cuda", "opencl"],
        queues: &[None, Some(Shared), Some(Mixed)],
        what: "one stream or queue per thread",
        why: "submissions to one queue take that queue's lock",
        try_with: Some("narrows scan --queue shared,own"),
    },
    Remedy {
        layers: &[Driver, Runtime],
        classes: &[Lock, Running, Completion],
        apis: &["vulkan", "metal"],
        queues: &[Some(Own)],
        what: "one shared queue for all threads, where each has its own now",
        why: "which one is faster differs by driver, up to twentyfold both ways",
        try_with: Some("narrows scan --queue shared,own"),
    },
    Remedy {
        layers: &[Driver, Runtime],
        classes: &[Lock, Running, Completion],
        apis: &["vulkan", "metal"],
        queues: &[Some(Shared)],
        what: "a queue for each thread, where all share one now",
        why: "which one is faster differs by driver, up to twentyfold both ways",
        try_with: Some("narrows scan --queue shared,own"),
    },
    Remedy {
        layers: &[Driver, Runtime],
        classes: &[Lock, Running, Completion],
        apis: &["vulkan", "metal"],
        queues: &[None, Some(Mixed)],
        what: "the other queue layout: one shared queue where threads had their own, or own queues",
        why: "which one is faster differs by driver, up to twentyfold both ways",
        try_with: Some("narrows scan --queue shared,own"),
    },
    Remedy {
        layers: &[Driver, Runtime, Gpu],
        classes: &[Lock, Completion],
        apis: ALL_APIS,
        queues: ANY_QUEUES,
        what: "waiting for the op's own event or fence, not for the queue or device",
        why: "a wait for the device waits for every thread's work and takes device-wide locks",
        try_with: Some("narrows scan --sync event,queue,device"),
    },
    Remedy {
        layers: &[Driver, Runtime, Framework, Gpu],
        classes: &[Lock, Running, Completion],
        apis: ALL_APIS,
        queues: ANY_QUEUES,
        what: "several ops per submission (batching)",
        why: "locks and wake-ups are paid per submission",
        try_with: Some("narrows scan --batch 1,8"),
    },
    Remedy {
        layers: &[Driver, Runtime, Gpu],
        classes: &[Completion],
        apis: ALL_APIS,
        queues: ANY_QUEUES,
        what: "more submissions in flight per thread (a deeper pipeline)",
        why: "the device works on while the thread prepares the next op",
        try_with: Some("narrows scan --depth 1,8"),
    },
    Remedy {
        layers: &[Driver, Runtime],
        classes: &[Lock, Running],
        apis: &["cuda", "vulkan", "metal"],
        queues: ANY_QUEUES,
        what: "recorded work that is submitted again (graphs, re-used command buffers)",
        why: "one call replaces many, and each call takes the driver's locks",
        try_with: None,
    },
    Remedy {
        layers: &[Driver, Runtime, Library],
        classes: &[Lock],
        apis: &["cuda"],
        queues: ANY_QUEUES,
        what: "CUDA_MODULE_LOADING=EAGER, or a warm-up of every kernel before threads start",
        why: "loading code at first use holds the context's lock",
        try_with: Some("narrows trace --scale 1,8 with the variable set, then narrows compare"),
    },
    Remedy {
        layers: &[Framework, Library, App],
        classes: &[Lock],
        apis: ALL_APIS,
        queues: ANY_QUEUES,
        what: "one context, session or handle per thread instead of a shared one",
        why: "the lock guards what the threads share",
        try_with: None,
    },
    Remedy {
        layers: &[App, Framework],
        classes: &[Lock],
        apis: ALL_APIS,
        queues: ANY_QUEUES,
        what: "another allocator, or memory allocated before the loop",
        why: "an allocator's lock is taken by every thread; it helps only if the site above is one",
        try_with: None,
    },
    Remedy {
        layers: &[Driver, Framework, Runtime, Library, App],
        classes: &[Submission],
        apis: ALL_APIS,
        queues: ANY_QUEUES,
        what: "fewer submissions in flight, or larger ops",
        why: "the queue in front of the device is full: the device sets the pace",
        try_with: Some("narrows scan --depth 1,8 --work busy:50us"),
    },
    Remedy {
        layers: &[App],
        classes: &[Running],
        apis: ALL_APIS,
        queues: ANY_QUEUES,
        what: "data that threads write kept on separate cache lines, and no spinning",
        why: "time that grows with threads outside calls and waits is often shared cache lines or \
              a spin lock; a processor profile tells them apart",
        try_with: None,
    },
    Remedy {
        layers: &[Layer::Scheduler],
        classes: &[Scheduler],
        apis: ALL_APIS,
        queues: ANY_QUEUES,
        what: "fewer threads, or more cores for this process",
        why: "threads are ready and find no core",
        try_with: Some("narrows scan --threads up to the number of cores"),
    },
];

/// Remedies for the main cause; none where nothing is wrong or nothing is known. `queues`: what the
/// program does already.
pub(super) fn advice(
    verdict: &Verdict,
    causes: &[Cause],
    calls: &[TraceCall],
    queues: Option<QueueUse>,
) -> Vec<Advice> {
    let cores = VerdictKind::CpuLimited;
    let chosen: Vec<(Layer, Class)> = match verdict.kind {
        VerdictKind::Scales | VerdictKind::TooNoisy => return Vec::new(),
        VerdictKind::GpuSaturated => return gpu_is_full(),
        kind if kind == cores => vec![(Layer::Scheduler, Scheduler)],
        _ => causes.iter().take(1).map(|c| (c.layer, c.class)).collect(),
    };
    let called = |api: &&str| calls.iter().any(|c| c.api == **api && c.call.count > 0);
    let fits = |r: &&Remedy| {
        chosen
            .iter()
            .any(|(l, c)| r.layers.contains(l) && r.classes.contains(c))
            && (r.apis.is_empty() || r.apis.iter().any(&called))
            && (r.queues.is_empty() || r.queues.contains(&queues))
    };
    REMEDIES.iter().filter(fits).map(Remedy::shown).collect()
}

fn gpu_is_full() -> Vec<Advice> {
    vec![Advice {
        what: "less device time per op (smaller types, fused kernels), or another device".into(),
        why: "the device works all the time; how work is submitted no longer matters".into(),
        try_with: None,
        measured: None,
    }]
}

impl Remedy {
    fn shown(&self) -> Advice {
        Advice {
            what: self.what.into(),
            why: self.why.into(),
            try_with: self.try_with.map(str::to_owned),
            measured: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(layer: Layer, class: Class) -> Cause {
        Cause {
            layer,
            class,
            delta_ns: 1.0,
            share: 1.0,
            steps: Vec::new(),
        }
    }

    fn verdict(kind: VerdictKind) -> Verdict {
        Verdict {
            kind,
            layer: None,
            site: None,
            share: None,
            proofs: Vec::new(),
            candidates: Vec::new(),
            sentence: String::new(),
            limits: String::new(),
        }
    }

    #[test]
    fn every_layer_and_lock_has_a_remedy_and_none_is_called_measured() {
        for layer in [App, Interpreter, Framework, Library, Runtime, Driver] {
            let causes = [cause(layer, Lock)];
            let found = advice(&verdict(VerdictKind::Serialised), &causes, &[], None);
            assert!(!found.is_empty(), "{layer}");
            assert!(found.iter().all(|a| a.measured.is_none()));
        }
    }

    #[test]
    fn advice_follows_the_interface_and_silence_follows_scaling() {
        let causes = [cause(Driver, Lock)];
        let found = advice(&verdict(VerdictKind::Serialised), &causes, &[], None);
        assert!(
            !found.iter().any(|a| a.what.contains("CUDA")),
            "no CUDA call was made"
        );
        assert!(advice(&verdict(VerdictKind::Scales), &causes, &[], None).is_empty());
        let cores = advice(&verdict(VerdictKind::CpuLimited), &causes, &[], None);
        assert!(cores.len() == 1 && cores[0].what.contains("fewer threads"));
    }
    #[test]
    fn what_the_program_does_already_is_not_advised() {
        let causes = [cause(Driver, Lock)];
        let of = |api: &str, queues| {
            let call = serde_json::json!({
                "name": "submits", "layer": "driver", "count": 1, "total_ns": 1, "api": api,
                "kind": "submit", "failed": 0, "untimed": 0,
            });
            let call: TraceCall = serde_json::from_value(call).unwrap();
            let found = advice(&verdict(VerdictKind::Serialised), &causes, &[call], queues);
            let layout = found.into_iter().map(|a| a.what);
            let layout: Vec<String> = layout
                .filter(|w| w.contains("queue ") && w.contains("thread"))
                .collect();
            assert!(layout.len() <= 1, "{layout:?}");
            layout.into_iter().next().unwrap_or_default()
        };
        assert_eq!(of("cuda", Some(Own)), "");
        assert_eq!(of("cuda", Some(Shared)), "one stream or queue per thread");
        assert_eq!(of("cuda", None), "one stream or queue per thread");
        assert!(of("vulkan", Some(Own)).starts_with("one shared queue"));
        assert!(of("vulkan", Some(Shared)).starts_with("a queue for each thread"));
        assert!(of("metal", None).starts_with("the other queue layout"));
    }
}
