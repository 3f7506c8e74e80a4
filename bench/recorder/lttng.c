/* Cost of an LTTng-UST tracepoint: lttng THREADS ROUNDS. Prints `thread,lttng-ust tracepoint,CPU ns`
 * (median of the rounds). Without an active session the tracepoint is off: the caller of this
 * program, `run`, makes one and checks that events arrived. */
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "narrows_bench_tp.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CALLS = 500000, MOST = 1000 };
static int rounds;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void *measure(void *number)
{
    double times[MOST];
    for (int round = -2; round < rounds; round++) {
        double start = now();
        for (int i = 0; i < CALLS; i++)
            lttng_ust_tracepoint(narrows_bench, call, 8, i, i & 7);
        if (round >= 0)
            times[round] = (now() - start) / CALLS;
    }
    qsort(times, rounds, sizeof *times, ascending);
    printf("%ld,lttng-ust tracepoint,%.2f\n", (long)number, times[rounds / 2]);
    return NULL;
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 1;
    rounds = argc > 2 ? atoi(argv[2]) : 9;
    if (threads < 1 || threads > 64 || rounds < 1 || rounds > MOST)
        return 2;
    pthread_t ids[64];
    for (long i = 0; i < threads; i++)
        pthread_create(&ids[i], NULL, measure, (void *)i);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    return 0;
}
