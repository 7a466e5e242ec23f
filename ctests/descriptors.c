/* Descriptors: the standard streams stay the host's, and a forked child keeps none of the library's and
 * loses none of its own. */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define FDS 256

/* Describes a descriptor; "" if it is not open. */
static const char *what_is(int fd) {
    static char target[128];
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const ssize_t length = readlink(path, target, sizeof target - 1);
    target[length < 0 ? 0 : length] = '\0';
    return target;
}

/* ---- the standard streams ---- */

static int log_seen;

static void streams_are_closed(int32_t level, const char *line, void *user_data) {
    (void)level, (void)line, (void)user_data;
    for (int fd = 0; fd < 3; fd++) CHECK(fcntl(fd, F_GETFD) < 0);
    change_begin();
    log_seen++;
    change_end();
}

static void a_closed_standard_stream_is_never_taken(void) {
    int kept[3];
    for (int fd = 0; fd < 3; fd++) {
        kept[fd] = fcntl(fd, F_DUPFD, 10);
        CHECK(kept[fd] >= 10);
    }
    CHECK_OK(tim_set_log_callback(streams_are_closed, NULL, TIM_LOG_LEVEL_DEBUG));
    for (int fd = 0; fd < 3; fd++) close(fd);
    tim_client client = create_client(SERVER_URL, "");
    LOG_IN(client, "alice", SIG_ALICE);
    streams_are_closed(0, "", NULL);
    LOG_OUT(client);
    DESTROY(client);
    client = create_client(SILENT_URL, ", \"login_timeout_ms\": 200");
    struct result result = {0};
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, keep_result, &result));
    CHECK_RESULT(TIM_ERR_RESPONSE_TIMEOUT, result);
    DESTROY(client);
    for (int fd = 0; fd < 3; fd++) {
        CHECK(dup2(kept[fd], fd) == fd);
        close(kept[fd]);
    }
    CHECK_OK(tim_set_log_callback(NULL, NULL, TIM_LOG_LEVEL_OFF));
    CHECK(log_seen > 4);
}

/* ---- forks at any moment ---- */

static volatile int stop;

/* Opens and closes connections endlessly. */
static void *connect_without_end(void *argument) {
    const char *url = (const char *)argument;
    while (!stop) {
        struct result login = {0}, logout = {0};
        tim_client client = create_client(url, ", \"login_timeout_ms\": 100");
        CHECK_OK(tim_login(client, "alice", SIG_ALICE, keep_result, &login));
        WAIT_UNTIL(login.runs);
        CHECK_OK(tim_logout(client, keep_result, &logout));
        DESTROY(client);
    }
    return NULL;
}

#define OWN 8

/* Whether a socket is or was connected, or connecting: then it has a port. */
static int has_a_port(int fd) {
    struct sockaddr_in address = {0};
    socklen_t length = sizeof address;
    return getsockname(fd, (struct sockaddr *)&address, &length) == 0 && address.sin_port != 0;
}

/* In a child: returns 0 if its own descriptors are intact and no other keeps a connection open. */
static int look(const int own[OWN], int before) {
    for (int i = 0; i < OWN; i++)
        if (fcntl(own[i], F_GETFD) < 0 || !strstr(what_is(own[i]), "/dev/null")) return 2;
    for (int fd = before; fd < FDS; fd++)
        if (strstr(what_is(fd), "socket:") && has_a_port(fd)) return 3;
    return 0;
}

MAY_BE_UNUSED static void a_fork_at_any_moment(const char *url) {
    pthread_t threads[3];
    int before = 3;
    while (before < FDS && fcntl(before, F_GETFD) >= 0) before++;
    stop = 0;
    for (int i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, connect_without_end, (void *)(uintptr_t)url) == 0);
    for (int i = 0; i < 300; i++) {
        int own[OWN], status = 0;
        /* They reuse the numbers that a client has just released. */
        for (int at = 0; at < OWN; at++) CHECK((own[at] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0);
        const pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            const int found = look(own, before);
            if (found) _exit(found);
            execlp("true", "true", (char *)NULL);
            _exit(1);
        }
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status));
        if (WEXITSTATUS(status) == 2) check_failed(__FILE__, __LINE__, "fork %d: the child lost its own", i);
        if (WEXITSTATUS(status) == 3) check_failed(__FILE__, __LINE__, "fork %d: a connection is left", i);
        CHECK_NUMBER(0, WEXITSTATUS(status));
        for (int at = 0; at < OWN; at++) close(own[at]);
    }
    stop = 1;
    for (int i = 0; i < 3; i++) CHECK(pthread_join(threads[i], NULL) == 0);
}

int main(void) {
    a_closed_standard_stream_is_never_taken();
#if !defined(__SANITIZE_ADDRESS__)
    /* AddressSanitizer's allocator leaves its own lock held when another thread allocates. */
    a_fork_at_any_moment(SERVER_URL);
    a_fork_at_any_moment(SILENT_URL);
#endif
    return 0;
}
