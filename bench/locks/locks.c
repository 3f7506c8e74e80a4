/* What the probe adds to an uncontended lock: the C library's own function and the one that is
 * found first (the probe's, when it is preloaded), in alternating blocks of one run.
 *
 * Prints: name, ns without, ns with, difference (medians over blocks).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BLOCKS = 201, CALLS = 20000 };

typedef int (*one_t)(void *);
struct pair {
    const char *name;
    const char *take, *give;
    void *object;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, BLOCKS, sizeof *values, ascending);
    return values[BLOCKS / 2];
}

__attribute__((noinline)) static double block(one_t take, one_t give, void *object)
{
    double start = now();
    for (int i = 0; i < CALLS; i++) {
        take(object);
        give(object);
    }
    return (now() - start) / CALLS;
}

static void *idle(void *unused)
{
    return unused;
}

int main(void)
{
    void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
    static pthread_spinlock_t spin;
    static sem_t sem;
    pthread_t thread;
    sem_init(&sem, 0, 1);
    pthread_spin_init(&spin, 0);
    /* A process that never had a second thread takes short cuts in some C libraries. */
    pthread_create(&thread, NULL, idle, NULL);
    pthread_join(thread, NULL);
    struct pair pairs[] = {
        { "mutex lock+unlock", "pthread_mutex_lock", "pthread_mutex_unlock", &mutex },
        { "mutex trylock+unlock", "pthread_mutex_trylock", "pthread_mutex_unlock", &mutex },
        { "rwlock rdlock+unlock", "pthread_rwlock_rdlock", "pthread_rwlock_unlock", &rwlock },
        { "rwlock wrlock+unlock", "pthread_rwlock_wrlock", "pthread_rwlock_unlock", &rwlock },
        { "spin lock+unlock", "pthread_spin_lock", "pthread_spin_unlock", (void *)&spin },
        { "sem wait+post", "sem_wait", "sem_post", &sem },
    };
    for (size_t p = 0; p < sizeof pairs / sizeof *pairs; p++) {
        static double without[BLOCKS], with[BLOCKS], added[BLOCKS];
        one_t real_take = (one_t)dlsym(libc, pairs[p].take);
        one_t real_give = (one_t)dlsym(libc, pairs[p].give);
        one_t take = (one_t)dlsym(RTLD_DEFAULT, pairs[p].take);
        one_t give = (one_t)dlsym(RTLD_DEFAULT, pairs[p].give);
        block(take, give, pairs[p].object);
        for (int b = 0; b < BLOCKS; b++) {
            without[b] = block(real_take, real_give, pairs[p].object);
            with[b] = block(take, give, pairs[p].object);
            added[b] = with[b] - without[b];
        }
        double d = median(added);
        printf("%-24s %7.2f %7.2f %+7.2f%s\n", pairs[p].name, median(without), median(with), d,
               take == real_take ? "  (not hooked)" : "");
    }
    return 0;
}
