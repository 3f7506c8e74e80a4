/* What the reference programs share (C, and C++ for CUDA): threads that start together, a fixed time, ops per second.
   The including file defines `struct lane` and `void op(struct lane *)`. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __cplusplus
#include <atomic>
using namespace std;
#else
#include <stdatomic.h>
#endif

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

static void rest(double seconds) {
    struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}

static void *worker(void *lane) {
    unsigned long ops = 0;
    pthread_barrier_wait(&gate);
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        op((struct lane *)lane);
        ops++;
    }
    return (void *)ops;
}

/* Runs one thread per lane and prints ops per second over the wall time until the last ends. */
static void measure_at_once(void *lanes, size_t lane_size, int count, double seconds) {
    pthread_t *threads = (pthread_t *)calloc((size_t)count, sizeof *threads);
    pthread_barrier_init(&gate, NULL, (unsigned)count + 1);
    for (int i = 0; i < count; i++) {
        pthread_create(&threads[i], NULL, worker, (char *)lanes + (size_t)i * lane_size);
    }
    pthread_barrier_wait(&gate);
    double start = now();
    rest(seconds);
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

/* A thread that sleeps between blocks, and what it did in the last one. */
struct member {
    struct lane *lane;
    sem_t wake, done;
    unsigned long ops;
    double ended;
};

static atomic_int arrived, opened;

static void *member_main(void *argument) {
    struct member *self = (struct member *)argument;
    for (;;) {
        sem_wait(&self->wake);
        int round = atomic_load(&opened) + 1;
        atomic_fetch_add(&arrived, 1);
        while (atomic_load(&opened) != round) sched_yield();
        unsigned long ops = 0;
        while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
            op(self->lane);
            ops++;
        }
        self->ops = ops;
        self->ended = now();
        sem_post(&self->done);
    }
    return NULL;
}

/* One block on the first `width` members; its ops and wall time are added. */
static void block(struct member *members, int width, double length, double *ops, double *wall) {
    atomic_store(&stop, 0);
    for (int i = 0; i < width; i++) sem_post(&members[i].wake);
    while (atomic_load(&arrived) < width) sched_yield();
    atomic_store(&arrived, 0);
    double start = now(), ended = start;
    atomic_fetch_add(&opened, 1);
    rest(length);
    atomic_store(&stop, 1);
    for (int i = 0; i < width; i++) {
        sem_wait(&members[i].done);
        *ops += (double)members[i].ops;
        if (members[i].ended > ended) ended = members[i].ended;
    }
    *wall += ended - start;
}

/* The same in short blocks, in the order in which `narrows scan` measures: pairs of one thread with
   itself and pairs of one thread with all, in random order. A driver and a scheduler that take
   their time to settle are then met in the same state: which block came before matters. */
static void measure_in_blocks(void *lanes, size_t lane_size, int count, double seconds, double length) {
    struct member *members = (struct member *)calloc((size_t)count, sizeof *members);
    for (int i = 0; i < count; i++) {
        pthread_t thread;
        members[i].lane = (struct lane *)((char *)lanes + (size_t)i * lane_size);
        sem_init(&members[i].wake, 0, 0);
        sem_init(&members[i].done, 0, 0);
        pthread_create(&thread, NULL, member_main, &members[i]);
    }
    double ops = 0, wall = 0, alone_ops = 0, alone_wall = 0;
    srand((unsigned)getpid());
    /* As there, one block of each that does not count: the first of a fresh process is the fastest. */
    double warm_ops = 0, warm_wall = 0;
    block(members, 1, length, &warm_ops, &warm_wall);
    block(members, count, length, &warm_ops, &warm_wall);
    double end = now() + seconds;
    do {
        int itself_first = rand() & 1;
        for (int pair = 0; pair < 2; pair++) {
            int with_itself = count == 1 || pair != itself_first, all_first = rand() & 1;
            for (int side = 0; side < 2; side++) {
                int all = !with_itself && side != all_first;
                block(members, all ? count : 1, length, all ? &ops : &alone_ops,
                      all ? &wall : &alone_wall);
            }
        }
    } while (now() < end);
    printf("%.1f\n", count == 1 ? alone_ops / alone_wall : ops / wall);
    fflush(stdout);
    _exit(0); /* the threads sleep for ever */
}

/* BLOCK_MS in the environment: in blocks of that length, four times as long, since one block in four
   is one of all threads; else at once. */
static void measure(void *lanes, size_t lane_size, int count, double seconds) {
    const char *length = getenv("BLOCK_MS");
    if (length) {
        measure_in_blocks(lanes, lane_size, count, count == 1 ? seconds : 4 * seconds, atof(length) * 1e-3);
    } else {
        measure_at_once(lanes, lane_size, count, seconds);
    }
}
