/* One op of a PyTorch matmul loop, as calls: what the probe has to look at, without a GPU.
 *
 * The driver calls and their numbers are those that a trace of torch.mm on an H100 shows per op
 * (results/h100-2026-11-23); the locks are those of CPython's lock dropped and taken three times,
 * and of a library's mutex and read lock. The driver is the stand-in (fixtures/cuda-stand-in).
 *
 * Reads lines "WORK SECONDS" from standard input, runs ops for so long, prints "OPS NS", NS being
 * the thread's CPU time. Work: so many words of memory are walked over between the calls of an op,
 * as Python would. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef int R;
typedef void *H;
typedef struct { unsigned grid[3], block[3], shared; H stream; void *attributes; unsigned count; } Config;

static void *driver;
static void *get(const char *name)
{
    void *found = dlsym(driver, name);
    if (!found) {
        fprintf(stderr, "no %s\n", name);
        exit(1);
    }
    return found;
}

static uint64_t now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* ---- locks ---- */
static struct { pthread_cond_t cond; pthread_mutex_t mutex; pthread_cond_t switch_cond; pthread_mutex_t switch_mutex; } gil
    = { PTHREAD_COND_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_MUTEX_INITIALIZER };
static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t table = PTHREAD_RWLOCK_INITIALIZER;

static void drop(void)
{
    pthread_mutex_lock(&gil.mutex);
    pthread_cond_signal(&gil.cond);
    pthread_mutex_unlock(&gil.mutex);
}

static void take(void)
{
    pthread_mutex_lock(&gil.mutex);
    pthread_mutex_lock(&gil.switch_mutex);
    pthread_cond_signal(&gil.switch_cond);
    pthread_mutex_unlock(&gil.switch_mutex);
    pthread_mutex_unlock(&gil.mutex);
}

/* ---- work ---- */
#define WORDS (64 << 10)
static volatile uint64_t memory[WORDS];
static unsigned at;

static void work(uint64_t words)
{
    for (uint64_t i = 0; i < words; i++)
        memory[at = (at + 8) % WORDS]++;
}

int main(void)
{
    driver = dlopen("libcuda.so.1", RTLD_NOW);
    if (!driver) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    R (*init)(unsigned) = get("cuInit");
    R (*retain)(H *, int) = get("cuDevicePrimaryCtxRetain");
    R (*set)(H) = get("cuCtxSetCurrent");
    R (*stream_create)(H *, unsigned) = get("cuStreamCreate");
    R (*event_create)(H *, unsigned) = get("cuEventCreate");
    R (*load)(H *, const void *) = get("cuModuleLoadData");
    R (*function_of)(H *, H, const char *) = get("cuModuleGetFunction");
    R (*device)(int *, H) = get("cuCtxGetDevice_v2");
    R (*state)(int, unsigned *, int *) = get("cuDevicePrimaryCtxGetState");
    R (*attribute)(int *, int, H) = get("cuFuncGetAttribute");
    R (*capturing)(H, int *) = get("cuStreamIsCapturing");
    R (*current)(H *) = get("cuCtxGetCurrent");
    R (*launch)(const Config *, H, void **, void **) = get("cuLaunchKernelEx");
    R (*record)(H, H, unsigned) = get("cuEventRecordWithFlags");
    R (*wait)(H) = get("cuEventSynchronize");
    H context, stream, event, module, kernel;
    if (init(0) || retain(&context, 0) || set(context) || stream_create(&stream, 1) || event_create(&event, 2)
        || load(&module, "narrows-stand-in-code") || function_of(&kernel, module, "spin"))
        return 1;

    uint64_t zero = 0, words;
    void *parameters[] = { &zero };
    Config config = { { 1, 1, 1 }, { 1, 1, 1 }, 0, stream, NULL, 0 };
    double seconds;
    int number, active, value, status;
    unsigned flags;
    while (scanf("%lu %lf", &words, &seconds) == 2) {
        uint64_t begin = now(CLOCK_THREAD_CPUTIME_ID), ops = 0;
        uint64_t end = now(CLOCK_MONOTONIC) + (uint64_t)(seconds * 1e9);
        do {
            for (int i = 0; i < 8; i++, ops++) {
                work(words / 2);
                drop();
                for (int j = 0; j < 11; j++)
                    device(&number, context);
                state(0, &flags, &active);
                state(0, &flags, &active);
                current(&context);
                pthread_mutex_lock(&library);
                pthread_mutex_unlock(&library);
                pthread_rwlock_rdlock(&table);
                pthread_rwlock_unlock(&table);
                attribute(&value, 0, kernel);
                attribute(&value, 1, kernel);
                capturing(stream, &status);
                launch(&config, kernel, parameters, NULL);
                take();
                work(words / 4);
                drop();
                record(event, stream, 0);
                take();
                work(words / 4);
                drop();
                wait(event);
                take();
            }
        } while (now(CLOCK_MONOTONIC) < end);
        printf("%lu %lu\n", ops, now(CLOCK_THREAD_CPUTIME_ID) - begin);
        fflush(stdout);
    }
    return 0;
}
