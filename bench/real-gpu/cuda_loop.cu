// Empty kernels from N threads through the CUDA runtime, each op waited for.
// usage: cuda_loop THREADS shared|own event|stream|device SECONDS
// Build: nvcc -O2 -cudart shared -o cuda_loop cuda_loop.cu -lpthread
#include <cuda_runtime.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

__global__ void nothing() {}

static void check(cudaError_t status, const char *what) {
    if (status != cudaSuccess) {
        fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(status));
        exit(1);
    }
}

int main(int argc, char **argv) {
    if (argc < 5) {
        fprintf(stderr, "usage: cuda_loop THREADS shared|own event|stream|device SECONDS\n");
        return 2;
    }
    const int threads = atoi(argv[1]);
    const bool own = strcmp(argv[2], "own") == 0;
    const char sync = argv[3][0];
    const double seconds = atof(argv[4]);
    cudaStream_t shared;
    check(cudaStreamCreateWithFlags(&shared, cudaStreamNonBlocking), "stream");
    std::atomic<int> ready{0};
    std::atomic<bool> go{false}, stop{false};
    std::vector<long> ops(threads);
    std::vector<std::thread> crew;
    for (int i = 0; i < threads; i++) {
        crew.emplace_back([&, i] {
            cudaStream_t stream = shared;
            cudaEvent_t event;
            if (own) check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
            check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "event");
            nothing<<<1, 1, 0, stream>>>();
            check(cudaStreamSynchronize(stream), "warm-up");
            ready++;
            while (!go) std::this_thread::yield();
            long done = 0;
            while (!stop.load(std::memory_order_relaxed)) {
                nothing<<<1, 1, 0, stream>>>();
                if (sync == 'e') {
                    cudaEventRecord(event, stream);
                    cudaEventSynchronize(event);
                } else if (sync == 's') {
                    cudaStreamSynchronize(stream);
                } else {
                    cudaDeviceSynchronize();
                }
                done++;
            }
            ops[i] = done;
        });
    }
    while (ready < threads) std::this_thread::yield();
    auto begin = std::chrono::steady_clock::now();
    go = true;
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    stop = true;
    double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    long all = 0;
    for (auto &thread : crew) thread.join();
    for (long n : ops) all += n;
    printf("{\"threads\": %d, \"ops\": %ld, \"seconds\": %.4f, \"ops_per_s\": %.0f}\n", threads, all,
           took, all / took);
    return 0;
}
