/* Creating and destroying clients. */
#include "check.h"

/* A rejected configuration returns a code, and a sentence that names the key and what would be right. */
static void refused(const char *config, const char *key, const char *right) {
    tim_client client = 42;
    char error[512] = "not written";
    CHECK_CODE(TIM_ERR_INVALID_CONFIG, tim_client_create(config, &client, error, sizeof error));
    CHECK_HAS(key, error);
    CHECK_HAS(right, error);
    CHECK_NUMBER(42, client);
}

static void a_wrong_configuration_is_refused_by_name(void) {
    refused("", "JSON", "");
    refused("[]", "object", "");
    refused("{\"sdk_app_id\": 1400000001}", "server_url", "");
    refused("{\"server_url\": \"http://127.0.0.1\"}", "sdk_app_id", "");
    refused("{\"server_url\": \"http://127.0.0.1\", \"sdk_app_id\": 0}", "sdk_app_id", "4294967295");
    refused("{\"server_url\": \"http://127.0.0.1\", \"sdk_app_id\": 4294967296}", "sdk_app_id",
            "4294967295");
    refused("{\"server_url\": \"ftp://127.0.0.1\", \"sdk_app_id\": 1}", "server_url", "http");
    refused("{\"server_url\": \"http://127.0.0.1\", \"sdk_app_id\": 1, \"divice_id\": \"x\"}",
            "divice_id", "device_id");
    refused("{\"server_url\": \"http://127.0.0.1\", \"sdk_app_id\": 1, \"platform\": \"toaster\"}",
            "platform", "linux");
    refused("{\"server_url\": \"http://127.0.0.1\", \"sdk_app_id\": 1, \"device_id\": \"a\\nb\"}",
            "device_id", "control");
    refused("{\"server_url\": \"http://127.0.0.1\", \"sdk_app_id\": 1, \"login_timeout_ms\": \"1\"}",
            "login_timeout_ms", "");
    refused("{\"server_url\": \"http://127.0.0.1\", \"sdk_app_id\": 1, \"proxy\": \"socks5://h:1\"}",
            "proxy", "http://");
    refused("{\"server_url\": \"https://127.0.0.1\", \"sdk_app_id\": 1, \"ca_file\": \"/nowhere\"}",
            "ca_file", "/nowhere");
}

static void the_error_text_is_cut_between_characters_and_ends_with_a_nul(void) {
    const char *config = "{\"server_url\": \"http://127.0.0.1\", \"sdk_app_id\": 1, "
                         "\"ca_file\": \"/nowhere/\xc3\xa9\xc3\xa9\"}";
    tim_client client = 0;
    char whole[512], cut[512];
    CHECK_CODE(TIM_ERR_INVALID_CONFIG, tim_client_create(config, &client, whole, sizeof whole));
    CHECK_HAS("\xc3\xa9\xc3\xa9", whole);

    const size_t length = strlen(whole);
    for (size_t capacity = 1; capacity <= length + 1; capacity++) {
        memset(cut, '#', sizeof cut);
        CHECK_CODE(TIM_ERR_INVALID_CONFIG, tim_client_create(config, &client, cut, capacity));
        const size_t got = strlen(cut);
        CHECK(got < capacity);
        CHECK(memcmp(cut, whole, got) == 0);
        /* At most the rest of one character is missing, */
        CHECK(got + 2 >= capacity);
        /* which is not started, */
        CHECK(((unsigned char)whole[got] & 0xc0) != 0x80);
        /* and nothing is written past the buffer. */
        CHECK(cut[capacity] == '#');
    }

    /* The buffer is optional; on success it is emptied. */
    CHECK_CODE(TIM_ERR_INVALID_CONFIG, tim_client_create(config, &client, NULL, 0));
    CHECK_CODE(TIM_ERR_INVALID_CONFIG, tim_client_create(config, &client, cut, 0));
    char good[256];
    config_for(good, sizeof good, CLOSED_URL, "");
    CHECK_OK(tim_client_create(good, &client, cut, sizeof cut));
    CHECK_TEXT("", cut);
    DESTROY(client);
}

static void handles_are_small_numbers_that_are_never_given_twice(void) {
    tim_client seen[64];
    for (size_t i = 0; i < 64; i++) {
        seen[i] = create_client(CLOSED_URL, "");
        CHECK(seen[i] != 0);
        CHECK(seen[i] < UINT64_C(1) << 53);
        for (size_t j = 0; j < i; j++) CHECK(seen[i] != seen[j]);
        DESTROY(seen[i]);
        CHECK_CODE(TIM_ERR_NO_SUCH_CLIENT, tim_client_destroy(seen[i], 0));
    }
}

static void a_device_is_one_client_at_a_time(void) {
    char config[256];
    tim_client first, second = 42;
    config_for(config, sizeof config, CLOSED_URL, ", \"device_id\": \"phone\"");
    CHECK_OK(tim_client_create(config, &first, NULL, 0));
    CHECK_CODE(TIM_ERR_DEVICE_IN_USE, tim_client_create(config, &second, NULL, 0));
    CHECK_NUMBER(42, second);
    DESTROY(first);
    CHECK_OK(tim_client_create(config, &second, NULL, 0));

    /* Another server is a different place, and without a device_id every client is its own device. */
    tim_client elsewhere = create_client(SILENT_URL, ", \"device_id\": \"phone\"");
    tim_client one = create_client(CLOSED_URL, ""), two = create_client(CLOSED_URL, "");
    DESTROY(one);
    DESTROY(two);
    DESTROY(elsewhere);
    DESTROY(second);
}

static void keep_closed(tim_client client, void *user_data) {
    change_begin();
    *(tim_client *)user_data = client;
    change_end();
}

static void destroy_completes_what_is_unfinished_and_then_nothing_runs(void) {
    tim_client client = create_client(SILENT_URL, ""), closed = 0;
    struct result login = {0};
    CHECK_OK(tim_set_closed_callback(client, keep_closed, &closed));
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, keep_result, &login));
    DESTROY(client);
    /* Both have run; no waiting is needed from here on. */
    CHECK_NUMBER(1, login.runs);
    CHECK_CODE(TIM_ERR_INTERRUPTED, login.code);
    CHECK_NUMBER(client, closed);
    CHECK_CODE(TIM_ERR_NO_SUCH_CLIENT, tim_client_destroy(client, 1));
}

static void destroy_without_waiting_begins_and_the_closed_event_ends(void) {
    tim_client client = create_client(SILENT_URL, ""), closed = 0;
    struct result login = {0};
    CHECK_OK(tim_set_closed_callback(client, keep_closed, &closed));
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, keep_result, &login));
    CHECK_CODE(TIM_ERR_BUSY, tim_client_destroy(client, 0));
    WAIT_UNTIL(closed == client);
    CHECK_NUMBER(1, login.runs);
    CHECK_CODE(TIM_ERR_INTERRUPTED, login.code);
}

static void destroy_says_busy_while_a_callback_stands_still(void) {
    tim_client client = create_client(CLOSED_URL, "");
    struct door door = {0};
    CHECK_OK(tim_logout(client, stop_at_door, &door));
    WAIT_UNTIL(door.reached == 1);

    CHECK_CODE(TIM_ERR_BUSY, tim_client_destroy(client, 1));
    /* It is closing: only another destroy is accepted. */
    CHECK_CODE(TIM_ERR_CLOSING, tim_login(client, "alice", SIG_ALICE, NULL, NULL));
    CHECK_CODE(TIM_ERR_CLOSING, tim_logout(client, NULL, NULL));
    CHECK_NUMBER(0, tim_get_login_status(client));
    CHECK_CODE(TIM_ERR_BUSY, tim_client_destroy(client, 0));
    CHECK_CODE(TIM_ERR_BUSY, tim_client_destroy(client, 1));

    door_open(&door);
    DESTROY(client);
    CHECK_CODE(TIM_ERR_NO_SUCH_CLIENT, tim_logout(client, NULL, NULL));
}

static int32_t destroyed_inside;

static void destroy_inside(int32_t code, const char *message, void *user_data) {
    (void)code;
    (void)message;
    destroyed_inside = tim_client_destroy(*(tim_client *)user_data, WAIT_S * 1000);
}

static void destroy_inside_a_callback_only_begins(void) {
    tim_client client = create_client(CLOSED_URL, ""), closed = 0;
    CHECK_OK(tim_set_closed_callback(client, keep_closed, &closed));
    CHECK_OK(tim_logout(client, destroy_inside, &client));
    WAIT_UNTIL(closed == client);
    CHECK_CODE(TIM_ERR_IN_CALLBACK, destroyed_inside);
}

/* ---- a destroy that timed out is completed by any later one ---- */

static int32_t later_code;

static void *destroy_later(void *client) {
    later_code = tim_client_destroy(*(tim_client *)client, 0);
    return NULL;
}

static void destroys_inside_another(int32_t code, const char *message, void *user_data) {
    (void)code, (void)message;
    const int32_t destroyed = tim_client_destroy(*(tim_client *)user_data, 0);
    change_begin();
    later_code = destroyed;
    change_end();
}

static void a_destroy_that_timed_out_is_ended_by_one_of_any_kind_on_any_thread(void) {
    enum { WITHOUT_WAITING, WAITING, ON_ANOTHER_THREAD, IN_A_CALLBACK, KINDS };
    for (int kind = 0; kind < KINDS; kind++) {
        tim_client closed = 0, client = create_client(CLOSED_URL, ", \"device_id\": \"phone\"");
        struct door door = {0};
        pthread_t thread;
        CHECK_OK(tim_set_closed_callback(client, keep_closed, &closed));
        CHECK_OK(tim_logout(client, stop_at_door, &door));
        WAIT_UNTIL(door.reached == 1);
        CHECK_CODE(TIM_ERR_BUSY, tim_client_destroy(client, 1));
        door_open(&door);
        WAIT_UNTIL(closed == client);
        /* The event is being delivered; its callback has not returned yet. */
        later_code = TIM_ERR_BUSY;
        while (later_code == TIM_ERR_BUSY || later_code == TIM_ERR_IN_CALLBACK) {
            tim_client other = 0;
            switch (kind) {
            case WITHOUT_WAITING:
                later_code = tim_client_destroy(client, 0);
                break;
            case WAITING:
                later_code = tim_client_destroy(client, WAIT_S * 1000);
                break;
            case ON_ANOTHER_THREAD:
                CHECK(pthread_create(&thread, NULL, destroy_later, &client) == 0);
                CHECK(pthread_join(thread, NULL) == 0);
                break;
            default:
                other = create_client(CLOSED_URL, "");
                CHECK_OK(tim_logout(other, destroys_inside_another, &client));
                DESTROY(other);
            }
        }
        /* One that did not wait may have left it to the client to free itself. */
        CHECK(later_code == TIM_OK || later_code == TIM_ERR_NO_SUCH_CLIENT);
        /* The device can be used again. */
        client = create_client(CLOSED_URL, ", \"device_id\": \"phone\"");
        DESTROY(client);
    }
}

int main(void) {
    a_wrong_configuration_is_refused_by_name();
    the_error_text_is_cut_between_characters_and_ends_with_a_nul();
    handles_are_small_numbers_that_are_never_given_twice();
    a_device_is_one_client_at_a_time();
    destroy_completes_what_is_unfinished_and_then_nothing_runs();
    destroy_without_waiting_begins_and_the_closed_event_ends();
    destroy_says_busy_while_a_callback_stands_still();
    destroy_inside_a_callback_only_begins();
    a_destroy_that_timed_out_is_ended_by_one_of_any_kind_on_any_thread();
    return 0;
}
