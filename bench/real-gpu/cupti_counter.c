/* Counts the driver calls of a program with CUPTI's callbacks: an independent count to compare a
 * trace with. Loaded by the driver itself through CUDA_INJECTION64_PATH.
 *
 * CUPTI_LIBRARY         path of libcupti
 * CUPTI_COUNTS          file that the counts are written to: lines "NAME COUNT"
 * Counts every entry of a function of the driver API, from cuInit's end on, on all threads.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { DRIVER_API = 1, ENTER = 0, FUNCTIONS = 4096 };

typedef void (*Callback)(void *, int, uint32_t, const void *);
static int (*subscribe)(void **, Callback, void *);
static int (*enable_domain)(uint32_t, void *, int);
static int (*callback_name)(int, uint32_t, const char **);
static _Atomic uint64_t counts[FUNCTIONS];

static void called(void *data, int domain, uint32_t id, const void *info)
{
    (void)data;
    /* The first field of the information is the site: entry or exit. */
    if (domain == DRIVER_API && id < FUNCTIONS && *(const int *)info == ENTER)
        atomic_fetch_add_explicit(&counts[id], 1, memory_order_relaxed);
}

static void write_counts(void)
{
    const char *path = getenv("CUPTI_COUNTS");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file)
        return;
    for (uint32_t id = 0; id < FUNCTIONS; id++) {
        uint64_t count = atomic_load(&counts[id]);
        const char *name = NULL;
        if (count && !callback_name(DRIVER_API, id, &name) && name)
            fprintf(file, "%s %lu\n", name, (unsigned long)count);
    }
    fclose(file);
}

static void *get(void *library, const char *name)
{
    void *found = dlsym(library, name);
    if (!found)
        fprintf(stderr, "cupti_counter: no %s\n", name);
    return found;
}

__attribute__((visibility("default"))) int InitializeInjection(void)
{
    const char *path = getenv("CUPTI_LIBRARY");
    void *library = dlopen(path ? path : "libcupti.so", RTLD_NOW | RTLD_LOCAL);
    void *subscriber = NULL;
    if (!library) {
        fprintf(stderr, "cupti_counter: %s\n", dlerror());
        return 0;
    }
    subscribe = get(library, "cuptiSubscribe");
    enable_domain = get(library, "cuptiEnableDomain");
    callback_name = get(library, "cuptiGetCallbackName");
    if (!subscribe || !enable_domain || !callback_name)
        return 0;
    int status = subscribe(&subscriber, called, NULL);
    if (!status)
        status = enable_domain(1, subscriber, DRIVER_API);
    if (status) {
        fprintf(stderr, "cupti_counter: CUPTI gave %d\n", status);
        return 0;
    }
    atexit(write_counts);
    return 1;
}
