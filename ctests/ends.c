/* Ends: exit and fork in every state, no descriptors left over, no threads available. */
#define _GNU_SOURCE
#include "check.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* ---- the states ---- */

static struct door door;

static void exit_inside(int32_t code, const char *message, void *user_data) {
    (void)code, (void)message, (void)user_data;
    exit(7);
}

static tim_client created(void) { return create_client(SERVER_URL, ""); }

static tim_client waiting_for_an_answer(void) {
    tim_client client = create_client(SILENT_URL, "");
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, NULL, NULL));
    return client;
}

static tim_client between_two_attempts(void) {
    tim_client client = create_client(CLOSED_URL, "");
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, NULL, NULL));
    return client;
}

static tim_client logged_in(void) {
    tim_client client = created();
    LOG_IN(client, "alice", SIG_ALICE);
    return client;
}

static tim_client renewing(void) {
    tim_client client = logged_in();
    CHECK_OK(tim_renew_user_sig(client, SIG_ALICE, NULL, NULL));
    return client;
}

static tim_client logging_out(void) {
    tim_client client = logged_in();
    CHECK_OK(tim_logout(client, NULL, NULL));
    return client;
}

static tim_client closing(void) {
    tim_client client = logged_in();
    CHECK_CODE(TIM_ERR_BUSY, tim_client_destroy(client, 0));
    return client;
}

static tim_client in_a_callback_that_does_not_return(void) {
    tim_client client = created();
    CHECK_OK(tim_logout(client, stop_at_door, &door));
    WAIT_UNTIL(door.reached);
    return client;
}

static tim_client (*const states[])(void) = {
    created,   waiting_for_an_answer, between_two_attempts, logged_in, renewing, logging_out,
    closing,   in_a_callback_that_does_not_return,
};

/* Runs `body` in a child, which must end with this status. */
static void in_a_child(void (*body)(tim_client (*)(void)), tim_client (*state)(void), int expected) {
    int status = 0;
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(WAIT_S);
        body(state);
        _exit(1);
    }
    CHECK(waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status)) check_failed(__FILE__, __LINE__, "a child hung");
    CHECK_NUMBER(expected, WEXITSTATUS(status));
}

static void exits(tim_client (*state)(void)) {
    (void)state();
    exit(7);
}

static void exits_in_a_callback(tim_client (*state)(void)) {
    tim_client client = state();
    CHECK_OK(tim_logout(client, exit_inside, NULL));
    for (;;) pause();
}

static void forks(tim_client (*state)(void)) {
    tim_client client = state();
    int status = 0;
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        const int32_t code = tim_logout(client, NULL, NULL);
        /* A closing client may be gone by then. */
        CHECK(code == TIM_ERR_FORKED || code == TIM_ERR_NO_SUCH_CLIENT);
        CHECK_NUMBER(0, tim_get_login_status(client));
        exit(7);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    exit(WEXITSTATUS(status));
}

/* ---- a system without threads ---- */

static int no_threads;

/* Replaces the C library's: fails while `no_threads` is set. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
                   void *argument) {
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return no_threads ? EAGAIN : real(thread, attributes, start, argument);
}

static int open_descriptors(void) {
    int count = 0;
    for (int fd = 0; fd < 1024; fd++) count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static int32_t try_to_create(char *error, size_t capacity) {
    char config[256];
    tim_client client = 42;
    const int32_t code =
        tim_client_create(config_for(config, sizeof config, SERVER_URL, ""), &client, error, capacity);
    if (code == TIM_OK) DESTROY(client);
    else CHECK_NUMBER(42, client);
    return code;
}

static void no_thread_is_a_code_and_leaves_nothing_behind(void) {
    char error[200];
    CHECK_OK(try_to_create(error, sizeof error));
    const int before = open_descriptors();
    no_threads = 1;
    for (int i = 0; i < 50; i++) CHECK_CODE(TIM_ERR_SYSTEM, try_to_create(error, sizeof error));
    CHECK_HAS("thread", error);
    no_threads = 0;
    CHECK_NUMBER(before, open_descriptors());
    CHECK_OK(try_to_create(error, sizeof error));
}

static void no_descriptor_is_a_code_and_heals(void) {
    char error[200];
    struct rlimit limit, none;
    struct result login = {0};
    tim_client client = create_client(SERVER_URL, ", \"login_timeout_ms\": 300");
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    none = limit;
    none.rlim_cur = 3;
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    CHECK_CODE(TIM_ERR_SYSTEM, try_to_create(error, sizeof error));
    CHECK(error[0]);
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, keep_result, &login));
    CHECK_RESULT(TIM_ERR_NO_SOCKET, login);
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    LOG_IN(client, "alice", SIG_ALICE);
    DESTROY(client);
    CHECK_OK(try_to_create(error, sizeof error));
}

int main(void) {
    /* The children first: this process has no client yet for them to inherit. */
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        in_a_child(exits, states[i], 7);
        in_a_child(forks, states[i], 7);
    }
    in_a_child(exits_in_a_callback, created, 7);
    in_a_child(exits_in_a_callback, logged_in, 7);
    no_thread_is_a_code_and_leaves_nothing_behind();
    no_descriptor_is_a_code_and_heals();
    return 0;
}
