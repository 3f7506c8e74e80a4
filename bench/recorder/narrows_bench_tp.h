/* LTTng-UST's side of the comparison: one event with the same payload as a recorded call. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER narrows_bench
#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "./narrows_bench_tp.h"

#if !defined(NARROWS_BENCH_TP_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define NARROWS_BENCH_TP_H

#include <lttng/tracepoint.h>
#include <stdint.h>

LTTNG_UST_TRACEPOINT_EVENT(
    narrows_bench, call,
    LTTNG_UST_TP_ARGS(uint32_t, call, uint32_t, ticks, uint64_t, object),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_integer(uint32_t, call, call)
        lttng_ust_field_integer(uint32_t, ticks, ticks)
        lttng_ust_field_integer(uint64_t, object, object)))

#endif

#include <lttng/tracepoint-event.h>
