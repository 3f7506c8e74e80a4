//! The Vulkan layer, on Mesa's software driver.

use crate::support::{Bench, LAVAPIPE, assert_same_counts, ltrace};
use std::path::Path;

/// Called by the host, on purpose not recorded.
const LEFT_OUT: &[&str] = &[
    "vkEnumeratePhysicalDevices",
    "vkGetBufferMemoryRequirements",
    "vkGetPhysicalDeviceMemoryProperties",
    "vkCmdFillBuffer",
    "vkCmdPipelineBarrier",
];

fn needs_lavapipe() {
    assert!(Path::new(LAVAPIPE).exists(), "install mesa-vulkan-drivers");
}

#[test]
fn counts_equal_the_programs_own() {
    needs_lavapipe();
    let bench = Bench::new();
    let host = bench.cc("hosts/gpu/vulkan.c", "vulkan", &["-lvulkan"]);
    for threads in ["1", "2", "4"] {
        let seen = bench.both(&host, &[threads, "25"], str::to_owned);
        assert_same_counts(&seen.counts("vk"), &seen.printed("vk"), LEFT_OUT);
        assert_eq!(seen.note("vulkan.layer"), Some("loaded"));
        let queues = seen.objects("vkQueueSubmit");
        assert_eq!(queues.len(), 1, "one queue: {queues:?}");
        let fences = seen.objects("vkWaitForFences");
        assert_eq!(
            fences.len().to_string(),
            threads,
            "a fence per thread: {fences:?}"
        );
    }
}

#[test]
fn a_failed_call_is_recorded_as_failed() {
    needs_lavapipe();
    let bench = Bench::new();
    let host = bench.cc("hosts/gpu/vulkan.c", "vulkan", &["-lvulkan"]);
    let seen = bench.both(&host, &["1", "3", "bad"], str::to_owned);
    let calls = seen.calls();
    assert_eq!(calls["vkAllocateMemory"], (2, 1));
    assert_eq!(calls["vkGetFenceStatus"].1, 0);
}

/// The loader and the driver are closed before the program ends.
#[test]
fn a_program_that_opens_the_loader() {
    needs_lavapipe();
    let bench = Bench::new();
    let host = bench.cc("hosts/gpu/vulkan.c", "opened", &["-DOPENED"]);
    let seen = bench.both(&host, &["3", "25"], str::to_owned);
    assert_same_counts(&seen.counts("vk"), &seen.printed("vk"), LEFT_OUT);
}

#[test]
fn counts_equal_an_independent_tracers() {
    needs_lavapipe();
    let bench = Bench::new();
    let host = bench.cc("hosts/gpu/vulkan.c", "vulkan", &["-lvulkan"]);
    let words = ["1", "40"]; // ltrace loses calls of threads that run at once.
    let seen = bench.both(&host, &words, str::to_owned);
    let traced = ltrace(&bench, &host, &words, "vk");
    assert_eq!(traced["vkQueueSubmit"], 40);
    assert_same_counts(&seen.counts("vk"), &traced, LEFT_OUT);
}

/// The layer is listed where a program asks for layers, and the loader tells programs with a
/// message callback that an environment variable added it. Nothing else may differ.
fn without_the_layer(text: &str) -> String {
    let mut kept = Vec::new();
    let mut skipping = false;
    for line in text.lines() {
        if line.contains("VK_INSTANCE_LAYERS") {
            continue;
        }
        let starts_layer = line.starts_with("VK_LAYER_");
        if starts_layer || line.is_empty() && skipping {
            skipping = line.starts_with("VK_LAYER_NARROWS_probe");
            if skipping {
                continue;
            }
        }
        if skipping {
            continue;
        }
        // Layers are counted and set in columns.
        let mut line = line.to_owned();
        if line.starts_with("Layers: count") || line.starts_with("Instance Layers: count") {
            line = "layers".into();
        }
        let words: Vec<_> = line.split_whitespace().collect();
        if !words.is_empty()
            && !words
                .iter()
                .all(|word| word.chars().all(|letter| letter == '='))
        {
            kept.push(words.join(" "));
        }
    }
    kept.join("\n")
}

#[test]
fn vulkaninfo_says_the_same() {
    needs_lavapipe();
    let bench = Bench::new();
    let program = Path::new("/usr/bin/vulkaninfo");
    assert!(program.exists(), "install vulkan-tools");
    for words in [&["--summary"][..], &[]] {
        let seen = bench.both(program, words, without_the_layer);
        assert!(seen.output.status.success());
        assert!(seen.counts("vk").contains_key("vkCreateInstance"));
    }
}

#[test]
fn gpu_times_of_submissions() {
    needs_lavapipe();
    let bench = Bench::new();
    let host = bench.cc("hosts/gpu/vulkan.c", "vulkan", &["-lvulkan"]);
    let plain = bench
        .command(&host)
        .args(["3", "100"])
        .output()
        .expect("runs");
    let seen = bench.injected(&host, &["3", "100"], &[("NARROWS_GPU_TIMES", "1")]);
    assert_eq!(seen.output.status, plain.status);
    assert_eq!(
        seen.stdout(),
        String::from_utf8_lossy(&plain.stdout),
        "results do not change"
    );
    assert_same_counts(&seen.counts("vk"), &seen.printed("vk"), LEFT_OUT);
    let (spans, clocks) = seen.spans();
    assert!(
        spans.len() >= 250,
        "of 300 submissions {} were timed",
        spans.len()
    );
    assert_eq!(spans.len(), clocks);
    assert!(spans.iter().all(|(queue, begin, end, name)| {
        *queue != 0 && begin <= end && name == "vkQueueSubmit"
    }));
    let mut begins: Vec<_> = spans.iter().map(|span| span.1).collect();
    begins.sort_unstable();
    begins.dedup();
    assert_eq!(
        begins.len(),
        spans.len(),
        "every submission has times of its own"
    );
    assert!(seen.note("vulkan.gpu-clock").is_some());
}
