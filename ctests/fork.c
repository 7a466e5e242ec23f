/* fork: the parent's clients do not belong to the child and are not disturbed by it. */
#include "check.h"
#include <fcntl.h>
#include <sys/wait.h>

/* Ends a child. Not with _exit: memcheck would count what the missing threads hold. */
static void end_child(void) {
    execlp("true", "true", (char *)NULL);
    _exit(1);
}

/* Runs in a child, which must exit with 0. */
static void in_a_child(void (*body)(tim_client), tim_client client) {
    int status = 0;
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        body(client);
        end_child();
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK_NUMBER(0, WEXITSTATUS(status));
}

static void the_parents_client_is_forked(tim_client client) {
    char text[64] = "#";
    size_t length = 42;
    int64_t ms = 42;
    CHECK_NUMBER(0, tim_get_login_status(client));
    CHECK_NUMBER(0, tim_get_connection_status(client));
    CHECK_NUMBER(0, tim_get_login_id(client));
    CHECK_CODE(TIM_ERR_FORKED, tim_login(client, "alice", SIG_ALICE, NULL, NULL));
    CHECK_CODE(TIM_ERR_FORKED, tim_logout(client, NULL, NULL));
    CHECK_CODE(TIM_ERR_FORKED, tim_get_login_user(client, text, sizeof text, &length));
    CHECK_CODE(TIM_ERR_FORKED, tim_get_server_time_ms(client, &ms));
    CHECK_CODE(TIM_ERR_FORKED, tim_get_last_error(client, text, sizeof text, &length));
    CHECK_CODE(TIM_ERR_FORKED, tim_set_connection_callback(client, NULL, NULL));
    CHECK_CODE(TIM_ERR_FORKED, tim_set_user_sig_expired_callback(client, NULL, NULL));
    CHECK_CODE(TIM_ERR_FORKED, tim_set_closed_callback(client, NULL, NULL));
    CHECK_CODE(TIM_ERR_FORKED, tim_client_destroy(client, 0));
    CHECK_CODE(TIM_ERR_FORKED, tim_client_destroy(client, 1000));
    CHECK_TEXT("#", text);
    CHECK_NUMBER(42, length);
    CHECK_NUMBER(42, ms);
    /* Functions without a client work. */
    CHECK_TEXT("TIM_ERR_FORKED", tim_error_name(TIM_ERR_FORKED));
    CHECK_OK(tim_set_log_callback(NULL, NULL, TIM_LOG_LEVEL_OFF));
}

static int own_fds[256]; /* descriptors open before the first client */

/* None of the library's descriptors is left: otherwise the server would not notice that the parent is gone. */
static void the_parents_descriptors_are_closed(tim_client client) {
    (void)client;
    for (int fd = 3; fd < 256; fd++) {
        char path[64], target[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        const ssize_t length = readlink(path, target, sizeof target - 1);
        if (length < 0) continue;
        target[length] = '\0';
        if (!own_fds[fd])
            check_failed(__FILE__, __LINE__, "descriptor %d is %s", fd, target);
    }
}

static void the_child_logs_in_with_its_own_client(tim_client parents) {
    tim_client client = create_client(SERVER_URL, "");
    CHECK(client != parents);
    LOG_IN(client, "bob", SIG_BOB);
    LOG_OUT(client);
    DESTROY(client);
    the_parents_client_is_forked(parents);
}

static void the_childs_child_too(tim_client client) { in_a_child(the_parents_client_is_forked, client); }

/* Threads that fork while others make calls: no lock may stay held in a child. */

static int stop;

static void *keep_calling(void *argument) {
    const tim_client client = *(tim_client *)argument;
    int stopped = 0;
    while (!stopped) {
        char text[64];
        (void)tim_get_login_user(client, text, sizeof text, NULL);
        (void)tim_set_connection_callback(client, NULL, NULL);
        (void)tim_set_log_callback(NULL, NULL, TIM_LOG_LEVEL_OFF);
        pthread_mutex_lock(&check_lock);
        stopped = stop;
        pthread_mutex_unlock(&check_lock);
    }
    return NULL;
}

MAY_BE_UNUSED static void a_fork_during_other_calls(tim_client client) {
    pthread_t thread;
    stop = 0;
    CHECK(pthread_create(&thread, NULL, keep_calling, &client) == 0);
    for (int i = 0; i < 20; i++) {
        /* This program's own lock must not stay held either. */
        pthread_mutex_lock(&check_lock);
        int status = 0;
        const pid_t child = fork();
        pthread_mutex_unlock(&check_lock);
        CHECK(child >= 0);
        if (child == 0) {
            the_parents_client_is_forked(client);
            tim_client own = create_client(CLOSED_URL, "");
            DESTROY(own);
            end_child();
        }
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    change_begin();
    stop = 1;
    change_end();
    CHECK(pthread_join(thread, NULL) == 0);
}

/* ---- handlers of the app's own, registered before and after the library's ---- */

static tim_client seen_by_handlers;

/* Any function may be called in a handler, in parent and child. */
MAY_BE_UNUSED static void call_everything(void) {
    char text[64], config[1024];
    tim_client own = 0;
    (void)tim_get_login_status(seen_by_handlers);
    (void)tim_get_login_user(seen_by_handlers, text, sizeof text, NULL);
    (void)tim_notify(seen_by_handlers, TIM_HINT_NETWORK_CHANGED);
    (void)tim_set_connection_callback(seen_by_handlers, NULL, NULL);
    config_for(config, sizeof config, CLOSED_URL, "");
    CHECK_OK(tim_client_create(config, &own, NULL, 0));
    CHECK_OK(tim_logout(own, NULL, NULL));
    /* The handlers of a fork inside a callback also run inside it. */
    const int32_t destroyed = tim_client_destroy(own, WAIT_S * 1000);
    CHECK(destroyed == TIM_OK || destroyed == TIM_ERR_IN_CALLBACK);
}

/* ---- a fork inside a callback ---- */

static pid_t forked;

static void fork_inside(int32_t code, const char *message, void *user_data) {
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        const tim_client client = *(tim_client *)user_data;
        the_parents_client_is_forked(client);
        /* Here the callback returns like any function, which ends the child. */
        return;
    }
    (void)code, (void)message;
    change_begin();
    forked = child;
    change_end();
}

static void a_child_of_a_callback_ends_when_it_returns(tim_client client) {
    int status = 0;
    CHECK_OK(tim_renew_user_sig(client, SIG_ALICE, fork_inside, &client));
    WAIT_UNTIL(forked);
    CHECK(waitpid(forked, &status, 0) == forked);
    CHECK(WIFEXITED(status));
    CHECK_NUMBER(0, WEXITSTATUS(status));
}

int main(void) {
    for (int fd = 3; fd < 256; fd++) own_fds[fd] = fcntl(fd, F_GETFD) >= 0;
#if !defined(__SANITIZE_ADDRESS__)
    CHECK(pthread_atfork(call_everything, call_everything, call_everything) == 0);
#endif
    tim_client client = create_client(SERVER_URL, "");
    seen_by_handlers = client;
    LOG_IN(client, "alice", SIG_ALICE);

    in_a_child(the_parents_client_is_forked, client);
    in_a_child(the_parents_descriptors_are_closed, client);
    in_a_child(the_child_logs_in_with_its_own_client, client);
    in_a_child(the_childs_child_too, client);
#if !defined(__SANITIZE_ADDRESS__)
    /* AddressSanitizer's allocator leaves its own lock held when another thread allocates. */
    a_fork_during_other_calls(client);
#endif

    /* memcheck counts what the missing threads hold. */
    if (!IN_MEMCHECK) a_child_of_a_callback_ends_when_it_returns(client);
#if !defined(__SANITIZE_ADDRESS__)
    CHECK(pthread_atfork(call_everything, call_everything, call_everything) == 0);
    in_a_child(the_child_logs_in_with_its_own_client, client);
#endif

    /* The parent was not disturbed. */
    CHECK_NUMBER(TIM_LOGIN_STATUS_LOGGED_IN, tim_get_login_status(client));
    CHECK_NUMBER(TIM_CONNECTION_STATUS_CONNECTED, tim_get_connection_status(client));
    LOG_OUT(client);
    DESTROY(client);
    return 0;
}
