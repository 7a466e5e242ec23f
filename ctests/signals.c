/* Signals: what a callback raises reaches the app, what it spawns can be terminated, and what the app keeps
 * for itself never comes to a thread of the library. */
#define _GNU_SOURCE
#include "check.h"
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>

extern char **environ;

/* Runs `inside` in a callback of a client that is created here. */
static void in_a_callback(tim_result_callback inside, struct result *result) {
    tim_client client = create_client(CLOSED_URL, "");
    CHECK_OK(tim_logout(client, inside, result));
    WAIT_UNTIL(result->runs > 0);
    DESTROY(client);
}

/* ---- faults ---- */

static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGABRT};
#define FAULTS (sizeof faults / sizeof *faults)

static sigjmp_buf back;
static volatile sig_atomic_t caught;

static void recover(int signal) {
    caught = signal;
    siglongjmp(back, 1);
}

static void *forbidden; /* an inaccessible page */

static void fault(int32_t code, const char *message, void *user_data) {
    /* As in a runtime that turns faults into exceptions. */
    if (!IN_MEMCHECK) { /* which rightly reports it as an error of this program */
        if (!sigsetjmp(back, 1)) {
            *(volatile char *)forbidden = 1;
            CHECK(!"a fault");
        }
        CHECK_NUMBER(SIGSEGV, caught);
    }
    for (volatile size_t i = 0; i < FAULTS; i++) {
        caught = 0;
        if (!sigsetjmp(back, 1)) pthread_kill(pthread_self(), faults[i]);
        CHECK_NUMBER(faults[i], caught);
    }
    keep_result(code, message, user_data);
}

static void a_handler_recovers_faults_inside_a_callback(void) {
    struct result result = {0};
    struct sigaction action = {.sa_handler = recover}, before[FAULTS];
    forbidden = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(forbidden != MAP_FAILED);
    for (size_t i = 0; i < FAULTS; i++) CHECK(sigaction(faults[i], &action, &before[i]) == 0);
    in_a_callback(fault, &result);
    for (size_t i = 0; i < FAULTS; i++) CHECK(sigaction(faults[i], &before[i], NULL) == 0);
}

/* ---- what callbacks inherit ---- */

static sigset_t mask_inside;

static void look_at_the_mask(int32_t code, const char *message, void *user_data) {
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &mask_inside) == 0);
    keep_result(code, message, user_data);
}

static void a_callback_has_the_mask_of_the_thread_that_created_the_client(void) {
    sigset_t mask, before;
    sigemptyset(&mask);
    sigaddset(&mask, SIGHUP);
    sigaddset(&mask, SIGUSR1);
    CHECK(pthread_sigmask(SIG_SETMASK, &mask, &before) == 0);
    struct result result = {0};
    in_a_callback(look_at_the_mask, &result);
    for (int signal = 1; signal < 32; signal++) {
        if (signal == SIGKILL || signal == SIGSTOP) continue;
        if (sigismember(&mask, signal) != sigismember(&mask_inside, signal))
            check_failed(__FILE__, __LINE__, "signal %d", signal);
    }
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
}

static void spawn_and_terminate(int32_t code, const char *message, void *user_data) {
    char *arguments[] = {"sleep", "600", NULL};
    pid_t child;
    int status;
    CHECK(posix_spawnp(&child, "sleep", NULL, NULL, arguments, environ) == 0);
    CHECK(kill(child, SIGTERM) == 0);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    keep_result(code, message, user_data);
}

static void a_child_that_a_callback_spawns_can_be_terminated(void) {
    struct result result = {0};
    in_a_callback(spawn_and_terminate, &result);
}

/* ---- signals that stay the app's ---- */

static volatile sig_atomic_t handled;
static pthread_t handled_on;

static void note(int signal) {
    (void)signal;
    handled_on = pthread_self();
    handled++;
}

static int is_connected;

static void keep_connected(tim_client client, int32_t status, int32_t code, const char *message,
                           uint64_t login_id, void *user_data) {
    (void)client, (void)code, (void)message, (void)login_id, (void)user_data;
    change_begin();
    is_connected = status == TIM_CONNECTION_STATUS_CONNECTED;
    change_end();
}

static void the_apps_signals_never_come_to_an_idle_client(void) {
    static const int apps[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGALRM, SIGIO, SIGWINCH};
    tim_client client = create_client(SERVER_URL, "");
    CHECK_OK(tim_set_connection_callback(client, keep_connected, NULL));
    LOG_IN(client, "alice", SIG_ALICE);
    /* The last callback, which has the app's mask, is over once its setter has returned. */
    WAIT_UNTIL(is_connected);
    CHECK_OK(tim_set_connection_callback(client, NULL, NULL));
    for (size_t i = 0; i < sizeof apps / sizeof *apps; i++) {
        struct sigaction action = {.sa_handler = note}, old;
        sigset_t mask, before, pending;
        CHECK(sigaction(apps[i], &action, &old) == 0);
        sigemptyset(&mask);
        sigaddset(&mask, apps[i]);
        CHECK(pthread_sigmask(SIG_BLOCK, &mask, &before) == 0);
        handled = 0;
        /* No thread receives it: it stays pending until this one does. */
        CHECK(kill(getpid(), apps[i]) == 0);
        CHECK(sigpending(&pending) == 0);
        CHECK_NUMBER(1, sigismember(&pending, apps[i]));
        CHECK_NUMBER(0, handled);
        CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
        CHECK_NUMBER(1, handled);
        CHECK(pthread_equal(handled_on, pthread_self()));
        CHECK(sigaction(apps[i], &old, NULL) == 0);
    }
    DESTROY(client);
}

int main(void) {
    a_handler_recovers_faults_inside_a_callback();
    a_callback_has_the_mask_of_the_thread_that_created_the_client();
    a_child_that_a_callback_spawns_can_be_terminated();
    the_apps_signals_never_come_to_an_idle_client();
    return 0;
}
