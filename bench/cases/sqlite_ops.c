/* N threads read one row per op through one sqlite3 connection in serialised mode (its default),
 * each op marked for narrows.
 * usage: sqlite_ops THREADS [SECONDS]
 * Build: cc -O2 -I crates/narrows-probe/include -o sqlite_ops sqlite_ops.c -lsqlite3 -lpthread */
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "narrows.h"

static sqlite3 *database;
static atomic_int go, stop;
static atomic_long all;

static void must(int status, const char *what) {
    if (status != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", what, sqlite3_errmsg(database));
        exit(1);
    }
}

static void *work(void *unused) {
    (void)unused;
    sqlite3_stmt *statement;
    must(sqlite3_prepare_v2(database, "select sum(v) from t where k between ?1 and ?1 + 20", -1,
                            &statement, NULL), "prepare");
    while (!atomic_load(&go)) sched_yield();
    long ops = 0;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        sqlite3_bind_int64(statement, 1, ops % 900);
        if (sqlite3_step(statement) != SQLITE_ROW) exit(1);
        sqlite3_reset(statement);
        narrows_op();
        ops++;
    }
    sqlite3_finalize(statement);
    atomic_fetch_add(&all, ops);
    return NULL;
}

int main(int argc, char **argv) {
    int threads = argc > 1 ? atoi(argv[1]) : 1;
    double seconds = argc > 2 ? atof(argv[2]) : 3;
    must(sqlite3_open_v2("file::memory:", &database,
                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_URI, NULL), "open");
    must(sqlite3_exec(database, "create table t(k integer primary key, v integer);"
                      "with recursive c(i) as (select 1 union all select i + 1 from c where i < 1000)"
                      "insert into t select i, i * 7 from c", NULL, NULL, NULL), "fill");
    pthread_t crew[256];
    for (int i = 0; i < threads; i++) pthread_create(&crew[i], NULL, work, NULL);
    atomic_store(&go, 1);
    struct timespec time = {(time_t)seconds, (long)((seconds - (long)seconds) * 1e9)};
    nanosleep(&time, NULL);
    atomic_store(&stop, 1);
    for (int i = 0; i < threads; i++) pthread_join(crew[i], NULL);
    printf("{\"threads\": %d, \"ops\": %ld, \"ops_per_s\": %.0f}\n", threads, atomic_load(&all),
           atomic_load(&all) / seconds);
    return 0;
}
