/* Preloaded into the processes under test: a full disk, a wrong clock, and death with the harness.

   CHAOS_FULL          while a file of this name exists, writing to a regular file fails with ENOSPC
   CHAOS_CLOCK         a file that begins with a long: seconds by which the wall clock of all is wrong, at any moment
   CHAOS_SKEW_SECONDS  seconds by which the wall clock of this process is wrong; the monotonic clock stays true
   CHAOS_TIED          set: the process dies when the one that started it does

   Standard input, output and error are spared: logs are kept on another disk. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static const char *flag;
static const long right = 0;
static const volatile long *wrong = &right;
static long skew;

__attribute__((constructor)) static void begin(void) {
    const char *seconds = getenv("CHAOS_SKEW_SECONDS");
    flag = getenv("CHAOS_FULL");
    skew = seconds ? atol(seconds) : 0;
    if (getenv("CHAOS_CLOCK")) {
        int fd = open(getenv("CHAOS_CLOCK"), O_RDONLY | O_CLOEXEC);
        void *page = mmap(NULL, sizeof(long), PROT_READ, MAP_SHARED, fd, 0);
        if (page != MAP_FAILED) wrong = page;
        close(fd);
    }
    if (getenv("CHAOS_TIED")) prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static int full(int fd) {
    struct stat about;
    int before = errno, yes;
    if (!flag || fd <= 2) return 0;
    yes = access(flag, F_OK) == 0 && fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
    errno = yes ? ENOSPC : before;
    return yes;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRITER(name, fd, signature, arguments)                                                                         \
    ssize_t name signature {                                                                                           \
        static __typeof__(&name) real;                                                                                 \
        if (!real) real = REAL(name);                                                                                  \
        return full(fd) ? -1 : real arguments;                                                                         \
    }

WRITER(write, fd, (int fd, const void *data, size_t size), (fd, data, size))
WRITER(writev, fd, (int fd, const struct iovec *parts, int count), (fd, parts, count))
WRITER(pwrite, fd, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
WRITER(pwrite64, fd, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))

ssize_t sendfile64(int out, int in, off64_t *at, size_t size) {
    static ssize_t (*real)(int, int, off64_t *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "sendfile64");
    return full(out) ? -1 : real(out, in, at, size);
}

ssize_t sendfile(int out, int in, off_t *at, size_t size) {
    static ssize_t (*real)(int, int, off_t *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "sendfile");
    return full(out) ? -1 : real(out, in, at, size);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static __typeof__(&clock_gettime) real;
    int answer;
    if (!real) real = REAL(clock_gettime);
    answer = real(clock, now);
    if (answer == 0 && clock == CLOCK_REALTIME) now->tv_sec += skew + *wrong;
    return answer;
}

time_t time(time_t *also) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (also) *also = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}
