/* The getters. */
#include "check.h"

static void before_any_login(void) {
    tim_client client = create_client(CLOSED_URL, "");
    char text[16];
    size_t length = 42;
    int64_t ms = 42;
    CHECK_NUMBER(TIM_LOGIN_STATUS_LOGGED_OUT, tim_get_login_status(client));
    CHECK_NUMBER(TIM_CONNECTION_STATUS_DISCONNECTED, tim_get_connection_status(client));
    CHECK_NUMBER(0, tim_get_login_id(client));
    CHECK_OK(tim_get_login_user(client, text, sizeof text, &length));
    CHECK_TEXT("", text);
    CHECK_NUMBER(0, length);
    CHECK_OK(tim_get_last_error(client, text, sizeof text, &length));
    CHECK_TEXT("{}", text);
    CHECK_NUMBER(2, length);
    CHECK_CODE(TIM_ERR_SERVER_TIME_UNKNOWN, tim_get_server_time_ms(client, &ms));
    CHECK_NUMBER(42, ms);
    DESTROY(client);
}

static void while_logging_in(void) {
    tim_client client = create_client(SILENT_URL, "");
    char user[33];
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, NULL, NULL));
    /* True once the call has returned. */
    CHECK_NUMBER(TIM_LOGIN_STATUS_LOGGING_IN, tim_get_login_status(client));
    CHECK_NUMBER(1, tim_get_login_id(client));
    CHECK_OK(tim_get_login_user(client, user, sizeof user, NULL));
    CHECK_TEXT("", user);
    DESTROY(client);
}

static void text_is_copied_whole_or_not_at_all(void) {
    tim_client client = create_client(SERVER_URL, "");
    char user[8];
    size_t length;
    LOG_IN(client, "alice", SIG_ALICE);

    /* One byte for the NUL: "alice" needs 6. */
    for (size_t capacity = 0; capacity < sizeof user; capacity++) {
        memset(user, '#', sizeof user);
        length = 42;
        const int32_t expected = capacity < 6 ? TIM_ERR_BUFFER_TOO_SMALL : TIM_OK;
        CHECK_CODE(expected, tim_get_login_user(client, user, capacity, &length));
        CHECK_NUMBER(5, length);
        if (capacity < 6) {
            for (size_t i = 0; i < sizeof user; i++) CHECK(user[i] == '#');
        } else {
            CHECK_TEXT("alice", user);
            CHECK(user[6] == '#');
        }
    }

    /* NULL and 0 query the length; the length itself is optional. */
    length = 42;
    CHECK_CODE(TIM_ERR_BUFFER_TOO_SMALL, tim_get_login_user(client, NULL, 0, &length));
    CHECK_NUMBER(5, length);
    CHECK_OK(tim_get_login_user(client, user, sizeof user, NULL));
    CHECK_CODE(TIM_ERR_BUFFER_TOO_SMALL, tim_get_last_error(client, NULL, 0, &length));
    CHECK_CODE(TIM_ERR_BUFFER_TOO_SMALL, tim_get_last_error(client, user, 2, &length));
    DESTROY(client);
}

static void after_a_login(void) {
    tim_client client = create_client(SERVER_URL, "");
    int64_t before = 0, after = 0;
    LOG_IN(client, "alice", SIG_ALICE);
    CHECK_NUMBER(TIM_CONNECTION_STATUS_CONNECTED, tim_get_connection_status(client));
    CHECK_OK(tim_get_server_time_ms(client, &before));
    CHECK_OK(tim_get_server_time_ms(client, &after));
    CHECK(after >= before);
    LOG_OUT(client);
    CHECK_NUMBER(TIM_CONNECTION_STATUS_DISCONNECTED, tim_get_connection_status(client));
    /* From then on the time and the login's number are known. */
    CHECK_OK(tim_get_server_time_ms(client, &after));
    CHECK_NUMBER(1, tim_get_login_id(client));
    DESTROY(client);

    /* Afterwards there is nothing to report. */
    CHECK_NUMBER(0, tim_get_login_status(client));
    CHECK_NUMBER(0, tim_get_connection_status(client));
    CHECK_NUMBER(0, tim_get_login_id(client));
}

/* A slow callback, and the server's clock before and after it. */
struct slow {
    tim_client client;
    int64_t moved_ms;
    struct result result;
};

static void take_time(int32_t code, const char *message, void *user_data) {
    struct slow *slow = (struct slow *)user_data;
    const struct timespec pause = {0, 300 * 1000 * 1000};
    int64_t before, after;
    CHECK_OK(tim_get_server_time_ms(slow->client, &before));
    nanosleep(&pause, NULL);
    CHECK_OK(tim_get_server_time_ms(slow->client, &after));
    slow->moved_ms = after - before;
    keep_result(code, message, &slow->result);
}

static void the_servers_time_runs_on_during_a_callback(void) {
    struct slow slow = {.client = create_client(SERVER_URL, "")};
    CHECK_OK(tim_login(slow.client, "alice", SIG_ALICE, take_time, &slow));
    CHECK_RESULT(TIM_OK, slow.result);
    CHECK(slow.moved_ms >= 299);
    DESTROY(slow.client);
}

int main(void) {
    the_servers_time_runs_on_during_a_callback();
    before_any_login();
    while_logging_in();
    text_is_copied_whole_or_not_at_all();
    after_a_login();
    return 0;
}
