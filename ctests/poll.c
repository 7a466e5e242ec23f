/* Polling: events taken by the app, waking it by callback and descriptor, and the end of a polled client. */
#include "system.h"

#define POLLED ", \"event_delivery\": \"poll\""

/* Takes the next event, which must come. */
static tim_event take(tim_client client) {
    tim_event event;
    event.size = sizeof event;
    CHECK_OK(tim_poll_event(client, WAIT_S * 1000, &event));
    CHECK_NUMBER(sizeof event, event.size);
    CHECK(event.message == tim_error_message(event.code));
    CHECK_NUMBER(tim_error_is_retryable(event.code), event.is_retryable);
    return event;
}

/* Takes events up to one of this type. */
static tim_event take_until(tim_client client, int32_t type) {
    tim_event event;
    do event = take(client);
    while (event.type != type);
    return event;
}

/* Nothing is pending. */
static void nothing(tim_client client) {
    tim_event event;
    event.size = sizeof event;
    CHECK_CODE(TIM_ERR_TIMEOUT, tim_poll_event(client, 0, &event));
}

/* Destroys a client and takes what is left. Returns how many calls were interrupted. */
static int drain(tim_client client) {
    int interrupted = 0;
    CHECK_CODE(TIM_ERR_CLOSING, tim_client_destroy(client, WAIT_S * 1000));
    for (;;) {
        const tim_event event = take(client);
        if (event.type == TIM_EVENT_COMPLETION && event.code == TIM_ERR_INTERRUPTED) interrupted++;
        if (event.type == TIM_EVENT_CLOSED) break;
    }
    CHECK_CODE(TIM_ERR_NO_SUCH_CLIENT, tim_client_destroy(client, 0));
    return interrupted;
}

static void a_login_is_polled_from_the_call_to_the_end(void) {
    int mark;
    tim_client client = create_client(SERVER_URL, POLLED);
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, NULL, &mark));
    const tim_event done = take_until(client, TIM_EVENT_COMPLETION);
    CHECK_CODE(TIM_OK, done.code);
    CHECK(done.user_data == &mark);
    CHECK_NUMBER(TIM_LOGIN_STATUS_LOGGED_IN, done.login_status);
    const tim_event connected = take_until(client, TIM_EVENT_CONNECTION);
    CHECK_NUMBER(TIM_CONNECTION_STATUS_CONNECTED, connected.connection_status);
    CHECK_NUMBER(1, connected.login_id);
    CHECK(connected.user_data == NULL);
    nothing(client);

    CHECK_OK(tim_login(client, "bob", SIG_ALICE, NULL, NULL));
    CHECK_CODE(TIM_ERR_USER_SIG_OTHER_USER, take_until(client, TIM_EVENT_COMPLETION).code);
    CHECK_NUMBER(0, drain(client));
}

static void an_expired_ticket_is_an_event_behind_its_completion(void) {
    tim_client client = create_client(SERVER_URL, POLLED);
    CHECK_OK(tim_login(client, "alice", SIG_ALICE_EXPIRED, NULL, NULL));
    CHECK_CODE(TIM_ERR_USER_SIG_EXPIRED, take_until(client, TIM_EVENT_COMPLETION).code);
    const tim_event expired = take_until(client, TIM_EVENT_USER_SIG_EXPIRED);
    CHECK_CODE(TIM_ERR_USER_SIG_EXPIRED, expired.code);
    CHECK_NUMBER(1, expired.login_id);
    CHECK_NUMBER(0, drain(client));
}

static void pending_calls_are_interrupted_and_events_can_be_taken_after_destroy(void) {
    tim_client client = create_client(SILENT_URL, POLLED);
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, NULL, NULL));
    CHECK_NUMBER(1, drain(client));
}

/* ---- one poller at a time ---- */

static void *polls_to_the_end(void *argument) {
    const tim_client client = *(tim_client *)argument;
    take_until(client, TIM_EVENT_CLOSED);
    return NULL;
}

static void a_second_poller_is_refused_and_the_first_is_woken_by_destroy(void) {
    tim_client client = create_client(CLOSED_URL, POLLED);
    pthread_t poller;
    tim_event event;
    event.size = sizeof event;
    CHECK(pthread_create(&poller, NULL, polls_to_the_end, &client) == 0);
    int32_t code;
    do code = tim_poll_event(client, 0, &event);
    while (code == TIM_ERR_TIMEOUT);
    CHECK_CODE(TIM_ERR_ALREADY_POLLING, code);
    CHECK_CODE(TIM_ERR_CLOSING, tim_client_destroy(client, 0));
    CHECK(pthread_join(poller, NULL) == 0);
    CHECK_CODE(TIM_ERR_NO_SUCH_CLIENT, tim_poll_event(client, 0, &event));
}

/* ---- wake-ups ---- */

struct woken {
    tim_client client;
    int times;
    int32_t inside; /* what a poll that waits returns inside the callback */
};

static void wake(void *user_data) {
    struct woken *woken = (struct woken *)user_data;
    change_begin();
    woken->times++;
    change_end();
}

static void a_wake_up_follows_the_first_event_after_everything_was_polled(void) {
    struct woken woken = {0};
    tim_client client = woken.client = create_client(SERVER_URL, POLLED);
    CHECK_OK(tim_set_wakeup_callback(client, wake, &woken));
    CHECK_NUMBER(0, woken.times);
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, NULL, NULL));
    WAIT_UNTIL(woken.times > 0);
    take_until(client, TIM_EVENT_COMPLETION);
    take_until(client, TIM_EVENT_CONNECTION);
    nothing(client);
    const int before = woken.times;
    CHECK_OK(tim_logout(client, NULL, NULL));
    WAIT_UNTIL(woken.times > before);

    /* What is pending wakes a new callback, too. */
    CHECK_OK(tim_set_wakeup_callback(client, NULL, NULL));
    struct woken later = {0};
    CHECK_OK(tim_set_wakeup_callback(client, wake, &later));
    WAIT_UNTIL(later.times == 1);
    drain(client);
}

static void poll_inside(void *user_data) {
    struct woken *woken = (struct woken *)user_data;
    tim_event event;
    event.size = sizeof event;
    int32_t code;
    do code = tim_poll_event(woken->client, -1, &event);
    while (code == TIM_OK);
    change_begin();
    woken->times++;
    woken->inside = code;
    change_end();
}

static void a_poll_inside_the_wake_up_takes_what_there_is_and_does_not_wait(void) {
    struct woken woken = {0};
    tim_client client = woken.client = create_client(CLOSED_URL, POLLED);
    CHECK_OK(tim_set_wakeup_callback(client, poll_inside, &woken));
    CHECK_OK(tim_logout(client, NULL, NULL));
    WAIT_UNTIL(woken.times > 0);
    CHECK_CODE(TIM_ERR_IN_CALLBACK, woken.inside);
    CHECK_OK(tim_set_wakeup_callback(client, NULL, NULL));
    drain(client);
}

static void the_descriptor_is_readable_while_something_is_pending(void) {
    int32_t fd = -1, again = -1;
    tim_client client = create_client(SERVER_URL, POLLED);
    CHECK_OK(tim_get_wakeup_fd(client, &fd));
    CHECK_OK(tim_get_wakeup_fd(client, &again));
    CHECK_NUMBER(fd, again);
    CHECK(fd > 2);
    CHECK_NUMBER(0, readable(fd, 0));
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, NULL, NULL));
    CHECK_NUMBER(1, readable(fd, WAIT_S * 1000));
    take_until(client, TIM_EVENT_COMPLETION);
    take_until(client, TIM_EVENT_CONNECTION);
    CHECK_NUMBER(0, readable(fd, 0));

    /* A loop that reads the byte is woken by the next event, too. */
    for (int round = 0; round < 3; round++) {
        CHECK_OK(tim_logout(client, NULL, NULL));
        CHECK_NUMBER(1, readable(fd, WAIT_S * 1000));
        CHECK_NUMBER(1, read_byte(fd));
        take_until(client, TIM_EVENT_COMPLETION);
        tim_event event;
        event.size = sizeof event;
        while (tim_poll_event(client, 0, &event) == TIM_OK) continue;
    }
    /* The descriptor of a client with pending events is readable at once. */
    tim_client other = create_client(CLOSED_URL, POLLED);
    CHECK_OK(tim_logout(other, NULL, NULL));
    CHECK_OK(tim_get_wakeup_fd(other, &fd));
    CHECK_NUMBER(1, readable(fd, 0));
    drain(other);
    drain(client);
}

/* ---- the two ways exclude each other ---- */

static void each_way_refuses_the_functions_of_the_other(void) {
    tim_event event;
    int32_t fd;
    event.size = sizeof event;
    tim_client called = create_client(CLOSED_URL, "");
    CHECK_CODE(TIM_ERR_WRONG_DELIVERY_MODE, tim_poll_event(called, 0, &event));
    CHECK_CODE(TIM_ERR_WRONG_DELIVERY_MODE, tim_get_wakeup_fd(called, &fd));
    CHECK_CODE(TIM_ERR_WRONG_DELIVERY_MODE, tim_set_wakeup_callback(called, wake, NULL));
    DESTROY(called);

    struct result never = {0};
    tim_client polled = create_client(CLOSED_URL, POLLED);
    CHECK_CODE(TIM_ERR_WRONG_DELIVERY_MODE, tim_login(polled, "alice", SIG_ALICE, keep_result, &never));
    CHECK_CODE(TIM_ERR_WRONG_DELIVERY_MODE, tim_logout(polled, keep_result, &never));
    CHECK_CODE(TIM_ERR_WRONG_DELIVERY_MODE, tim_renew_user_sig(polled, SIG_ALICE, keep_result, &never));
    CHECK_CODE(TIM_ERR_WRONG_DELIVERY_MODE, tim_set_connection_callback(polled, NULL, NULL));
    CHECK_CODE(TIM_ERR_WRONG_DELIVERY_MODE, tim_set_closed_callback(polled, NULL, NULL));

    CHECK_CODE(TIM_ERR_NULL_ARGUMENT, tim_poll_event(polled, 0, NULL));
    CHECK_CODE(TIM_ERR_NULL_ARGUMENT, tim_get_wakeup_fd(polled, NULL));
    CHECK_CODE(TIM_ERR_INVALID_ARGUMENT, tim_poll_event(polled, -2, &event));
    event.size = sizeof event - 1;
    CHECK_CODE(TIM_ERR_INVALID_ARGUMENT, tim_poll_event(polled, 0, &event));
    event.size = 0;
    CHECK_CODE(TIM_ERR_INVALID_ARGUMENT, tim_poll_event(polled, 0, &event));
    CHECK_NUMBER(0, drain(polled));
    CHECK_NUMBER(0, never.runs);
}

static void a_program_of_a_later_version_gets_the_bytes_that_this_one_has(void) {
    struct {
        tim_event known;
        char more[64];
    } later;
    memset(&later, 0x55, sizeof later);
    tim_client client = create_client(CLOSED_URL, POLLED);
    CHECK_OK(tim_logout(client, NULL, NULL));
    later.known.size = sizeof later;
    CHECK_OK(tim_poll_event(client, WAIT_S * 1000, &later.known));
    CHECK_NUMBER(sizeof(tim_event), later.known.size);
    CHECK_NUMBER(0x55, later.more[0]);
    drain(client);
}

/* ---- adopting a client ---- */

static void a_named_client_is_found_and_drained_by_a_host_that_restarted(void) {
    tim_client found = 42;
    CHECK_CODE(TIM_ERR_NO_SUCH_CLIENT, tim_client_find("main", &found));
    CHECK_NUMBER(42, found);
    tim_client client = create_client(SERVER_URL, POLLED ", \"name\": \"main\", \"device_id\": \"d\"");
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, NULL, NULL));
    char config[256], error[256];
    tim_client second;
    config_for(config, sizeof config, SERVER_URL, ", \"name\": \"main\", \"device_id\": \"e\"");
    CHECK_CODE(TIM_ERR_NAME_IN_USE, tim_client_create(config, &second, error, sizeof error));
    CHECK_OK(tim_client_find("main", &found));
    CHECK_NUMBER(client, found);
    CHECK_CODE(TIM_OK, take_until(found, TIM_EVENT_COMPLETION).code);

    CHECK_CODE(TIM_ERR_CLOSING, tim_client_destroy(found, 0));
    found = 0;
    CHECK_CODE(TIM_ERR_CLOSING, tim_client_find("main", &found));
    CHECK_NUMBER(client, found);
    take_until(found, TIM_EVENT_CLOSED);
    CHECK_CODE(TIM_ERR_NO_SUCH_CLIENT, tim_client_find("main", &found));
    CHECK_CODE(TIM_ERR_NULL_ARGUMENT, tim_client_find(NULL, &found));
    CHECK_CODE(TIM_ERR_NULL_ARGUMENT, tim_client_find("main", NULL));
    CHECK_CODE(TIM_ERR_INVALID_UTF8, tim_client_find("\xff", &found));
}

/* ---- log lines ---- */

static void log_lines_are_kept_for_polls(void) {
    char line[1024], tiny[2] = "#";
    size_t length = 0;
    int32_t level = 0;
    CHECK_CODE(TIM_ERR_TIMEOUT, tim_poll_log(TIM_LOG_LEVEL_DEBUG, &level, line, sizeof line, &length));
    tim_client client = create_client(SERVER_URL, POLLED);
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, NULL, NULL));
    take_until(client, TIM_EVENT_COMPLETION);
    drain(client);
    CHECK_CODE(TIM_ERR_BUFFER_TOO_SMALL, tim_poll_log(TIM_LOG_LEVEL_DEBUG, &level, tiny, sizeof tiny, &length));
    CHECK_TEXT("#", tiny);
    CHECK(length > 1);
    int lines = 0;
    while (tim_poll_log(TIM_LOG_LEVEL_OFF, &level, line, sizeof line, &length) == TIM_OK) {
        lines++;
        CHECK(level >= TIM_LOG_LEVEL_DEBUG && level <= TIM_LOG_LEVEL_ERROR);
        CHECK_NUMBER(strlen(line), length);
        CHECK(!strstr(line, SIG_ALICE) && !strstr(line, "alice"));
    }
    CHECK(lines > 1);
    client = create_client(SERVER_URL, POLLED);
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, NULL, NULL));
    take_until(client, TIM_EVENT_COMPLETION);
    drain(client);
    CHECK_CODE(TIM_ERR_TIMEOUT, tim_poll_log(TIM_LOG_LEVEL_OFF, NULL, line, sizeof line, NULL));
    CHECK_CODE(TIM_ERR_INVALID_ARGUMENT, tim_poll_log(1, NULL, line, sizeof line, NULL));
}

int main(void) {
    a_login_is_polled_from_the_call_to_the_end();
    an_expired_ticket_is_an_event_behind_its_completion();
    pending_calls_are_interrupted_and_events_can_be_taken_after_destroy();
    a_second_poller_is_refused_and_the_first_is_woken_by_destroy();
    a_wake_up_follows_the_first_event_after_everything_was_polled();
    a_poll_inside_the_wake_up_takes_what_there_is_and_does_not_wait();
    the_descriptor_is_readable_while_something_is_pending();
    each_way_refuses_the_functions_of_the_other();
    a_program_of_a_later_version_gets_the_bytes_that_this_one_has();
    a_named_client_is_found_and_drained_by_a_host_that_restarted();
    log_lines_are_kept_for_polls();
    return 0;
}
