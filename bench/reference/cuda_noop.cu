// The least that one can do with the CUDA runtime: launch an empty kernel and wait, N threads.
// cuda_noop DEVICE THREADS shared|own event|queue|device SECONDS      prints ops per second
// nvcc -O2 -o cuda_noop cuda_noop.cu -lpthread
#include "common.h"

#include <cuda_runtime.h>

#define CHECK(call) do { cudaError_t r_ = (call); if (r_ != cudaSuccess) die(#call, r_); } while (0)

__global__ void nothing() {}

static int device;
static char wait_for;

struct lane {
    cudaStream_t stream;
    cudaEvent_t event;
};

static void op(struct lane *lane) {
    nothing<<<1, 1, 0, lane->stream>>>();
    if (wait_for == 'e') {
        CHECK(cudaEventRecord(lane->event, lane->stream));
        CHECK(cudaEventSynchronize(lane->event));
    } else if (wait_for == 'q') {
        CHECK(cudaStreamSynchronize(lane->stream));
    } else {
        CHECK(cudaDeviceSynchronize());
    }
}

int main(int argc, char **argv) {
    if (argc != 6) die("arguments: DEVICE THREADS shared|own event|queue|device SECONDS", argc);
    device = atoi(argv[1]);
    int threads = atoi(argv[2]), shared = !strcmp(argv[3], "shared");
    wait_for = argv[4][0];
    // A thread starts with device 0: other devices are chosen through CUDA_VISIBLE_DEVICES.
    if (device != 0) die("device index (use CUDA_VISIBLE_DEVICES)", device);

    struct lane *lanes = (struct lane *)calloc((size_t)threads, sizeof *lanes);
    for (int i = 0; i < threads; i++) {
        if (shared && i > 0) {
            lanes[i].stream = lanes[0].stream;
        } else {
            CHECK(cudaStreamCreateWithFlags(&lanes[i].stream, cudaStreamNonBlocking));
        }
        CHECK(cudaEventCreateWithFlags(&lanes[i].event, cudaEventDisableTiming));
    }
    op(lanes);
    CHECK(cudaGetLastError());
    measure(lanes, sizeof *lanes, threads, atof(argv[5]));
    return 0;
}
