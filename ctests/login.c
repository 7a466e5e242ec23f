/* Login and logout. */
#include "check.h"

/* The text of tim_get_last_error. */
static const char *last_error(tim_client client) {
    static char json[2048];
    CHECK_OK(tim_get_last_error(client, json, sizeof json, NULL));
    return json;
}

static void check_user(tim_client client, const char *user_id) {
    char user[64];
    CHECK_OK(tim_get_login_user(client, user, sizeof user, NULL));
    CHECK_TEXT(user_id, user);
}

/* A login that must be refused with a code and leave nobody logged in. */
static void refused(tim_client client, const char *user_id, const char *user_sig, int32_t code) {
    struct result login = {0};
    CHECK_OK(tim_login(client, user_id, user_sig, keep_result, &login));
    CHECK_RESULT(code, login);
    CHECK_NUMBER(TIM_LOGIN_STATUS_LOGGED_OUT, tim_get_login_status(client));
    check_user(client, "");
}

static void a_user_logs_in_and_out(void) {
    tim_client client = create_client(SERVER_URL, "");
    int64_t server_ms = 0;
    CHECK_NUMBER(TIM_LOGIN_STATUS_LOGGED_OUT, tim_get_login_status(client));
    CHECK_CODE(TIM_ERR_SERVER_TIME_UNKNOWN, tim_get_server_time_ms(client, &server_ms));

    LOG_IN(client, "alice", SIG_ALICE);
    check_user(client, "alice");
    CHECK_NUMBER(1, tim_get_login_id(client));
    CHECK_NUMBER(TIM_CONNECTION_STATUS_CONNECTED, tim_get_connection_status(client));

    /* The server runs on this machine, so its time is ours. */
    CHECK_OK(tim_get_server_time_ms(client, &server_ms));
    const int64_t here_ms = (int64_t)time(NULL) * 1000;
    CHECK(server_ms > here_ms - 60000 && server_ms < here_ms + 60000);

    LOG_OUT(client);
    check_user(client, "");

    /* Again, as somebody else. */
    LOG_IN(client, "bob", SIG_BOB);
    check_user(client, "bob");
    CHECK_NUMBER(2, tim_get_login_id(client));
    DESTROY(client);
}

static void a_result_need_not_be_looked_at(void) {
    tim_client client = create_client(SERVER_URL, "");
    struct result logout = {0};
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, NULL, NULL));
    CHECK_OK(tim_logout(client, NULL, NULL));
    CHECK_OK(tim_logout(client, keep_result, &logout));
    WAIT_UNTIL(logout.runs == 1);
    CHECK(logout.code == TIM_OK || logout.code == TIM_ERR_LOGOUT_IN_PROGRESS);
    DESTROY(client);
}

static void the_server_refuses_tickets_with_its_code(void) {
    tim_client client = create_client(SERVER_URL, "");
    refused(client, "alice", SIG_ALICE_EXPIRED, TIM_ERR_USER_SIG_EXPIRED);
    CHECK_HAS("\"code\":70001", last_error(client));
    refused(client, "alice", SIG_ALICE_OTHER_KEY, TIM_ERR_USER_SIG_WRONG_KEY);
    CHECK_HAS("\"code\":70009", last_error(client));
    CHECK_HAS("\"login_id\":2", last_error(client));
    refused(client, "alice", SIG_BOB, TIM_ERR_USER_SIG_OTHER_USER);
    refused(client, "alice", "not-a-ticket", TIM_ERR_USER_SIG_UNREADABLE);
    /* A secret is not repeated. */
    CHECK(!strstr(last_error(client), "not-a-ticket"));

    /* A valid ticket works. */
    LOG_IN(client, "alice", SIG_ALICE);
    DESTROY(client);
}

static void a_missing_server_is_reported_as_that(void) {
    tim_client client = create_client(CLOSED_URL, ", \"login_timeout_ms\": 300");
    refused(client, "alice", SIG_ALICE, TIM_ERR_CONNECT_REFUSED);
    CHECK_HAS("\"name\":\"TIM_ERR_CONNECT_REFUSED\"", last_error(client));
    CHECK_HAS("\"phase\":\"connect\"", last_error(client));
    CHECK_HAS("127.0.0.1", last_error(client));
    DESTROY(client);

    client = create_client(SILENT_URL, ", \"login_timeout_ms\": 300");
    refused(client, "alice", SIG_ALICE, TIM_ERR_RESPONSE_TIMEOUT);
    CHECK_HAS("\"phase\":\"response\"", last_error(client));
    DESTROY(client);
}

static void a_second_login_of_the_same_user_does_not_disturb_the_first(void) {
    tim_client client = create_client(SILENT_URL, "");
    struct result first = {0}, second = {0};
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, keep_result, &first));
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, keep_result, &second));
    CHECK_RESULT(TIM_ERR_LOGIN_IN_PROGRESS, second);
    CHECK_NUMBER(0, first.runs);
    CHECK_NUMBER(TIM_LOGIN_STATUS_LOGGING_IN, tim_get_login_status(client));
    CHECK_NUMBER(1, tim_get_login_id(client));
    DESTROY(client);
    CHECK_CODE(TIM_ERR_INTERRUPTED, first.code);
}

static void a_login_of_another_user_takes_the_place_of_the_first(void) {
    tim_client client = create_client(SERVER_URL, "");
    struct result alice = {0}, bob = {0};
    /* Both calls are made before the thread can act: it is blocked in a callback. */
    struct door door = {0};
    CHECK_OK(tim_logout(client, stop_at_door, &door));
    WAIT_UNTIL(door.reached == 1);
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, keep_result, &alice));
    CHECK_OK(tim_login(client, "bob", SIG_BOB, keep_result, &bob));
    CHECK_NUMBER(2, tim_get_login_id(client));
    door_open(&door);
    CHECK_RESULT(TIM_ERR_SUPERSEDED, alice);
    CHECK_RESULT(TIM_OK, bob);
    check_user(client, "bob");
    DESTROY(client);
}

static void a_logout_ends_a_login_in_progress(void) {
    tim_client client = create_client(SILENT_URL, ", \"request_timeout_ms\": 300");
    struct result login = {0}, logout = {0};
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, keep_result, &login));
    CHECK_OK(tim_logout(client, keep_result, &logout));
    CHECK_NUMBER(TIM_LOGIN_STATUS_LOGGED_OUT, tim_get_login_status(client));
    CHECK_RESULT(TIM_ERR_LOGGED_OUT_DURING_LOGIN, login);
    CHECK_RESULT(TIM_OK, logout);
    DESTROY(client);
}

static void a_logout_of_nobody_is_no_error(void) {
    tim_client client = create_client(CLOSED_URL, "");
    LOG_OUT(client);
    LOG_OUT(client);
    DESTROY(client);
}

static void an_account_switch_ends_the_old_session_without_an_event(void) {
    tim_client client = create_client(SERVER_URL, "");
    LOG_IN(client, "alice", SIG_ALICE);
    struct result bob = {0};
    CHECK_OK(tim_login(client, "bob", SIG_BOB, keep_result, &bob));
    CHECK_RESULT(TIM_OK, bob);
    check_user(client, "bob");
    CHECK_NUMBER(2, tim_get_login_id(client));
    DESTROY(client);
}

static void a_call_that_is_refused_here_changes_nothing(void) {
    tim_client client = create_client(SERVER_URL, "");
    LOG_IN(client, "alice", SIG_ALICE);
    CHECK_CODE(TIM_ERR_INVALID_USER_ID, tim_login(client, "", SIG_BOB, NULL, NULL));
    CHECK_CODE(TIM_ERR_USER_SIG_EMPTY, tim_login(client, "bob", "", NULL, NULL));
    CHECK_NUMBER(TIM_LOGIN_STATUS_LOGGED_IN, tim_get_login_status(client));
    CHECK_NUMBER(1, tim_get_login_id(client));
    check_user(client, "alice");
    DESTROY(client);
}

int main(void) {
    a_user_logs_in_and_out();
    a_result_need_not_be_looked_at();
    the_server_refuses_tickets_with_its_code();
    a_missing_server_is_reported_as_that();
    a_second_login_of_the_same_user_does_not_disturb_the_first();
    a_login_of_another_user_takes_the_place_of_the_first();
    a_logout_ends_a_login_in_progress();
    a_logout_of_nobody_is_no_error();
    an_account_switch_ends_the_old_session_without_an_event();
    a_call_that_is_refused_here_changes_nothing();
    return 0;
}
