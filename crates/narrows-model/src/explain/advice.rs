//! What to try: remedies by layer, kind of time and interface. They are suggestions from other
//! machines until they are measured on this one, and each says so.

use super::cause::Cause;
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
    what: &'static str,
    why: &'static str,
    try_with: Option<&'static str>,
}

use Class::{Completion, Lock, Running, Scheduler, Submission};
use Layer::{App, Driver, Framework, Gpu, Interpreter, Library, Runtime};

const ALL_APIS: &[&str] = &[];

/// In the order in which they are shown.
const REMEDIES: &[Remedy] = &[
    Remedy {
        layers: &[Interpreter],
        classes: &[Lock],
        apis: ALL_APIS,
        what: "a free-threaded Python (3.13t or later)",
        why: "it has no global interpreter lock",
        try_with: None,
    },
    Remedy {
        layers: &[Interpreter],
        classes: &[Lock],
        apis: ALL_APIS,
        what: "processes instead of threads, with the GPU shared by a service where there is one",
        why: "each process has its own interpreter lock; on some drivers processes then share the \
              GPU by time slices, which can be far slower",
        try_with: Some("narrows scan --processes 1,2,4,8"),
    },
    Remedy {
        layers: &[Interpreter],
        classes: &[Lock],
        apis: ALL_APIS,
        what: "fewer, larger ops per Python call (batching, graphs, compiled regions)",
        why: "the lock is taken per call; less Python per unit of GPU work leaves it free",
        try_with: Some("narrows scan --batch 1,8"),
    },
    Remedy {
        layers: &[Driver, Runtime],
        classes: &[Lock, Running],
        apis: &["cuda", "opencl"],
        what: "one stream or queue per thread",
        why: "submissions to one queue take that queue's lock",
        try_with: Some("narrows scan --queue shared,own"),
    },
    Remedy {
        layers: &[Driver, Runtime],
        classes: &[Lock, Running, Completion],
        apis: &["vulkan", "metal"],
        what: "the other queue layout: one shared queue where threads had their own, or own queues",
        why: "which one is faster differs by driver, up to twentyfold both ways",
        try_with: Some("narrows scan --queue shared,own"),
    },
    Remedy {
        layers: &[Driver, Runtime, Gpu],
        classes: &[Lock, Completion],
        apis: ALL_APIS,
        what: "waiting for the op's own event or fence, not for the queue or device",
        why: "a wait for the device waits for every thread's work and takes device-wide locks",
        try_with: Some("narrows scan --sync event,queue,device"),
    },
    Remedy {
        layers: &[Driver, Runtime, Framework, Gpu],
        classes: &[Lock, Running, Completion],
        apis: ALL_APIS,
        what: "several ops per submission (batching)",
        why: "locks and wake-ups are paid per submission",
        try_with: Some("narrows scan --batch 1,8"),
    },
    Remedy {
        layers: &[Driver, Runtime, Gpu],
        classes: &[Completion],
        apis: ALL_APIS,
        what: "more submissions in flight per thread (a deeper pipeline)",
        why: "the device works on while the thread prepares the next op",
        try_with: Some("narrows scan --depth 1,8"),
    },
    Remedy {
        layers: &[Driver, Runtime],
        classes: &[Lock, Running],
        apis: &["cuda", "vulkan", "metal"],
        what: "recorded work that is submitted again (graphs, re-used command buffers)",
        why: "one call replaces many, and each call takes the driver's locks",
        try_with: None,
    },
    Remedy {
        layers: &[Driver, Runtime, Library],
        classes: &[Lock],
        apis: &["cuda"],
        what: "CUDA_MODULE_LOADING=EAGER, or a warm-up of every kernel before threads start",
        why: "loading code at first use holds the context's lock",
        try_with: Some("narrows trace --scale 1,8 with the variable set, then narrows compare"),
    },
    Remedy {
        layers: &[Framework, Library, App],
        classes: &[Lock],
        apis: ALL_APIS,
        what: "one context, session or handle per thread instead of a shared one",
        why: "the lock guards what the threads share",
        try_with: None,
    },
    Remedy {
        layers: &[App, Framework],
        classes: &[Lock],
        apis: ALL_APIS,
        what: "another allocator, or memory allocated before the loop",
        why: "an allocator's lock is taken by every thread; it helps only if the site above is one",
        try_with: None,
    },
    Remedy {
        layers: &[Driver, Framework, Runtime, Library, App],
        classes: &[Submission],
        apis: ALL_APIS,
        what: "fewer submissions in flight, or larger ops",
        why: "the queue in front of the device is full: the device sets the pace",
        try_with: Some("narrows scan --depth 1,8 --work busy:50us"),
    },
    Remedy {
        layers: &[App],
        classes: &[Running],
        apis: ALL_APIS,
        what: "data that threads write kept on separate cache lines, and no spinning",
        why: "time that grows with threads outside calls and waits is often shared cache lines or \
              a spin lock; a processor profile tells them apart",
        try_with: None,
    },
    Remedy {
        layers: &[Layer::Scheduler],
        classes: &[Scheduler],
        apis: ALL_APIS,
        what: "fewer threads, or more cores for this process",
        why: "threads are ready and find no core",
        try_with: Some("narrows scan --threads up to the number of cores"),
    },
];

/// Remedies for the main cause; none where nothing is wrong or nothing is known.
pub(super) fn advice(verdict: &Verdict, causes: &[Cause], calls: &[TraceCall]) -> Vec<Advice> {
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
            let found = advice(&verdict(VerdictKind::Serialised), &causes, &[]);
            assert!(!found.is_empty(), "{layer}");
            assert!(found.iter().all(|a| a.measured.is_none()));
        }
    }

    #[test]
    fn advice_follows_the_interface_and_silence_follows_scaling() {
        let causes = [cause(Driver, Lock)];
        let found = advice(&verdict(VerdictKind::Serialised), &causes, &[]);
        assert!(
            !found.iter().any(|a| a.what.contains("CUDA")),
            "no CUDA call was made"
        );
        assert!(advice(&verdict(VerdictKind::Scales), &causes, &[]).is_empty());
        let cores = advice(&verdict(VerdictKind::CpuLimited), &causes, &[]);
        assert!(cores.len() == 1 && cores[0].what.contains("fewer threads"));
    }
}
