/* Events: which, when, on which thread, in which order, and setters as barriers. */
#include "check.h"
#include <sched.h>
#include <stdatomic.h>

/* What was told, in its order, and by which thread. */
static struct told {
    char kind; /* 'c' connection, 'e' expired, 'r' result, 'x' closed */
    tim_client client;
    int32_t status, code;
    uint64_t login_id;
    pthread_t thread;
} told[64];
static int told_count;
static atomic_int inside; /* callbacks that run now: never more than one of a client */

static void tell(struct told what) {
    /* Not under the lock, which would keep a second callback out. */
    CHECK_NUMBER(0, atomic_fetch_add(&inside, 1));
    change_begin();
    CHECK(told_count < 64);
    what.thread = pthread_self();
    told[told_count++] = what;
    change_end();
    sched_yield();
    CHECK_NUMBER(1, atomic_fetch_sub(&inside, 1));
}

static void tell_connection(tim_client client, int32_t status, int32_t code, const char *message,
                            uint64_t login_id, void *user_data) {
    CHECK(user_data == (void *)told);
    CHECK(message == tim_error_message(code));
    tell((struct told){.kind = 'c', .client = client, .status = status, .code = code,
                       .login_id = login_id});
}

static void tell_expired(tim_client client, int32_t code, const char *message, uint64_t login_id,
                         void *user_data) {
    CHECK(user_data == (void *)told);
    CHECK(message == tim_error_message(code));
    tell((struct told){.kind = 'e', .client = client, .code = code, .login_id = login_id});
}

static void tell_closed(tim_client client, void *user_data) {
    CHECK(user_data == (void *)told);
    tell((struct told){.kind = 'x', .client = client});
}

static void tell_result(int32_t code, const char *message, void *user_data) {
    CHECK(user_data == (void *)told);
    CHECK(message == tim_error_message(code));
    tell((struct told){.kind = 'r', .code = code});
}

/* A client that tells everything. */
static tim_client telling_client(const char *url, const char *more) {
    tim_client client = create_client(url, more);
    told_count = 0;
    CHECK_OK(tim_set_connection_callback(client, tell_connection, told));
    CHECK_OK(tim_set_user_sig_expired_callback(client, tell_expired, told));
    CHECK_OK(tim_set_closed_callback(client, tell_closed, told));
    return client;
}

/* Where something was told for the first time from `from` on; told_count if nowhere. */
static int position(char kind, int32_t status, int from) {
    while (from < told_count && !(told[from].kind == kind && told[from].status == status)) from++;
    return from;
}

static void a_login_is_told_from_connecting_to_closed(void) {
    tim_client client = telling_client(SERVER_URL, "");
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, tell_result, told));
    WAIT_UNTIL(position('r', 0, 0) < told_count &&
               position('c', TIM_CONNECTION_STATUS_CONNECTED, 0) < told_count);
    DESTROY(client);

    const int result = position('r', 0, 0);
    const int connected = position('c', TIM_CONNECTION_STATUS_CONNECTED, 0);
    CHECK_CODE(TIM_OK, told[result].code);
    /* Completions come before the events of the same step. */
    CHECK(result < connected);
    /* "Connecting" may have been replaced by the newer "connected", but never follows it. */
    CHECK(position('c', TIM_CONNECTION_STATUS_CONNECTING, connected) == told_count);
    /* The closed event is the last of all. */
    CHECK_NUMBER(told_count - 1, position('x', 0, 0));
    for (int i = 0; i < told_count; i++) {
        if (told[i].kind == 'c') CHECK_NUMBER(1, told[i].login_id);
        if (told[i].kind != 'r') CHECK_NUMBER(client, told[i].client);
        /* One thread, which is not ours. */
        CHECK(pthread_equal(told[i].thread, told[0].thread));
        CHECK(!pthread_equal(told[i].thread, pthread_self()));
    }
}

static void a_server_that_is_not_there_is_told_with_its_cause(void) {
    tim_client client = telling_client(CLOSED_URL, ", \"login_timeout_ms\": 300");
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, tell_result, told));
    WAIT_UNTIL(position('r', 0, 0) < told_count);
    DESTROY(client);
    const int failed = position('c', TIM_CONNECTION_STATUS_CONNECT_FAILED, 0);
    CHECK(failed < told_count);
    CHECK_CODE(TIM_ERR_CONNECT_REFUSED, told[failed].code);
}

static void an_expired_ticket_completes_first_and_is_an_event_then(void) {
    tim_client client = telling_client(SERVER_URL, "");
    CHECK_OK(tim_login(client, "alice", SIG_ALICE_EXPIRED, tell_result, told));
    WAIT_UNTIL(position('e', 0, 0) < told_count);
    DESTROY(client);
    const int result = position('r', 0, 0), expired = position('e', 0, 0);
    CHECK(result < expired);
    CHECK_CODE(TIM_ERR_USER_SIG_EXPIRED, told[result].code);
    CHECK_CODE(TIM_ERR_USER_SIG_EXPIRED, told[expired].code);
    CHECK_NUMBER(1, told[expired].login_id);
    /* Once. */
    CHECK_NUMBER(told_count, position('e', 0, expired + 1));
}

static void a_session_ends_with_its_ticket(void) {
    tim_client client = telling_client(SERVER_URL, "");
    LOG_IN(client, "carol", given("TIM_TEST_SIG_CAROL_SHORT")); /* ends within seconds */
    WAIT_UNTIL(position('e', 0, 0) < told_count);
    CHECK_CODE(TIM_ERR_USER_SIG_EXPIRED, told[position('e', 0, 0)].code);
    CHECK_NUMBER(TIM_LOGIN_STATUS_LOGGED_OUT, tim_get_login_status(client));
    DESTROY(client);
}

static void completions_run_in_the_order_of_their_calls(void) {
    tim_client client = telling_client(SILENT_URL, ", \"request_timeout_ms\": 300");
    static const int32_t expected[] = {TIM_ERR_LOGGED_OUT_DURING_LOGIN, TIM_OK};
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, tell_result, told));
    CHECK_OK(tim_logout(client, tell_result, told));
    WAIT_UNTIL(position('r', 0, position('r', 0, 0) + 1) < told_count);
    DESTROY(client);
    int at = -1;
    for (int i = 0; i < 2; i++) {
        at = position('r', 0, at + 1);
        CHECK_CODE(expected[i], told[at].code);
    }
}

/* ---- a completion never runs inside its call ---- */

struct nested {
    tim_client client;
    int calling;
    struct result inner;
    int inner_ran_inside;
};

static void nested_result(int32_t code, const char *message, void *user_data) {
    struct nested *nested = (struct nested *)user_data;
    nested->inner_ran_inside = nested->calling;
    keep_result(code, message, &nested->inner);
}

static void call_inside(int32_t code, const char *message, void *user_data) {
    struct nested *nested = (struct nested *)user_data;
    (void)code;
    (void)message;
    nested->calling = 1;
    CHECK_OK(tim_logout(nested->client, nested_result, nested));
    nested->calling = 0;
}

static void a_call_inside_a_callback_completes_after_that_callback(void) {
    struct nested nested = {.client = create_client(CLOSED_URL, "")};
    CHECK_OK(tim_logout(nested.client, call_inside, &nested));
    CHECK_RESULT(TIM_OK, nested.inner);
    CHECK_NUMBER(0, nested.inner_ran_inside);
    DESTROY(nested.client);
}

/* ---- setters are barriers ---- */

struct setter {
    tim_client client;
    struct door door;
    int calls;    /* the setter is about to be called */
    int returned; /* the setter has returned */
};

static void stops_at_door_and_watches(tim_client client, int32_t status, int32_t code,
                                      const char *message, uint64_t login_id, void *user_data) {
    struct setter *setter = (struct setter *)user_data;
    (void)client, (void)status, (void)code, (void)message, (void)login_id;
    door_pass(&setter->door);
    /* For a while the setter has every chance to return too early. */
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 100 * 1000 * 1000;
    if (until.tv_nsec >= 1000 * 1000 * 1000) until.tv_sec++, until.tv_nsec -= 1000 * 1000 * 1000;
    pthread_mutex_lock(&check_lock);
    while (!setter->returned &&
           pthread_cond_timedwait(&check_changed, &check_lock, &until) != ETIMEDOUT) {}
    CHECK_NUMBER(0, setter->returned);
    pthread_mutex_unlock(&check_lock);
}

static void *remove_callback(void *argument) {
    struct setter *setter = (struct setter *)argument;
    change_begin();
    setter->calls = 1;
    change_end();
    CHECK_OK(tim_set_connection_callback(setter->client, NULL, NULL));
    change_begin();
    setter->returned = 1;
    change_end();
    return NULL;
}

static void a_setter_waits_for_the_old_callback_to_return(void) {
    tim_client client = create_client(CLOSED_URL, ", \"login_timeout_ms\": 300");
    struct setter setter = {.client = client};
    pthread_t thread;
    CHECK_OK(tim_set_connection_callback(client, stops_at_door_and_watches, &setter));
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, NULL, NULL));
    WAIT_UNTIL(setter.door.reached > 0);
    CHECK(pthread_create(&thread, NULL, remove_callback, &setter) == 0);
    WAIT_UNTIL(setter.calls);
    door_open(&setter.door);
    CHECK(pthread_join(thread, NULL) == 0);
    /* The old callback's data may go: it will not run again. */
    const int reached = setter.door.reached;
    struct result logout = {0};
    CHECK_OK(tim_logout(client, keep_result, &logout));
    WAIT_UNTIL(logout.runs == 1);
    CHECK_NUMBER(reached, setter.door.reached);
    DESTROY(client);
}

static void a_setter_says_busy_when_the_old_callback_does_not_return(void) {
    tim_client client = create_client(CLOSED_URL, ", \"login_timeout_ms\": 300");
    struct setter setter = {.client = client};
    struct result login = {0};
    told_count = 0;
    CHECK_OK(tim_set_connection_callback(client, stops_at_door_and_watches, &setter));
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, keep_result, &login));
    WAIT_UNTIL(setter.door.reached > 0);
    CHECK_CODE(TIM_ERR_BUSY, tim_set_connection_callback(client, tell_connection, told));
    /* Of another kind, or of another client, nobody is waited for. */
    CHECK_OK(tim_set_closed_callback(client, NULL, NULL));
    door_open(&setter.door);
    /* The new one is set. */
    WAIT_UNTIL(login.runs);
    WAIT_UNTIL(told_count > 0);
    CHECK_NUMBER(1, setter.door.reached);
    CHECK_OK(tim_set_connection_callback(client, NULL, NULL));
    DESTROY(client);
}

static int32_t set_inside;

static void connection_sets_inside(tim_client client, int32_t status, int32_t code,
                                   const char *message, uint64_t login_id, void *user_data) {
    (void)status, (void)code, (void)message, (void)login_id, (void)user_data;
    const int32_t set = tim_set_connection_callback(client, tell_connection, told);
    change_begin();
    set_inside = set;
    change_end();
}

static void a_setter_inside_a_callback_does_not_wait_but_holds(void) {
    tim_client client = create_client(SERVER_URL, "");
    struct result login = {0};
    told_count = 0;
    set_inside = TIM_OK;
    CHECK_OK(tim_set_connection_callback(client, connection_sets_inside, NULL));
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, keep_result, &login));
    CHECK_RESULT(TIM_OK, login);
    WAIT_UNTIL(set_inside != TIM_OK);
    CHECK_CODE(TIM_ERR_IN_CALLBACK, set_inside);
    LOG_OUT(client);
    WAIT_UNTIL(position('c', TIM_CONNECTION_STATUS_DISCONNECTED, 0) < told_count);
    DESTROY(client);
}

int main(void) {
    a_session_ends_with_its_ticket(); /* first, while the ticket is good */
    a_login_is_told_from_connecting_to_closed();
    a_server_that_is_not_there_is_told_with_its_cause();
    an_expired_ticket_completes_first_and_is_an_event_then();
    completions_run_in_the_order_of_their_calls();
    a_call_inside_a_callback_completes_after_that_callback();
    a_setter_waits_for_the_old_callback_to_return();
    a_setter_says_busy_when_the_old_callback_does_not_return();
    a_setter_inside_a_callback_does_not_wait_but_holds();
    return 0;
}
