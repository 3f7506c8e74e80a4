/* Cheap calls of Metal (the stand-in on Linux), in a loop. Prints nanoseconds a call, one line each.
 * calls SECONDS */
#import <Metal/Metal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Best of many short blocks: the machine is shared, and what disturbs only makes it slower. */
#define LOOP(name, seconds, call) LOOP_AFTER(, name, seconds, call)

/* The same with something to do before each block. */
#define LOOP_AFTER(first, name, seconds, call)                                                     \
    do {                                                                                           \
        double best = 1e9, end = now() + (seconds);                                                \
        while (now() < end) {                                                                      \
            first;                                                                                 \
            double start = now();                                                                  \
            for (int i = 0; i < 2000; i++) call;                                                   \
            double each = (now() - start) / 2000;                                                  \
            best = each < best ? each : best;                                                      \
        }                                                                                          \
        printf("%s %.2f\n", name, best * 1e9);                                                     \
    } while (0)

int main(int argc, char **argv) {
    NSAutoreleasePool *pool = [NSAutoreleasePool new];
    double seconds = argc > 1 ? atof(argv[1]) : 0.1;
    id<MTLDevice> device = MTLCreateSystemDefaultDevice();
    id<MTLCommandQueue> queue = [device newCommandQueue];
    id<MTLCommandBuffer> buffer = [queue commandBuffer];
    id<MTLComputeCommandEncoder> encoder = [buffer computeCommandEncoder];
    id<MTLSharedEvent> event = [device newSharedEvent];
    /* Only counted: a lock inside, then two and three arguments. */
    LOOP("status", seconds, [buffer status]);
    LOOP("useResource:usage:", seconds, [encoder useResource:nil usage:1]);
    LOOP("setThreadgroupMemoryLength:atIndex:", seconds,
         [encoder setThreadgroupMemoryLength:16 atIndex:0]);
    LOOP("signaledValue", seconds, [event signaledValue]);
    /* Timed, with an event each. */
    LOOP("addResidencySet:", seconds, [queue addResidencySet:nil]);
    LOOP("insertDebugCaptureBoundary", seconds, [queue insertDebugCaptureBoundary]);
    /* As many as a program sends for one kernel; the last stands for the dispatch, the one of them
     * that is timed. The number in front is that of the calls. */
    id<MTLBuffer> memory = [device newBufferWithLength:64 options:0];
    LOOP("7_as_for_a_kernel", seconds, {
        [encoder setComputePipelineState:nil];
        [encoder setBuffer:memory offset:0 atIndex:0];
        [encoder setBuffer:memory offset:0 atIndex:1];
        [encoder setBuffer:memory offset:0 atIndex:2];
        [encoder setThreadgroupMemoryLength:16 atIndex:0];
        [encoder useResource:memory usage:1];
        [queue insertDebugCaptureBoundary];
    });
    [encoder endEncoding];
    /* Timed now and then, with arguments on the stack. Encoding takes memory: each block begins anew. */
    id<MTLLibrary> library = [device newLibraryWithSource:@"kernel void busy()" options:nil error:NULL];
    id<MTLComputePipelineState> pipeline =
        [device newComputePipelineStateWithFunction:[library newFunctionWithName:@"busy"] error:NULL];
    id<MTL4CommandAllocator> allocator = [device newCommandAllocator];
    id<MTL4CommandBuffer> again = [device newCommandBuffer];
    id<MTL4ComputeCommandEncoder> dispatcher = nil;
    MTLSize one = {1, 1, 1};
    LOOP_AFTER({
        [again beginCommandBufferWithAllocator:allocator];
        dispatcher = [again computeCommandEncoder];
        [dispatcher setComputePipelineState:pipeline];
    }, "dispatchThreadgroups:...", seconds,
        [dispatcher dispatchThreadgroups:one threadsPerThreadgroup:one]);
    [pool drain];
    return 0;
}
