/* Records what a server does to the files of one folder: loaded before libc by LD_PRELOAD.
 *
 * TIM_RECORD_DIR names the folder, TIM_RECORD_FILE the record. Each entry is
 * `what u8 | length of name u16 | offset u64 | length of data u64 | name | data`, in this machine's byte
 * order. A write is in the record before the call returns, a sync only once it has succeeded. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, WRITE, TRUNCATE, SYNC, SYNC_FOLDER, RENAME, UNLINK };
enum { FILES = 4096 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *names[FILES]; /* of open files of the folder; "" is the folder itself */
static const char *folder;
static int record = -1;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void) {
    folder = getenv("TIM_RECORD_DIR");
    const char *file = getenv("TIM_RECORD_FILE");
    if (folder && file) {
        record = REAL(open)(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
}

static void add(uint8_t what, const char *name, uint64_t offset, const void *data, uint64_t length) {
    uint16_t name_length = (uint16_t)strlen(name);
    struct iovec parts[6] = {
        {&what, 1},      {&name_length, 2},          {&offset, 8},
        {&length, 8},    {(void *)name, name_length}, {(void *)data, data ? length : 0},
    };
    if (!data) {
        length = 0;
    }
    if (writev(record, parts, 6) < 0) {
        abort();
    }
}

/* The name within the folder, or NULL. The index of the log is memory, and nothing that is kept. */
static const char *within(const char *path) {
    if (record < 0 || !path) {
        return NULL;
    }
    size_t length = strlen(folder);
    if (strncmp(path, folder, length) != 0) {
        return NULL;
    }
    path += length;
    if (*path == '/') {
        path++;
    }
    size_t rest = strlen(path);
    return rest >= 4 && strcmp(path + rest - 4, "-shm") == 0 ? NULL : path;
}

static const char *named(int fd) { return fd >= 0 && fd < FILES ? names[fd] : NULL; }

static int opened(int fd, const char *path, int is_new) {
    const char *name = within(path);
    if (fd >= 0 && fd < FILES && name) {
        names[fd] = strdup(name);
        if (is_new) {
            add(CREATE, name, 0, NULL, 0);
        }
    }
    return fd;
}

static int open_it(const char *path, int flags, mode_t mode) {
    pthread_mutex_lock(&lock);
    int is_new = (flags & O_CREAT) && access(path, F_OK) != 0;
    int fd = opened(REAL(open)(path, flags, mode), path, is_new);
    pthread_mutex_unlock(&lock);
    return fd;
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return open_it(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return open_it(path, flags, mode);
}

int close(int fd) {
    pthread_mutex_lock(&lock);
    if (named(fd)) {
        free(names[fd]);
        names[fd] = NULL;
    }
    int result = REAL(close)(fd);
    pthread_mutex_unlock(&lock);
    return result;
}

ssize_t write(int fd, const void *data, size_t length) {
    if (!named(fd)) {
        return REAL(write)(fd, data, length);
    }
    pthread_mutex_lock(&lock);
    off_t at = lseek(fd, 0, SEEK_CUR);
    ssize_t done = REAL(write)(fd, data, length);
    if (done > 0) {
        add(WRITE, names[fd], (uint64_t)at, data, (uint64_t)done);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at) {
    pthread_mutex_lock(&lock);
    ssize_t done = REAL(pwrite64)(fd, data, length, at);
    if (done > 0 && named(fd)) {
        add(WRITE, names[fd], (uint64_t)at, data, (uint64_t)done);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at) { return pwrite64(fd, data, length, at); }

int ftruncate64(int fd, off64_t length) {
    pthread_mutex_lock(&lock);
    int result = REAL(ftruncate64)(fd, length);
    if (result == 0 && named(fd)) {
        add(TRUNCATE, names[fd], (uint64_t)length, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

static int synced(int fd, int result) {
    if (result == 0 && named(fd)) {
        add(*names[fd] ? SYNC : SYNC_FOLDER, names[fd], 0, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int fd) {
    pthread_mutex_lock(&lock);
    return synced(fd, REAL(fsync)(fd));
}

int fdatasync(int fd) {
    pthread_mutex_lock(&lock);
    return synced(fd, REAL(fdatasync)(fd));
}

int unlink(const char *path) {
    pthread_mutex_lock(&lock);
    int result = REAL(unlink)(path);
    const char *name = within(path);
    if (result == 0 && name) {
        add(UNLINK, name, 0, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int rename(const char *from, const char *to) {
    pthread_mutex_lock(&lock);
    int result = REAL(rename)(from, to);
    const char *old = within(from), *new = within(to);
    if (result == 0 && old && new) {
        add(RENAME, old, 0, new, strlen(new));
    }
    pthread_mutex_unlock(&lock);
    return result;
}

/* What is not recorded is not used: a store that came to use it would seem to lose what it wrote. */
#define REFUSED(name, ...)                                                                             \
    int name(__VA_ARGS__) {                                                                            \
        fprintf(stderr, "recorder.c does not record " #name "\n");                                     \
        abort();                                                                                       \
    }
REFUSED(sync_file_range, int fd, off64_t at, off64_t length, unsigned flags)
REFUSED(fallocate64, int fd, int mode, off64_t at, off64_t length)
REFUSED(posix_fallocate64, int fd, off64_t at, off64_t length)
