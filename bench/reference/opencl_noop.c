/* The least that one can do with OpenCL: enqueue an empty kernel and wait, N threads.
   opencl_noop DEVICE THREADS shared|own event|queue SECONDS      prints ops per second
   cc -O2 -o opencl_noop opencl_noop.c -lOpenCL -lpthread         (Debian: ocl-icd-opencl-dev) */
#define CL_TARGET_OPENCL_VERSION 120
#include "common.h"
#include <CL/cl.h>

#define CHECK(call) do { cl_int r_ = (call); if (r_ != CL_SUCCESS) die(#call, r_); } while (0)

static int wait_for_queue;

struct lane {
    cl_command_queue queue;
    cl_kernel kernel;
};

static void op(struct lane *lane) {
    size_t global[2] = {1, 1};
    cl_event event;
    CHECK(clEnqueueNDRangeKernel(lane->queue, lane->kernel, 2, NULL, global, NULL, 0, NULL,
                                 wait_for_queue ? NULL : &event));
    if (wait_for_queue) {
        CHECK(clFinish(lane->queue));
    } else {
        CHECK(clWaitForEvents(1, &event));
        CHECK(clReleaseEvent(event));
    }
}

/* Number `index` of all platforms' devices. */
static cl_device_id device_at(unsigned index) {
    cl_platform_id platforms[16];
    cl_uint platform_count = 0;
    CHECK(clGetPlatformIDs(16, platforms, &platform_count));
    for (cl_uint i = 0; i < platform_count; i++) {
        cl_device_id devices[16];
        cl_uint count = 0;
        if (clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, 16, devices, &count)) continue;
        if (index < count) return devices[index];
        index -= count;
    }
    die("device index", (long)index);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 6) die("arguments: DEVICE THREADS shared|own event|queue SECONDS", argc);
    int threads = atoi(argv[2]), shared = !strcmp(argv[3], "shared");
    wait_for_queue = !strcmp(argv[4], "queue");

    cl_device_id device = device_at((unsigned)atoi(argv[1]));
    cl_int status;
    cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, &status);
    CHECK(status);
    const char *source = "kernel void noop(void) {}";
    cl_program program = clCreateProgramWithSource(context, 1, &source, NULL, &status);
    CHECK(status);
    CHECK(clBuildProgram(program, 1, &device, "", NULL, NULL));

    struct lane *lanes = calloc((size_t)threads, sizeof *lanes);
    for (int i = 0; i < threads; i++) {
        lanes[i].kernel = clCreateKernel(program, "noop", &status);
        CHECK(status);
        if (shared && i > 0) {
            lanes[i].queue = lanes[0].queue;
        } else {
            lanes[i].queue = clCreateCommandQueue(context, device, 0, &status);
            CHECK(status);
        }
    }
    measure(lanes, sizeof *lanes, threads, atof(argv[5]));
    return 0;
}
