use super::names::{KERNEL, LOCKS, MACH_LOCKS, METAL};
use super::{Api, read};
use std::process::Command;

#[test]
fn the_tables_are_sorted() {
    for table in [LOCKS, KERNEL, METAL, MACH_LOCKS] {
        assert!(table.is_sorted(), "{table:?}");
    }
}

#[test]
fn names_belong_to_their_interface() {
    for (name, api) in [
        ("cuLaunchKernel", Some(Api::CudaDriver)),
        ("cuGLGetDevices_v2", Some(Api::CudaDriver)),
        ("cudaLaunchKernel", Some(Api::CudaRuntime)),
        ("vkQueueSubmit", Some(Api::Vulkan)),
        ("clEnqueueNDRangeKernel", Some(Api::OpenCl)),
        ("clSVMAlloc", Some(Api::OpenCl)),
        ("pthread_mutex_lock", Some(Api::Locks)),
        ("ioctl", Some(Api::Kernel)),
        ("MTLCopyAllDevices", Some(Api::Metal)),
        ("waitUntilCompleted", None),
        ("dispatch_group_wait", None),
        ("hsa_init", Some(Api::Hsa)),
        ("cuDNN", None),
        ("cuda", None),
        ("clock_gettime", None),
        ("vk", None),
        ("cuLaunch kernel failed", None),
    ] {
        assert_eq!(Api::of(name), api, "{name}");
    }
}

#[test]
fn selectors_belong_to_their_interface() {
    for (selector, api) in [
        ("waitUntilCompleted", Some(Api::Metal)),
        ("commit:count:options:", Some(Api::Metal)),
        ("commitAndContinue", Some(Api::Mps)),
        (
            "runWithFeeds:targetTensors:targetOperations:",
            Some(Api::MpsGraph),
        ),
        ("objectAtIndex:", None),
        ("", None),
    ] {
        assert_eq!(Api::of_selector(selector), api, "{selector}");
    }
    assert_eq!(
        Api::of_function("dispatch_group_wait", true),
        Some(Api::Locks)
    );
    assert_eq!(
        Api::of_function("_ZNSt3__15mutex4lockEv", true),
        Some(Api::Locks)
    );
    assert_eq!(Api::of_function("_ZNSt3__15mutex4lockEv", false), None);
}

#[test]
fn imports_strings_and_offers_are_kept_apart() {
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name);
    std::fs::write(
        at("host.c"),
        "#include <pthread.h>\n\
         int vkQueueSubmit(void);\n\
         int clFinish(void *queue) { return queue != 0; }\n\
         const char *const wanted[] = { \"cuLaunchKernel\", \"libcuda.so.1\", \"cuLaunch failed\" };\n\
         int use(int i, pthread_mutex_t *m) {\n\
             pthread_mutex_lock(m); return wanted[i][0] + vkQueueSubmit(); }\n",
    )
    .expect("writes");
    let status = Command::new("gcc")
        .args(["-shared", "-fPIC", "-O1", "-o", "libhost.so", "host.c"])
        .current_dir(folder.path())
        .status();
    assert!(status.expect("gcc runs (apt-get install gcc)").success());
    let calls = read(&at("libhost.so")).expect("reads");
    let list = |set: &std::collections::BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
    assert_eq!(
        list(&calls.imported),
        ["pthread_mutex_lock", "vkQueueSubmit"]
    );
    assert_eq!(list(&calls.by_string), ["cuLaunchKernel"]);
    assert_eq!(list(&calls.offered), ["clFinish"]);
    assert_eq!(list(&calls.opens), ["libcuda.so.1"]);
    assert!(!calls.no_symbols);
}
