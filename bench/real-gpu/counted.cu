// A deterministic CUDA program for comparing call counts: graphs, events, copies, several streams
// and threads. usage: counted [ROUNDS]   (default 700: more than 10,000 ops)
// Prints what it did as lines "NAME COUNT": kernels, copies and memsets on the GPU, and the sum of
// all of its ops; then OK if the data came out right.
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>
#include <cuda_runtime.h>

#define CHECK(call)                                                                              \
    do {                                                                                         \
        cudaError_t status = (call);                                                             \
        if (status != cudaSuccess) {                                                             \
            fprintf(stderr, "%s: %s\n", #call, cudaGetErrorString(status));                      \
            exit(1);                                                                             \
        }                                                                                        \
    } while (0)

__global__ void add(unsigned *p, unsigned n, unsigned x)
{
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        p[i] += x;
}

static const int THREADS = 2, STREAMS = 3, NODES = 4;
static const unsigned N = 4096;

struct Done {
    unsigned long kernels = 0, copies = 0, memsets = 0, graphs = 0, events = 0, waits = 0;
    bool right = true;
};

static void work(int rounds, Done *done)
{
    CHECK(cudaSetDevice(0));
    cudaStream_t streams[STREAMS];
    cudaEvent_t events[STREAMS];
    unsigned *device[STREAMS], *host;
    CHECK(cudaMallocHost(&host, STREAMS * N * sizeof *host));
    for (int s = 0; s < STREAMS; s++) {
        CHECK(cudaStreamCreateWithFlags(&streams[s], cudaStreamNonBlocking));
        CHECK(cudaEventCreateWithFlags(&events[s], cudaEventDisableTiming));
        CHECK(cudaMalloc(&device[s], N * sizeof **device));
        CHECK(cudaMemsetAsync(device[s], 0, N * sizeof **device, streams[s]));
        done->memsets++;
    }
    cudaGraph_t graph;
    cudaGraphExec_t executable;
    CHECK(cudaStreamBeginCapture(streams[0], cudaStreamCaptureModeThreadLocal));
    for (int node = 0; node < NODES; node++)
        add<<<N / 256, 256, 0, streams[0]>>>(device[0], N, 1);
    CHECK(cudaStreamEndCapture(streams[0], &graph));
    CHECK(cudaGraphInstantiate(&executable, graph, 0));
    for (int round = 0; round < rounds; round++) {
        for (int s = 0; s < STREAMS; s++) {
            add<<<N / 256, 256, 0, streams[s]>>>(device[s], N, 2);
            CHECK(cudaGetLastError());
            done->kernels++;
            CHECK(cudaEventRecord(events[s], streams[s]));
            done->events++;
        }
        CHECK(cudaStreamWaitEvent(streams[0], events[1], 0));
        CHECK(cudaGraphLaunch(executable, streams[0]));
        done->graphs++;
        done->kernels += NODES;
        int s = round % STREAMS;
        CHECK(cudaMemcpyAsync(host + s * N, device[s], N * sizeof *host, cudaMemcpyDeviceToHost, streams[s]));
        done->copies++;
        if (round & 1) {
            CHECK(cudaEventRecord(events[s], streams[s]));
            CHECK(cudaEventSynchronize(events[s]));
            done->events++;
        } else {
            CHECK(cudaStreamSynchronize(streams[s]));
        }
        done->waits++;
    }
    CHECK(cudaDeviceSynchronize());
    for (int s = 0; s < STREAMS; s++) {
        CHECK(cudaMemcpy(host + s * N, device[s], N * sizeof *host, cudaMemcpyDeviceToHost));
        done->copies++;
        unsigned expected = (unsigned)rounds * (2 + (s == 0 ? NODES : 0));
        for (unsigned i = 0; i < N; i++)
            done->right = done->right && host[s * N + i] == expected;
        CHECK(cudaFree(device[s]));
        CHECK(cudaEventDestroy(events[s]));
        CHECK(cudaStreamDestroy(streams[s]));
    }
    CHECK(cudaGraphExecDestroy(executable));
    CHECK(cudaGraphDestroy(graph));
    CHECK(cudaFreeHost(host));
}

int main(int count, char **words)
{
    int rounds = count > 1 ? atoi(words[1]) : 700;
    std::vector<Done> done(THREADS);
    CHECK(cudaFree(nullptr));
    std::vector<std::thread> threads;
    for (int t = 0; t < THREADS; t++)
        threads.emplace_back(work, rounds, &done[t]);
    for (auto &thread : threads)
        thread.join();
    Done all;
    for (auto &d : done) {
        all.kernels += d.kernels, all.copies += d.copies, all.memsets += d.memsets;
        all.graphs += d.graphs, all.events += d.events, all.waits += d.waits;
        all.right = all.right && d.right;
    }
    printf("kernels %lu\ncopies %lu\nmemsets %lu\n", all.kernels, all.copies, all.memsets);
    printf("ops %lu\n", all.kernels + all.copies + all.memsets + all.events + all.waits);
    puts(all.right ? "OK" : "WRONG");
    return !all.right;
}
