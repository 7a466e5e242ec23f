/* Misuse: every mistake has its code and changes nothing, and the process survives. */
#include "check.h"

#define BAD_UTF8 "\xff\xfe"

/* Calls every function that takes a client with a handle that must be rejected with a code. */
static void every_call_gives(int32_t code, tim_client client) {
    struct result never = {0};
    char text[64] = "#";
    size_t length = 42;
    int64_t ms = 42;
    CHECK_CODE(code, tim_login(client, "alice", SIG_ALICE, keep_result, &never));
    CHECK_CODE(code, tim_logout(client, keep_result, &never));
    CHECK_CODE(code, tim_get_login_user(client, text, sizeof text, &length));
    CHECK_CODE(code, tim_get_server_time_ms(client, &ms));
    CHECK_CODE(code, tim_renew_user_sig(client, SIG_ALICE, keep_result, &never));
    CHECK_CODE(code, tim_notify(client, TIM_HINT_FOREGROUND));
    CHECK_CODE(code, tim_get_last_error(client, text, sizeof text, &length));
    CHECK_CODE(code, tim_get_kick_info(client, text, sizeof text, &length));
    CHECK_CODE(code, tim_set_connection_callback(client, NULL, NULL));
    CHECK_CODE(code, tim_set_user_sig_expired_callback(client, NULL, NULL));
    CHECK_CODE(code, tim_set_user_sig_expiring_callback(client, NULL, NULL));
    CHECK_CODE(code, tim_set_kicked_offline_callback(client, NULL, NULL));
    CHECK_CODE(code, tim_set_closed_callback(client, NULL, NULL));
    CHECK_CODE(code, tim_set_wakeup_callback(client, NULL, NULL));
    /* These also work while a client is closing, if it is a polled one. */
    const int32_t polls = code == TIM_ERR_CLOSING ? TIM_ERR_WRONG_DELIVERY_MODE : code;
    tim_event event;
    event.size = sizeof event;
    int32_t fd = 42;
    CHECK_CODE(polls, tim_poll_event(client, 0, &event));
    CHECK_CODE(polls, tim_get_wakeup_fd(client, &fd));
    CHECK_NUMBER(42, fd);
    CHECK_NUMBER(0, tim_get_login_status(client));
    CHECK_NUMBER(0, tim_get_connection_status(client));
    CHECK_NUMBER(0, tim_get_login_id(client));
    /* Nothing was written, and nothing has run. */
    CHECK_TEXT("#", text);
    CHECK_NUMBER(42, length);
    CHECK_NUMBER(42, ms);
    CHECK_NUMBER(0, never.runs);
}

static void a_handle_that_is_none(void) {
    tim_client stale = create_client(CLOSED_URL, "");
    DESTROY(stale);
    const tim_client none[] = {0, stale, 1, 42, stale + 1, stale ^ 1, UINT64_C(1) << 53, UINT64_MAX};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        every_call_gives(TIM_ERR_NO_SUCH_CLIENT, none[i]);
        CHECK_CODE(TIM_ERR_NO_SUCH_CLIENT, tim_client_destroy(none[i], 0));
        CHECK_CODE(TIM_ERR_NO_SUCH_CLIENT, tim_client_destroy(none[i], 1000));
    }

    /* Arbitrary numbers. */
    uint64_t random = 0x9e3779b97f4a7c15u;
    for (int i = 0; i < 10000; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        CHECK_NUMBER(0, tim_get_login_status(random));
        CHECK_CODE(TIM_ERR_NO_SUCH_CLIENT, tim_client_destroy(random, 0));
    }
}

static void null_where_something_is_needed(void) {
    char config[256], text[64], error[64];
    tim_client client = 42;
    config_for(config, sizeof config, CLOSED_URL, "");
    CHECK_CODE(TIM_ERR_NULL_ARGUMENT, tim_client_create(NULL, &client, error, sizeof error));
    CHECK_HAS("config_json", error);
    CHECK_CODE(TIM_ERR_NULL_ARGUMENT, tim_client_create(config, NULL, error, sizeof error));
    CHECK_HAS("out", error);
    CHECK_CODE(TIM_ERR_NULL_ARGUMENT, tim_client_create(NULL, NULL, NULL, 0));
    CHECK_CODE(TIM_ERR_NULL_ARGUMENT, tim_client_create(NULL, NULL, NULL, 64));
    CHECK_NUMBER(42, client);

    client = create_client(CLOSED_URL, "");
    CHECK_CODE(TIM_ERR_NULL_ARGUMENT, tim_login(client, NULL, SIG_ALICE, NULL, NULL));
    CHECK_CODE(TIM_ERR_NULL_ARGUMENT, tim_login(client, "alice", NULL, NULL, NULL));
    CHECK_CODE(TIM_ERR_NULL_ARGUMENT, tim_login(client, NULL, NULL, NULL, NULL));
    CHECK_CODE(TIM_ERR_NULL_ARGUMENT, tim_get_server_time_ms(client, NULL));
    CHECK_CODE(TIM_ERR_NULL_ARGUMENT, tim_get_login_user(client, NULL, 64, NULL));
    CHECK_CODE(TIM_ERR_NULL_ARGUMENT, tim_get_login_user(client, NULL, 0, NULL));
    CHECK_CODE(TIM_ERR_NULL_ARGUMENT, tim_get_last_error(client, NULL, 64, NULL));
    CHECK_CODE(TIM_ERR_NULL_ARGUMENT, tim_get_kick_info(client, NULL, 64, NULL));
    CHECK_CODE(TIM_ERR_NULL_ARGUMENT, tim_renew_user_sig(client, NULL, NULL, NULL));
    CHECK_CODE(TIM_ERR_BUFFER_TOO_SMALL, tim_get_login_user(client, text, 0, NULL));
    CHECK_NUMBER(0, tim_get_login_id(client));

    /* Legal: no callback. */
    CHECK_OK(tim_logout(client, NULL, NULL));
    CHECK_OK(tim_set_connection_callback(client, NULL, NULL));
    CHECK_OK(tim_set_user_sig_expired_callback(client, NULL, NULL));
    CHECK_OK(tim_set_closed_callback(client, NULL, NULL));
    CHECK_OK(tim_set_log_callback(NULL, NULL, TIM_LOG_LEVEL_DEBUG));
    DESTROY(client);
}

static void text_that_is_not_utf8(void) {
    tim_client client = create_client(CLOSED_URL, ""), none = 42;
    char error[64];
    CHECK_CODE(TIM_ERR_INVALID_UTF8, tim_client_create(BAD_UTF8, &none, error, sizeof error));
    CHECK_HAS("config_json", error);
    CHECK_NUMBER(42, none);
    CHECK_CODE(TIM_ERR_INVALID_UTF8, tim_login(client, BAD_UTF8, SIG_ALICE, NULL, NULL));
    CHECK_CODE(TIM_ERR_INVALID_UTF8, tim_login(client, "alice", BAD_UTF8, NULL, NULL));
    /* A truncated character, and a surrogate. */
    CHECK_CODE(TIM_ERR_INVALID_UTF8, tim_login(client, "al\xc3", SIG_ALICE, NULL, NULL));
    CHECK_CODE(TIM_ERR_INVALID_UTF8, tim_login(client, "\xed\xa0\x80", SIG_ALICE, NULL, NULL));
    DESTROY(client);
}

static void ids_and_tickets_of_the_wrong_size_or_with_control_characters(void) {
    tim_client client = create_client(CLOSED_URL, ", \"login_timeout_ms\": 300");
    char long_sig[4098];
    static const char *const bad_ids[] = {"",       "0123456789abcdef0123456789abcdef0",
                                          "ali\nce", "alice\x01", "\t", "alice\x7f"};
    for (size_t i = 0; i < sizeof bad_ids / sizeof *bad_ids; i++)
        CHECK_CODE(TIM_ERR_INVALID_USER_ID, tim_login(client, bad_ids[i], SIG_ALICE, NULL, NULL));

    CHECK_CODE(TIM_ERR_USER_SIG_EMPTY, tim_login(client, "alice", "", NULL, NULL));
    memset(long_sig, 'a', sizeof long_sig);
    long_sig[4097] = '\0';
    CHECK_CODE(TIM_ERR_USER_SIG_UNREADABLE, tim_login(client, "alice", long_sig, NULL, NULL));
    CHECK_NUMBER(0, tim_get_login_id(client));

    /* The longest that are accepted. */
    long_sig[4096] = '\0';
    struct result login = {0};
    CHECK_OK(tim_login(client, "0123456789abcdef0123456789abcdef", long_sig, keep_result, &login));
    CHECK_RESULT(TIM_ERR_CONNECT_REFUSED, login);
    DESTROY(client);
}

static void numbers_outside_their_range(void) {
    tim_client client = create_client(CLOSED_URL, "");
    CHECK_CODE(TIM_ERR_INVALID_ARGUMENT, tim_client_destroy(client, -1));
    CHECK_CODE(TIM_ERR_INVALID_ARGUMENT, tim_client_destroy(client, INT32_MIN));
    CHECK_CODE(TIM_ERR_INVALID_ARGUMENT, tim_set_log_callback(NULL, NULL, 99));
    for (int32_t hint = -3; hint < 6; hint++)
        if (hint != TIM_HINT_NETWORK_CHANGED && hint != TIM_HINT_FOREGROUND)
            CHECK_CODE(TIM_ERR_INVALID_ARGUMENT, tim_notify(client, hint));
    CHECK_NUMBER(TIM_LOGIN_STATUS_LOGGED_OUT, tim_get_login_status(client));
    DESTROY(client);
}

static void two_clients_of_one_device(void) {
    char config[256], error[256];
    tim_client second = 42;
    tim_client first = create_client(CLOSED_URL, ", \"device_id\": \"tablet\"");
    config_for(config, sizeof config, CLOSED_URL, ", \"device_id\": \"tablet\"");
    CHECK_CODE(TIM_ERR_DEVICE_IN_USE, tim_client_create(config, &second, error, sizeof error));
    CHECK_HAS("device_id", error);
    CHECK_NUMBER(42, second);
    DESTROY(first);
}

static int completions;

static void count_completion(int32_t code, const char *message, void *user_data) {
    (void)code, (void)message, (void)user_data;
    change_begin();
    completions++;
    change_end();
}

static void more_unfinished_calls_than_there_is_room_for(void) {
    tim_client client = create_client(CLOSED_URL, "");
    struct door door = {0};
    completions = 0;
    CHECK_OK(tim_logout(client, stop_at_door, &door));
    WAIT_UNTIL(door.reached == 1);
    /* While the first callback stands still, no completion is taken. Whether the one that runs
     * still counts is not said, so the room is 63 or 64. */
    int accepted = 0;
    int32_t code;
    while ((code = tim_logout(client, count_completion, NULL)) == TIM_OK && accepted < 100) accepted++;
    CHECK_CODE(TIM_ERR_TOO_MANY_CALLS, code);
    CHECK(accepted == 63 || accepted == 64);
    CHECK_CODE(TIM_ERR_TOO_MANY_CALLS, tim_login(client, "alice", SIG_ALICE, count_completion, NULL));

    /* Each accepted call completes, which makes room again. */
    door_open(&door);
    WAIT_UNTIL(completions == accepted);
    CHECK_OK(tim_logout(client, count_completion, NULL));
    WAIT_UNTIL(completions == accepted + 1);
    DESTROY(client);
    CHECK_NUMBER(accepted + 1, completions);
}

/* ---- every call inside a callback ---- */

struct inside {
    tim_client client;
    tim_client created;
    int done;
};

static void call_everything(int32_t code, const char *message, void *user_data) {
    struct inside *inside = (struct inside *)user_data;
    const tim_client client = inside->client;
    char text[64], config[256];
    size_t length;
    int64_t ms;
    (void)code, (void)message;

    CHECK_NUMBER(TIM_LOGIN_STATUS_LOGGED_IN, tim_get_login_status(client));
    CHECK_NUMBER(TIM_CONNECTION_STATUS_CONNECTED, tim_get_connection_status(client));
    CHECK_NUMBER(1, tim_get_login_id(client));
    CHECK_OK(tim_get_login_user(client, text, sizeof text, &length));
    CHECK_TEXT("alice", text);
    CHECK_OK(tim_get_server_time_ms(client, &ms));
    CHECK_CODE(TIM_ERR_BUFFER_TOO_SMALL, tim_get_last_error(client, NULL, 0, &length));
    CHECK_CODE(TIM_ERR_IN_CALLBACK, tim_set_connection_callback(client, NULL, NULL));
    CHECK_CODE(TIM_ERR_IN_CALLBACK, tim_set_user_sig_expired_callback(client, NULL, NULL));
    CHECK_CODE(TIM_ERR_IN_CALLBACK, tim_set_user_sig_expiring_callback(client, NULL, NULL));
    CHECK_CODE(TIM_ERR_IN_CALLBACK, tim_set_kicked_offline_callback(client, NULL, NULL));
    CHECK_CODE(TIM_ERR_IN_CALLBACK, tim_set_closed_callback(client, NULL, NULL));
    CHECK_OK(tim_get_kick_info(client, text, sizeof text, &length));
    CHECK_OK(tim_renew_user_sig(client, SIG_ALICE, NULL, NULL));
    CHECK_OK(tim_notify(client, TIM_HINT_NETWORK_CHANGED));
    CHECK_CODE(TIM_ERR_IN_CALLBACK, tim_set_log_callback(NULL, NULL, TIM_LOG_LEVEL_OFF));
    CHECK_CODE(TIM_ERR_IN_CALLBACK, tim_set_connection_callback(inside->created, NULL, NULL));

    /* A client may be created here, and another destroyed, which only starts. */
    tim_client another;
    config_for(config, sizeof config, CLOSED_URL, "");
    CHECK_OK(tim_client_create(config, &another, NULL, 0));
    CHECK_CODE(TIM_ERR_IN_CALLBACK, tim_client_destroy(another, 1000));
    CHECK_CODE(TIM_ERR_IN_CALLBACK, tim_client_destroy(inside->created, 0));

    CHECK_OK(tim_logout(client, NULL, NULL));
    CHECK_NUMBER(TIM_LOGIN_STATUS_LOGGED_OUT, tim_get_login_status(client));
    CHECK_CODE(TIM_ERR_IN_CALLBACK, tim_client_destroy(client, 1000));
    every_call_gives(TIM_ERR_CLOSING, client);

    change_begin();
    inside->done = 1;
    change_end();
}

static void every_call_inside_a_callback(void) {
    struct inside inside = {.client = create_client(SERVER_URL, ""),
                            .created = create_client(CLOSED_URL, "")};
    CHECK_OK(tim_login(inside.client, "alice", SIG_ALICE, call_everything, &inside));
    WAIT_UNTIL(inside.done);
    /* Both destroys were started inside; here it is allowed to wait for them. */
    const int32_t client = tim_client_destroy(inside.client, WAIT_S * 1000);
    CHECK(client == TIM_OK || client == TIM_ERR_NO_SUCH_CLIENT);
    const int32_t created = tim_client_destroy(inside.created, WAIT_S * 1000);
    CHECK(created == TIM_OK || created == TIM_ERR_NO_SUCH_CLIENT);
    every_call_gives(TIM_ERR_NO_SUCH_CLIENT, inside.client);
}

static void a_client_that_is_closing(void) {
    tim_client client = create_client(CLOSED_URL, "");
    struct door door = {0};
    CHECK_OK(tim_logout(client, stop_at_door, &door));
    WAIT_UNTIL(door.reached == 1);
    CHECK_CODE(TIM_ERR_BUSY, tim_client_destroy(client, 1));
    every_call_gives(TIM_ERR_CLOSING, client);
    door_open(&door);
    DESTROY(client);
    every_call_gives(TIM_ERR_NO_SUCH_CLIENT, client);
}

int main(void) {
    a_handle_that_is_none();
    null_where_something_is_needed();
    text_that_is_not_utf8();
    ids_and_tickets_of_the_wrong_size_or_with_control_characters();
    numbers_outside_their_range();
    two_clients_of_one_device();
    more_unfinished_calls_than_there_is_room_for();
    every_call_inside_a_callback();
    a_client_that_is_closing();
    return 0;
}
