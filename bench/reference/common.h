/* What both reference programs share: threads that start together, a fixed time, ops per second.
   The including file defines `struct lane` and `void op(struct lane *)`. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct lane;
static void op(struct lane *lane);

static atomic_int stop;
static pthread_barrier_t gate;

static void die(const char *call, long code) {
    fprintf(stderr, "%s failed with code %ld\n", call, code);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *worker(void *lane) {
    unsigned long ops = 0;
    pthread_barrier_wait(&gate);
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        op(lane);
        ops++;
    }
    return (void *)ops;
}

/* Runs one thread per lane and prints ops per second over the wall time until the last ends. */
static void measure(void *lanes, size_t lane_size, int count, double seconds) {
    pthread_t *threads = calloc((size_t)count, sizeof *threads);
    pthread_barrier_init(&gate, NULL, (unsigned)count + 1);
    for (int i = 0; i < count; i++) {
        pthread_create(&threads[i], NULL, worker, (char *)lanes + (size_t)i * lane_size);
    }
    pthread_barrier_wait(&gate);
    double start = now();
    struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
    atomic_store(&stop, 1);
    unsigned long ops = 0;
    for (int i = 0; i < count; i++) {
        void *done;
        pthread_join(threads[i], &done);
        ops += (unsigned long)done;
    }
    printf("%.1f\n", (double)ops / (now() - start));
    free(threads);
}
