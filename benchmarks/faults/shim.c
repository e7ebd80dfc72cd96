/* Faults of system calls on files below one directory, and of the clock; preloaded into a server.
 *
 * A shared page says what is wrong at this moment, see shim.py. Calls made inside libc (stdio) do not pass
 * here; SQLite, tantivy and Python call these functions from outside. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, RENAME = 4, OPEN = 8, TRUNCATE = 16, UNLINK = 32 };

struct state {
    int64_t clock_offset; /* nanoseconds */
    int32_t calls;        /* which calls fail */
    int32_t error;        /* with which errno */
    int32_t per_mille;    /* how often */
    int32_t seed;
    char directory[4000];
};

static struct state nothing;
static volatile struct state *state = &nothing;
static unsigned dice;

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("FAULTS_STATE");
    int file = name ? open(name, O_RDWR) : -1;
    if (file < 0) return;
    void *page = mmap(NULL, sizeof nothing, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (page == MAP_FAILED) return;
    state = page;
    dice = (unsigned)state->seed ^ (unsigned)getpid();
}

static int below(const char *path) {
    size_t length = strlen((const char *)state->directory);
    return length && !strncmp(path, (const char *)state->directory, length);
}

static int fails(int call) {
    if (!(state->calls & call) || (int)(rand_r(&dice) % 1000) >= state->per_mille) return 0;
    errno = state->error;
    return 1;
}

static int path_fails(int call, const char *path) {
    char whole[4096];
    if (!(state->calls & call)) return 0;
    if (path[0] == '/') return below(path) && fails(call);
    return realpath(path, whole) && below(whole) && fails(call);
}

static int file_fails(int call, int file) {
    char name[64], path[4096];
    if (!(state->calls & call)) return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return below(path) && fails(call);
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

ssize_t write(int file, const void *data, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    return file_fails(WRITE, file) ? -1 : real(file, data, size);
}
ssize_t pwrite(int file, const void *data, size_t size, off_t place) {
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    return file_fails(WRITE, file) ? -1 : real(file, data, size, place);
}
ssize_t pwrite64(int file, const void *data, size_t size, off64_t place) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    return file_fails(WRITE, file) ? -1 : real(file, data, size, place);
}
int fsync(int file) {
    REAL(int, "fsync", int);
    return file_fails(SYNC, file) ? -1 : real(file);
}
int fdatasync(int file) {
    REAL(int, "fdatasync", int);
    return file_fails(SYNC, file) ? -1 : real(file);
}
int ftruncate(int file, off_t size) {
    REAL(int, "ftruncate", int, off_t);
    return file_fails(TRUNCATE, file) ? -1 : real(file, size);
}
int ftruncate64(int file, off64_t size) {
    REAL(int, "ftruncate64", int, off64_t);
    return file_fails(TRUNCATE, file) ? -1 : real(file, size);
}
int rename(const char *old, const char *new) {
    REAL(int, "rename", const char *, const char *);
    return path_fails(RENAME, new) ? -1 : real(old, new);
}
int renameat(int at, const char *old, int to, const char *new) {
    REAL(int, "renameat", int, const char *, int, const char *);
    return path_fails(RENAME, new) ? -1 : real(at, old, to, new);
}
int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    return path_fails(UNLINK, path) ? -1 : real(path);
}

#define OPENS(name) \
    int name(const char *path, int flags, ...) { \
        REAL(int, #name, const char *, int, ...); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = va_arg(rest, mode_t); \
        va_end(rest); \
        if (flags & (O_WRONLY | O_RDWR | O_CREAT) && path_fails(OPEN, path)) return -1; \
        return real(path, flags, mode); \
    }
OPENS(open)
OPENS(open64)

int clock_gettime(clockid_t clock, struct timespec *time) {
    REAL(int, "clock_gettime", clockid_t, struct timespec *);
    int result = real(clock, time);
    if (!result && clock == CLOCK_REALTIME && state->clock_offset) {
        int64_t now = time->tv_sec * 1000000000LL + time->tv_nsec + state->clock_offset;
        time->tv_sec = now / 1000000000LL;
        time->tv_nsec = now % 1000000000LL;
    }
    return result;
}
int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result) *result = now.tv_sec;
    return now.tv_sec;
}
