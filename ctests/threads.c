/* Every function on every thread at once: no crash, no hang, and each accepted call completes once. */
#include "check.h"

#define THREADS 6
#define ROUNDS 40

static long accepted, completed;

static void count(int32_t code, const char *message, void *user_data) {
    (void)user_data;
    CHECK(message == tim_error_message(code));
    change_begin();
    completed++;
    change_end();
}

static void ignore_connection(tim_client client, int32_t status, int32_t code, const char *message,
                              uint64_t login_id, void *user_data) {
    (void)client, (void)status, (void)code, (void)message, (void)login_id, (void)user_data;
}

/* A call that may be refused, but only for one of these reasons. */
static void call(int32_t code) {
    CHECK(code == TIM_OK || code == TIM_ERR_TOO_MANY_CALLS || code == TIM_ERR_CLOSING ||
          code == TIM_ERR_NO_SUCH_CLIENT);
    if (code == TIM_OK) {
        change_begin();
        accepted++;
        change_end();
    }
}

struct work {
    tim_client client;
    int number;
};

static void *use(void *argument) {
    const struct work *work = (const struct work *)argument;
    const tim_client client = work->client;
    char text[512];
    size_t length;
    int64_t ms;
    for (int round = 0; round < ROUNDS; round++) {
        const int even = (round + work->number) % 2 == 0;
        call(tim_login(client, even ? "alice" : "bob", even ? SIG_ALICE : SIG_BOB, count, NULL));
        const int32_t status = tim_get_login_status(client);
        CHECK(status >= 0 && status <= 3);
        (void)tim_get_login_user(client, text, sizeof text, &length);
        (void)tim_get_last_error(client, text, sizeof text, &length);
        (void)tim_get_kick_info(client, text, sizeof text, &length);
        (void)tim_get_connection_status(client);
        (void)tim_get_login_id(client);
        (void)tim_notify(client, even ? TIM_HINT_FOREGROUND : TIM_HINT_NETWORK_CHANGED);
        CHECK(tim_version_number() > 0 && tim_version()[0]);
        CHECK(tim_error_name(TIM_OK)[0] && tim_error_message(TIM_OK)[0]);
        CHECK_NUMBER(0, tim_error_is_retryable(TIM_OK));
        (void)tim_get_server_time_ms(client, &ms);
        (void)tim_set_connection_callback(client, even ? ignore_connection : NULL, NULL);
        (void)tim_set_user_sig_expired_callback(client, NULL, NULL);
        (void)tim_set_user_sig_expiring_callback(client, NULL, NULL);
        (void)tim_set_kicked_offline_callback(client, NULL, NULL);
        (void)tim_set_closed_callback(client, NULL, NULL);
        (void)tim_set_log_callback(NULL, NULL, TIM_LOG_LEVEL_WARN);
        if (round % 5 == work->number % 5) call(tim_renew_user_sig(client, SIG_ALICE, count, NULL));
        if (round % 3 == work->number % 3) call(tim_logout(client, count, NULL));
    }
    return NULL;
}

static void *destroy(void *argument) {
    const int32_t code = tim_client_destroy(*(tim_client *)argument, WAIT_S * 1000);
    CHECK(code == TIM_OK || code == TIM_ERR_NO_SUCH_CLIENT);
    return NULL;
}

static void run(void *(*body)(void *), void *arguments, size_t size, int count_of) {
    pthread_t threads[THREADS];
    for (int i = 0; i < count_of; i++)
        CHECK(pthread_create(&threads[i], NULL, body, (char *)arguments + (size_t)i * size) == 0);
    for (int i = 0; i < count_of; i++) CHECK(pthread_join(threads[i], NULL) == 0);
}

static void many_threads_share_a_client(void) {
    struct work work[THREADS];
    tim_client client = create_client(SERVER_URL, "");
    accepted = completed = 0;
    for (int i = 0; i < THREADS; i++) work[i] = (struct work){client, i};
    run(use, work, sizeof *work, THREADS);
    CHECK(accepted > 0);
    DESTROY(client);
    CHECK_NUMBER(accepted, completed);
}

static void a_client_is_destroyed_while_others_use_it(void) {
    for (int round = 0; round < 5; round++) {
        struct work work[THREADS];
        pthread_t users[THREADS];
        tim_client client = create_client(SERVER_URL, "");
        accepted = completed = 0;
        for (int i = 0; i < THREADS; i++) {
            work[i] = (struct work){client, i};
            CHECK(pthread_create(&users[i], NULL, use, &work[i]) == 0);
        }
        WAIT_UNTIL(accepted > 10 * round);
        /* With two at once, one may find the client gone. */
        tim_client both[2] = {client, client};
        run(destroy, both, sizeof *both, 2);
        for (int i = 0; i < THREADS; i++) CHECK(pthread_join(users[i], NULL) == 0);
        CHECK_NUMBER(accepted, completed);
    }
}

static void *live_and_die(void *argument) {
    (void)argument;
    for (int round = 0; round < 5; round++) {
        tim_client client = create_client(SERVER_URL, "");
        struct result login = {0}, logout = {0};
        CHECK_OK(tim_login(client, "alice", SIG_ALICE, keep_result, &login));
        WAIT_UNTIL(login.runs == 1);
        /* Another thread's alice may have taken over between the server's decision and its answer. */
        CHECK(login.code == TIM_OK || login.code == TIM_ERR_KICKED_OFFLINE);
        CHECK_OK(tim_logout(client, keep_result, &logout));
        CHECK_RESULT(TIM_OK, logout);
        DESTROY(client);
    }
    return NULL;
}

static void clients_live_and_die_on_many_threads(void) {
    char nothing[THREADS];
    run(live_and_die, nothing, 1, THREADS);
}

/* ---- a polled client ---- */

static void *use_polled(void *argument) {
    const tim_client client = *(tim_client *)argument;
    char line[256];
    size_t length;
    int32_t fd;
    tim_client found;
    for (int round = 0; round < ROUNDS; round++) {
        call(tim_login(client, "alice", SIG_ALICE, NULL, NULL));
        (void)tim_get_wakeup_fd(client, &fd);
        (void)tim_set_wakeup_callback(client, NULL, NULL);
        (void)tim_client_find("shared", &found);
        (void)tim_poll_log(TIM_LOG_LEVEL_DEBUG, NULL, line, sizeof line, &length);
        call(tim_logout(client, NULL, NULL));
        if (round == ROUNDS / 2) (void)tim_client_destroy(client, 0);
    }
    return NULL;
}

static void *poll_all(void *argument) {
    const tim_client client = *(tim_client *)argument;
    for (;;) {
        tim_event event;
        event.size = sizeof event;
        const int32_t code = tim_poll_event(client, 10, &event);
        if (code == TIM_ERR_NO_SUCH_CLIENT) return NULL;
        CHECK(code == TIM_OK || code == TIM_ERR_TIMEOUT || code == TIM_ERR_ALREADY_POLLING);
        if (code == TIM_OK && event.type == TIM_EVENT_COMPLETION) {
            change_begin();
            completed++;
            change_end();
        }
    }
}

static void many_threads_use_and_poll_a_client_that_one_destroys(void) {
    accepted = completed = 0;
    tim_client client = create_client(SERVER_URL, ", \"event_delivery\": \"poll\", \"name\": \"shared\"");
    pthread_t pollers[2], users[THREADS];
    for (int i = 0; i < 2; i++) CHECK(pthread_create(&pollers[i], NULL, poll_all, &client) == 0);
    for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&users[i], NULL, use_polled, &client) == 0);
    for (int i = 0; i < THREADS; i++) CHECK(pthread_join(users[i], NULL) == 0);
    for (int i = 0; i < 2; i++) CHECK(pthread_join(pollers[i], NULL) == 0);
    CHECK_NUMBER(accepted, completed);
    char line[256];
    (void)!tim_poll_log(TIM_LOG_LEVEL_OFF, NULL, line, sizeof line, NULL);
}

int main(void) {
    many_threads_use_and_poll_a_client_that_one_destroys();
    many_threads_share_a_client();
    a_client_is_destroyed_while_others_use_it();
    clients_live_and_die_on_many_threads();
    return 0;
}
