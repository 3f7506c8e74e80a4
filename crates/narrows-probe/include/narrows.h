/* Marks for narrows: what one op of this program is, and which part of it runs.
 *
 * Nothing to link: the functions are there when the program runs under narrows, and calls of them
 * do nothing when it does not.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef NARROWS_H
#define NARROWS_H

#ifdef __cplusplus
extern "C" {
#endif

/* Weak: null when the program does not run under narrows. */
__attribute__((weak)) void narrows_probe_op(void);
__attribute__((weak)) void narrows_probe_region_begin(const char *name);
__attribute__((weak)) void narrows_probe_region_end(const char *name);

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

#ifdef __cplusplus
}
#endif
#endif
