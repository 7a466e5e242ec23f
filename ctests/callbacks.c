/* Events: which, when, on which thread, in which order, and setters as barriers. */
#include "check.h"
#include <sched.h>
#include <stdatomic.h>

/* What the callbacks delivered, in order, and on which thread. */
static struct record {
    char kind; /* 'c' connection, 'e' expired, 'r' result, 'x' closed */
    tim_client client;
    int32_t status, code;
    uint64_t login_id;
    pthread_t thread;
} records[64];
static int record_count;
static atomic_int inside; /* running callbacks: never more than one per client */

static void add(struct record what) {
    /* Not under the lock, which would serialize the callbacks. */
    CHECK_NUMBER(0, atomic_fetch_add(&inside, 1));
    change_begin();
    CHECK(record_count < 64);
    what.thread = pthread_self();
    records[record_count++] = what;
    change_end();
    sched_yield();
    CHECK_NUMBER(1, atomic_fetch_sub(&inside, 1));
}

static void on_connection(tim_client client, int32_t status, int32_t code, const char *message,
                            uint64_t login_id, void *user_data) {
    CHECK(user_data == (void *)records);
    CHECK(message == tim_error_message(code));
    add((struct record){.kind = 'c', .client = client, .status = status, .code = code,
                       .login_id = login_id});
}

static void on_expired(tim_client client, int32_t code, const char *message, uint64_t login_id,
                         void *user_data) {
    CHECK(user_data == (void *)records);
    CHECK(message == tim_error_message(code));
    add((struct record){.kind = 'e', .client = client, .code = code, .login_id = login_id});
}

static void on_closed(tim_client client, void *user_data) {
    CHECK(user_data == (void *)records);
    add((struct record){.kind = 'x', .client = client});
}

static void on_result(int32_t code, const char *message, void *user_data) {
    CHECK(user_data == (void *)records);
    CHECK(message == tim_error_message(code));
    add((struct record){.kind = 'r', .code = code});
}

/* A client with every callback set. */
static tim_client telling_client(const char *url, const char *more) {
    tim_client client = create_client(url, more);
    record_count = 0;
    CHECK_OK(tim_set_connection_callback(client, on_connection, records));
    CHECK_OK(tim_set_user_sig_expired_callback(client, on_expired, records));
    CHECK_OK(tim_set_closed_callback(client, on_closed, records));
    return client;
}

/* The first record from `from` on that matches; record_count if none does. */
static int position(char kind, int32_t status, int from) {
    while (from < record_count && !(records[from].kind == kind && records[from].status == status)) from++;
    return from;
}

static void a_login_is_reported_from_connecting_to_closed(void) {
    tim_client client = telling_client(SERVER_URL, "");
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, on_result, records));
    WAIT_UNTIL(position('r', 0, 0) < record_count &&
               position('c', TIM_CONNECTION_STATUS_CONNECTED, 0) < record_count);
    DESTROY(client);

    const int result = position('r', 0, 0);
    const int connected = position('c', TIM_CONNECTION_STATUS_CONNECTED, 0);
    CHECK_CODE(TIM_OK, records[result].code);
    /* Completions are delivered before the events of the same step. */
    CHECK(result < connected);
    /* "Connecting" may have been replaced by the newer "connected", but never follows it. */
    CHECK(position('c', TIM_CONNECTION_STATUS_CONNECTING, connected) == record_count);
    /* The closed event is the last of all. */
    CHECK_NUMBER(record_count - 1, position('x', 0, 0));
    for (int i = 0; i < record_count; i++) {
        if (records[i].kind == 'c') CHECK_NUMBER(1, records[i].login_id);
        if (records[i].kind != 'r') CHECK_NUMBER(client, records[i].client);
        /* One thread, other than this one. */
        CHECK(pthread_equal(records[i].thread, records[0].thread));
        CHECK(!pthread_equal(records[i].thread, pthread_self()));
    }
}

static void a_server_that_is_not_there_is_reported_with_its_cause(void) {
    tim_client client = telling_client(CLOSED_URL, ", \"login_timeout_ms\": 300");
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, on_result, records));
    WAIT_UNTIL(position('r', 0, 0) < record_count);
    DESTROY(client);
    const int failed = position('c', TIM_CONNECTION_STATUS_CONNECT_FAILED, 0);
    CHECK(failed < record_count);
    CHECK_CODE(TIM_ERR_CONNECT_REFUSED, records[failed].code);
}

static void an_expired_ticket_completes_first_and_is_an_event_then(void) {
    tim_client client = telling_client(SERVER_URL, "");
    CHECK_OK(tim_login(client, "alice", SIG_ALICE_EXPIRED, on_result, records));
    WAIT_UNTIL(position('e', 0, 0) < record_count);
    DESTROY(client);
    const int result = position('r', 0, 0), expired = position('e', 0, 0);
    CHECK(result < expired);
    CHECK_CODE(TIM_ERR_USER_SIG_EXPIRED, records[result].code);
    CHECK_CODE(TIM_ERR_USER_SIG_EXPIRED, records[expired].code);
    CHECK_NUMBER(1, records[expired].login_id);
    /* Once. */
    CHECK_NUMBER(record_count, position('e', 0, expired + 1));
}

static void a_session_ends_with_its_ticket(void) {
    tim_client client = telling_client(SERVER_URL, "");
    LOG_IN(client, "carol", given("TIM_TEST_SIG_CAROL_SHORT")); /* ends within seconds */
    WAIT_UNTIL(position('e', 0, 0) < record_count);
    CHECK_CODE(TIM_ERR_USER_SIG_EXPIRED, records[position('e', 0, 0)].code);
    CHECK_NUMBER(TIM_LOGIN_STATUS_LOGGED_OUT, tim_get_login_status(client));
    DESTROY(client);
}

static void completions_run_in_the_order_of_their_calls(void) {
    tim_client client = telling_client(SILENT_URL, ", \"request_timeout_ms\": 300");
    static const int32_t expected[] = {TIM_ERR_LOGGED_OUT_DURING_LOGIN, TIM_OK};
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, on_result, records));
    CHECK_OK(tim_logout(client, on_result, records));
    WAIT_UNTIL(position('r', 0, position('r', 0, 0) + 1) < record_count);
    DESTROY(client);
    int at = -1;
    for (int i = 0; i < 2; i++) {
        at = position('r', 0, at + 1);
        CHECK_CODE(expected[i], records[at].code);
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
    /* Gives the setter time to return too early. */
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
    /* The old callback's data may be freed: it will not run again. */
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
    record_count = 0;
    CHECK_OK(tim_set_connection_callback(client, stops_at_door_and_watches, &setter));
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, keep_result, &login));
    WAIT_UNTIL(setter.door.reached > 0);
    CHECK_CODE(TIM_ERR_BUSY, tim_set_connection_callback(client, on_connection, records));
    /* A setter does not wait for callbacks of another kind or of another client. */
    CHECK_OK(tim_set_closed_callback(client, NULL, NULL));
    door_open(&setter.door);
    /* The new one is set. */
    WAIT_UNTIL(login.runs);
    WAIT_UNTIL(record_count > 0);
    CHECK_NUMBER(1, setter.door.reached);
    CHECK_OK(tim_set_connection_callback(client, NULL, NULL));
    DESTROY(client);
}

static int32_t set_inside;

static void connection_sets_inside(tim_client client, int32_t status, int32_t code,
                                   const char *message, uint64_t login_id, void *user_data) {
    (void)status, (void)code, (void)message, (void)login_id, (void)user_data;
    const int32_t set = tim_set_connection_callback(client, on_connection, records);
    change_begin();
    set_inside = set;
    change_end();
}

static void a_setter_inside_a_callback_does_not_wait_but_holds(void) {
    tim_client client = create_client(SERVER_URL, "");
    struct result login = {0};
    record_count = 0;
    set_inside = TIM_OK;
    CHECK_OK(tim_set_connection_callback(client, connection_sets_inside, NULL));
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, keep_result, &login));
    CHECK_RESULT(TIM_OK, login);
    WAIT_UNTIL(set_inside != TIM_OK);
    CHECK_CODE(TIM_ERR_IN_CALLBACK, set_inside);
    LOG_OUT(client);
    WAIT_UNTIL(position('c', TIM_CONNECTION_STATUS_DISCONNECTED, 0) < record_count);
    DESTROY(client);
}

int main(void) {
    a_session_ends_with_its_ticket(); /* first, while the ticket is good */
    a_login_is_reported_from_connecting_to_closed();
    a_server_that_is_not_there_is_reported_with_its_cause();
    an_expired_ticket_completes_first_and_is_an_event_then();
    completions_run_in_the_order_of_their_calls();
    a_call_inside_a_callback_completes_after_that_callback();
    a_setter_waits_for_the_old_callback_to_return();
    a_setter_says_busy_when_the_old_callback_does_not_return();
    a_setter_inside_a_callback_does_not_wait_but_holds();
    return 0;
}
