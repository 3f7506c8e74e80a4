/* Marks for narrows: what one op of this program is, and which part of it runs.
 *
 * Nothing to link: the functions are there when the program runs under narrows, and calls of them
 * do nothing when it does not.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef NARROWS_H
#define NARROWS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Weak: null when the program does not run under narrows. */
__attribute__((weak)) void narrows_probe_op(void);
__attribute__((weak)) void narrows_probe_region_begin(const char *name);
__attribute__((weak)) void narrows_probe_region_end(const char *name);
__attribute__((weak)) void narrows_probe_gpu_span(uint64_t queue, uint64_t begin_ns, uint64_t end_ns);

/* The calling thread has completed one op. The op's time counts from the thread's previous mark
 * (the first mark only begins to count). Without any mark, narrows takes one submission and the
 * wait for it as the op. */
static inline void narrows_op(void)
{
    if (narrows_probe_op)
        narrows_probe_op();
}

/* The calling thread enters and leaves a part of the program. Regions nest, up to 8 deep. */
static inline void narrows_region_begin(const char *name)
{
    if (narrows_probe_region_begin)
        narrows_probe_region_begin(name);
}

static inline void narrows_region_end(const char *name)
{
    if (narrows_probe_region_end)
        narrows_probe_region_end(name);
}

/* A device worked on something of `queue` (any number that is the queue's own) from begin_ns to
 * end_ns, in nanoseconds of CLOCK_MONOTONIC. For drivers and runtimes of devices whose times
 * narrows cannot read by itself. Call it when the work has ended. */
static inline void narrows_gpu_span(uint64_t queue, uint64_t begin_ns, uint64_t end_ns)
{
    if (narrows_probe_gpu_span)
        narrows_probe_gpu_span(queue, begin_ns, end_ns);
}

#ifdef __cplusplus
}
#endif
#endif
