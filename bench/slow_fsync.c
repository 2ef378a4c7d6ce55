/* Makes every sync take two milliseconds more, as on a disk that really writes, and counts them in the file that
   SLOW_FSYNC_COUNT names. Preloaded by the benchmark, which compiles it. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic unsigned long *syncs;

__attribute__((constructor)) static void open_the_count(void) {
    const char *path = getenv("SLOW_FSYNC_COUNT");
    int file = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (file < 0 || ftruncate(file, sizeof *syncs) != 0) return;
    void *page = mmap(0, sizeof *syncs, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) syncs = page;
}

static void wait_for_the_disk(void) {
    const struct timespec two_ms = {0, 2000000};
    nanosleep(&two_ms, 0);
    if (syncs) atomic_fetch_add(syncs, 1);
}

int fsync(int file) {
    wait_for_the_disk();
    return (int)syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    wait_for_the_disk();
    return (int)syscall(SYS_fdatasync, file);
}

int sync_file_range(int file, off64_t from, off64_t bytes, unsigned flags) {
    wait_for_the_disk();
    return (int)syscall(SYS_sync_file_range, file, from, bytes, flags);
}
