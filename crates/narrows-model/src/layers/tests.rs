use super::{Layer, Placement, Rules};

fn built_in() -> Rules {
    Rules::built_in().expect("the built-in rules parse")
}

#[test]
fn objects_of_real_systems_are_placed() {
    let rules = built_in();
    for (path, layer) in [
        ("/usr/lib/x86_64-linux-gnu/libcuda.so.1", Layer::Driver),
        ("/usr/lib/x86_64-linux-gnu/libvulkan_lvp.so", Layer::Driver),
        (
            "/usr/lib/x86_64-linux-gnu/libvulkan_radeon.so",
            Layer::Driver,
        ),
        ("/usr/lib/x86_64-linux-gnu/libpocl.so.2.10.0", Layer::Driver),
        (
            "/usr/lib/x86_64-linux-gnu/libvulkan.so.1.3.239",
            Layer::Runtime,
        ),
        (
            "/v/site-packages/pyopencl.libs/libOpenCL-38b9d3c3.so.1.0.0",
            Layer::Runtime,
        ),
        (
            "/v/site-packages/nvidia/cuda_runtime/lib/libcudart.so.12",
            Layer::Runtime,
        ),
        (
            "/v/site-packages/nvidia/cublas/lib/libcublasLt.so.12",
            Layer::Library,
        ),
        (
            "/v/site-packages/torch/lib/libtorch_cuda.so",
            Layer::Framework,
        ),
        (
            "/v/site-packages/torch/lib/libc10_cuda.so",
            Layer::Framework,
        ),
        (
            "/v/site-packages/ncnn/ncnn.cpython-311-x86_64-linux-gnu.so",
            Layer::Framework,
        ),
        (
            "/v/site-packages/wgpu/resources/libwgpu_native-release.so",
            Layer::Framework,
        ),
        (
            "/System/Library/Frameworks/Metal.framework/Versions/A/Metal",
            Layer::Driver,
        ),
        (
            "/System/Library/Extensions/AGXMetalG16X.bundle/Contents/MacOS/AGXMetalG16X",
            Layer::Driver,
        ),
        (
            "/System/Library/PrivateFrameworks/IOGPU.framework/Versions/A/IOGPU",
            Layer::Driver,
        ),
        (
            "/System/Library/Frameworks/IOKit.framework/Versions/A/IOKit",
            Layer::Kernel,
        ),
        (
            "/System/Library/Frameworks/MetalPerformanceShaders.framework/Versions/A/Frameworks/MPSCore.framework/Versions/A/MPSCore",
            Layer::Library,
        ),
        (
            "/System/Library/Frameworks/MetalPerformanceShadersGraph.framework/Versions/A/MetalPerformanceShadersGraph",
            Layer::Library,
        ),
        (
            "/v/site-packages/torch/lib/libtorch_cpu.dylib",
            Layer::Framework,
        ),
        ("/v/site-packages/mlx/lib/libmlx.dylib", Layer::Framework),
        (
            "/v/site-packages/mlx/core.cpython-312-darwin.so",
            Layer::Framework,
        ),
        (
            "/opt/homebrew/Frameworks/Python.framework/Versions/3.12/Python",
            Layer::Interpreter,
        ),
        ("/t/lib/libMetal-stand-in.so", Layer::Driver),
        (
            "/t/lib/libMetalPerformanceShaders-stand-in.so",
            Layer::Library,
        ),
        ("/usr/bin/python3.11", Layer::Interpreter),
        (
            "/usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0",
            Layer::Interpreter,
        ),
    ] {
        assert_eq!(rules.place(path, None), Placement::Known(layer), "{path}");
    }
}

#[test]
fn pass_through_objects_point_at_their_caller() {
    let rules = built_in();
    for path in [
        "/usr/lib/system/libdispatch.dylib",
        "/usr/lib/libc++.1.dylib",
        "/usr/lib/system/libsystem_pthread.dylib",
        "/t/lib/libdispatch-stand-in.so",
        "/usr/lib/x86_64-linux-gnu/libc.so.6",
        "/lib64/ld-linux-x86-64.so.2",
        "/usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.30",
        "[vdso]",
    ] {
        assert_eq!(rules.place(path, None), Placement::Caller, "{path}");
    }
}

#[test]
fn what_no_rule_names_is_unknown_and_a_deleted_file_keeps_its_layer() {
    let rules = built_in();
    assert_eq!(rules.place("/opt/x/libmine.so", None), Placement::Unknown);
    assert_eq!(
        rules.place("/usr/lib/libcuda.so.1 (deleted)", None),
        Placement::Known(Layer::Driver)
    );
}

#[test]
fn functions_are_placed_by_name() {
    let rules = built_in();
    assert_eq!(
        rules.function("cuLaunchKernel"),
        Placement::Known(Layer::Driver)
    );
    assert_eq!(
        rules.function("cudaLaunchKernel"),
        Placement::Known(Layer::Runtime)
    );
    assert_eq!(
        rules.function("vkQueueSubmit"),
        Placement::Known(Layer::Driver)
    );
    assert_eq!(rules.function("ioctl"), Placement::Known(Layer::Kernel));
    assert_eq!(rules.function("clock"), Placement::Unknown);
    assert_eq!(rules.function("curl_easy_perform"), Placement::Unknown);
}

#[test]
fn a_users_file_goes_first() {
    let text = "[[rule]]\nlayer = \"library\"\nobjects = [\"libmine.so*\", \"libcuda.so*\"]\n";
    let rules = Rules::with_file("mine.toml", text).expect("good rules");
    assert_eq!(
        rules.place("/x/libmine.so.1", None),
        Placement::Known(Layer::Library)
    );
    assert_eq!(
        rules.place("/x/libcuda.so.1", None),
        Placement::Known(Layer::Library)
    );
    assert_eq!(
        rules.place("/x/libnccl.so.2", None),
        Placement::Known(Layer::Library)
    );
}

#[test]
fn a_rule_with_objects_and_symbols_needs_both() {
    let text = "[[rule]]\nlayer = \"runtime\"\nobjects = [\"libbig.so\"]\nsymbols = [\"rt_*\"]\n";
    let rules = Rules::with_file("mine.toml", text).expect("good rules");
    assert_eq!(
        rules.place("/x/libbig.so", Some("rt_go")),
        Placement::Known(Layer::Runtime)
    );
    assert_eq!(
        rules.place("/x/libbig.so", Some("other")),
        Placement::Unknown
    );
    assert_eq!(rules.place("/x/libbig.so", None), Placement::Unknown);
    assert_eq!(rules.function("rt_go"), Placement::Unknown);
}

#[test]
fn faults_name_file_line_and_column_on_one_line() {
    for (text, place) in [
        (
            "[[rule]]\nlayer = \"drivr\"\nobjects = [\"x\"]\n",
            "r.toml:2:9: ",
        ),
        ("[[rule]]\nlayer = \n", "r.toml:2:"),
        (
            "[[rule]]\nlayer = \"app\"\nobject = [\"x\"]\n",
            "r.toml:3:1: ",
        ),
        ("\n[[rule]]\nlayer = \"app\"\n", "r.toml:2:1: "),
        ("rules = 3\n", "r.toml:1:1: "),
    ] {
        let error = Rules::with_file("r.toml", text).expect_err("a bad file");
        let shown = error.to_string();
        assert!(shown.starts_with(place), "{shown:?} for {text:?}");
        assert_eq!(shown.lines().count(), 1, "{shown:?}");
    }
}
