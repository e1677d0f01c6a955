// A disk without luck, preloaded into the server: it keeps beside the real folder what a power cut could not take.
//
// At a sync of a file its bytes go to SHADOW/files/<identity>, at a sync of a folder its entries go to
// SHADOW/folders/<identity>; nothing else is remembered. An identity is the inode with its time of birth. While the
// file FAULTS exists, calls on matching paths fail as it says: "<errno> <calls> <part of the path>", where calls are
// w (write), s (sync of a file) and o (making a file). After a failed sync a file's bytes never come to the shadow,
// as a kernel forgets what it could not write; SQLite's files, which it writes again, are spared.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, ID_BYTES = 64, LOST_MAX = 256 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char data[PATH_BYTES], shadow[PATH_BYTES], faults[PATH_BYTES];
static char lost[LOST_MAX][ID_BYTES];
static int lost_count;
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_open)(const char *, int, ...);

__attribute__((constructor)) static void begin(void) {
    const char *values[] = {getenv("POWER_DATA"), getenv("POWER_SHADOW"), getenv("POWER_FAULTS")};
    char *places[] = {data, shadow, faults};
    for (int i = 0; i < 3; i++) {
        if (!values[i]) {
            fprintf(stderr, "shadow: POWER_DATA, POWER_SHADOW and POWER_FAULTS must be set\n");
            abort();
        }
        snprintf(places[i], PATH_BYTES, "%s", values[i]);
    }
    real_write = dlsym(RTLD_NEXT, "write");
    real_writev = dlsym(RTLD_NEXT, "writev");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_open = dlsym(RTLD_NEXT, "open64");
}

static int is_ours(const char *path) {
    size_t length = strlen(data);
    return length && !strncmp(path, data, length) && (path[length] == '/' || !path[length]);
}

// The path of an open file; 0 when it is none of the server's data.
static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_BYTES - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return is_ours(path);
}

static int identity(int fd, const char *name, char *id, int *is_folder) {
    struct statx s;
    int flags = name[0] ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH;
    if (statx(fd, name, flags, STATX_INO | STATX_TYPE | STATX_BTIME, &s)) return 0;
    snprintf(id, ID_BYTES, "%llu-%lld.%09u", (unsigned long long)s.stx_ino, (long long)s.stx_btime.tv_sec, s.stx_btime.tv_nsec);
    *is_folder = S_ISDIR(s.stx_mode);
    return 1;
}

// Whether a call on a path is to fail now; sets errno.
static int fails(char call, const char *path) {
    int fd = real_open(faults, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    char text[256] = {0}, calls[16] = {0}, part[128] = {0};
    int code = 0;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    if (got <= 0 || sscanf(text, "%d %15s %127s", &code, calls, part) < 2) return 0;
    if (!strchr(calls, call) || (part[0] && !strstr(path, part))) return 0;
    errno = code;
    return 1;
}

static void put(const char *folder, const char *id, int (*fill)(int, int, const char *), int fd, const char *path) {
    char staged[PATH_BYTES * 2], named[PATH_BYTES * 2];
    snprintf(named, sizeof named, "%s/%s/%s", shadow, folder, id);
    snprintf(staged, sizeof staged, "%s/%s/%s.new", shadow, folder, id);
    int out = real_open(staged, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (out < 0 || !fill(out, fd, path) || close(out) || rename(staged, named)) {
        fprintf(stderr, "shadow: cannot keep %s: %s\n", path, strerror(errno));
        abort();
    }
}

static int fill_file(int out, int fd, const char *path) {
    char link[64], buffer[65536];
    (void)path;
    // Opened again: the server's own may be for writing only.
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int in = real_open(link, O_RDONLY | O_CLOEXEC);
    if (in < 0) return 0;
    ssize_t got;
    while ((got = read(in, buffer, sizeof buffer)) > 0)
        if (real_write(out, buffer, got) != got) return 0;
    close(in);
    return got == 0;
}

static int fill_folder(int out, int fd, const char *path) {
    (void)fd;
    DIR *folder = opendir(path);
    if (!folder) return 0;
    struct dirent *entry;
    while ((entry = readdir(folder))) {
        char id[ID_BYTES], line[PATH_BYTES];
        int is_folder;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        // Gone between the listing and now: as if it had gone before.
        if (!identity(dirfd(folder), entry->d_name, id, &is_folder)) continue;
        int length = snprintf(line, sizeof line, "%s %c %s\n", id, is_folder ? 'd' : 'f', entry->d_name);
        if (real_write(out, line, length) != length) return 0;
    }
    closedir(folder);
    return 1;
}

static int is_lost(const char *id) {
    for (int i = 0; i < lost_count; i++)
        if (!strcmp(lost[i], id)) return 1;
    return 0;
}

static int sync_fd(int fd) {
    char path[PATH_BYTES], id[ID_BYTES];
    int is_folder, failed = 0;
    if (!path_of(fd, path) || !identity(fd, "", id, &is_folder)) return 0;
    pthread_mutex_lock(&lock);
    if (!is_folder && fails('s', path)) {
        failed = errno;
        if (!strstr(path, "meta.sqlite") && lost_count < LOST_MAX) strcpy(lost[lost_count++], id);
    } else if (is_folder) {
        put("folders", id, fill_folder, fd, path);
    } else if (!is_lost(id)) {
        put("files", id, fill_file, fd, path);
    }
    pthread_mutex_unlock(&lock);
    errno = failed;
    return failed ? -1 : 0;
}

int fsync(int fd) { return sync_fd(fd); }
int fdatasync(int fd) { return sync_fd(fd); }

// A disk that is full takes the first half of a large write.
static int refuses(int fd, size_t *count) {
    char path[PATH_BYTES];
    static int turn;
    if (access(faults, F_OK) || !path_of(fd, path) || !fails('w', path)) return 0;
    if (errno == ENOSPC && *count > 64 && turn++ % 2 == 0) {
        *count /= 2;
        return 0;
    }
    return 1;
}

ssize_t write(int fd, const void *bytes, size_t count) { return refuses(fd, &count) ? -1 : real_write(fd, bytes, count); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    size_t none = 0;
    return refuses(fd, &none) ? -1 : real_writev(fd, parts, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t at) {
    return refuses(fd, &count) ? -1 : real_pwrite(fd, bytes, count, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { return pwrite64(fd, bytes, count, at); }

static int opened(const char *path, int flags, int mode) {
    if ((flags & O_CREAT) && is_ours(path) && access(path, F_OK) && fails('o', path)) return -1;
    return real_open(path, flags, mode);
}

#define OPENS(name)                                    \
    int name(const char *path, int flags, ...) {       \
        va_list rest;                                  \
        va_start(rest, flags);                         \
        int mode = flags & O_CREAT ? va_arg(rest, int) : 0; \
        va_end(rest);                                  \
        return opened(path, flags, mode);              \
    }
OPENS(open)
OPENS(open64)
