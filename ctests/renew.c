/* A session's ticket: reported as expiring, renewed without a gap, refused without harm, expired. */
#include "check.h"

static int expiring, expired, gaps;
static int64_t seconds_left;

static void on_expiring(tim_client client, int64_t left, uint64_t login_id, void *user_data) {
    (void)client;
    CHECK(user_data == (void *)&expiring);
    CHECK_NUMBER(1, login_id);
    change_begin();
    expiring++;
    seconds_left = left;
    change_end();
}

static void on_expired(tim_client client, int32_t code, const char *message, uint64_t login_id,
                       void *user_data) {
    (void)client, (void)message, (void)login_id, (void)user_data;
    CHECK_CODE(TIM_ERR_USER_SIG_EXPIRED, code);
    change_begin();
    expired++;
    change_end();
}

static void on_connection(tim_client client, int32_t status, int32_t code, const char *message,
                          uint64_t login_id, void *user_data) {
    (void)client, (void)code, (void)message, (void)login_id, (void)user_data;
    change_begin();
    if (status == TIM_CONNECTION_STATUS_DISCONNECTED) gaps++;
    change_end();
}

static void renewed(tim_client client, const char *user_sig, int32_t code) {
    struct result renewal = {0};
    CHECK_OK(tim_renew_user_sig(client, user_sig, keep_result, &renewal));
    CHECK_RESULT(code, renewal);
}

static void nobody_logged_in_has_nothing_to_renew(void) {
    tim_client client = create_client(SERVER_URL, "");
    renewed(client, SIG_ALICE, TIM_ERR_NOT_LOGGED_IN);
    DESTROY(client);
}

static void a_short_ticket_is_warned_about_renewed_and_outlived(void) {
    tim_client client = create_client(SERVER_URL, "");
    CHECK_OK(tim_set_user_sig_expiring_callback(client, on_expiring, &expiring));
    CHECK_OK(tim_set_user_sig_expired_callback(client, on_expired, NULL));
    CHECK_OK(tim_set_connection_callback(client, on_connection, NULL));
    LOG_IN(client, "carol", given("TIM_TEST_SIG_CAROL_SHORT"));
    WAIT_UNTIL(expiring == 1);
    CHECK(seconds_left >= 0 && seconds_left < 60);

    /* Refused: the session is unchanged. */
    renewed(client, SIG_BOB, TIM_ERR_USER_SIG_OTHER_USER);
    CHECK_NUMBER(TIM_LOGIN_STATUS_LOGGED_IN, tim_get_login_status(client));

    renewed(client, given("TIM_TEST_SIG_CAROL"), TIM_OK);
    CHECK_NUMBER(TIM_LOGIN_STATUS_LOGGED_IN, tim_get_login_status(client));
    CHECK_NUMBER(TIM_CONNECTION_STATUS_CONNECTED, tim_get_connection_status(client));
    CHECK_NUMBER(1, tim_get_login_id(client));
    CHECK_NUMBER(0, gaps);
    CHECK_NUMBER(0, expired);
    LOG_OUT(client);
    DESTROY(client);
}

static void a_login_of_the_same_user_is_a_renewal(void) {
    tim_client client = create_client(SERVER_URL, "");
    LOG_IN(client, "carol", given("TIM_TEST_SIG_CAROL"));
    LOG_IN(client, "carol", given("TIM_TEST_SIG_CAROL"));
    CHECK_NUMBER(1, tim_get_login_id(client));
    DESTROY(client);
}

static void another_user_ends_the_session_and_the_renewal(void) {
    struct result renewal = {0}, login = {0};
    tim_client client = create_client(SERVER_URL, "");
    LOG_IN(client, "alice", SIG_ALICE);
    CHECK_OK(tim_renew_user_sig(client, SIG_ALICE, keep_result, &renewal));
    CHECK_OK(tim_login(client, "bob", SIG_BOB, keep_result, &login));
    CHECK_RESULT(TIM_OK, login);
    WAIT_UNTIL(renewal.runs == 1);
    CHECK(renewal.code == TIM_ERR_SUPERSEDED || renewal.code == TIM_OK);
    DESTROY(client);
}

static void misuse_has_its_codes(void) {
    tim_client client = create_client(CLOSED_URL, "");
    CHECK_CODE(TIM_ERR_NULL_ARGUMENT, tim_renew_user_sig(client, NULL, NULL, NULL));
    CHECK_CODE(TIM_ERR_USER_SIG_EMPTY, tim_renew_user_sig(client, "", NULL, NULL));
    CHECK_CODE(TIM_ERR_INVALID_UTF8, tim_renew_user_sig(client, "\xff", NULL, NULL));
    CHECK_CODE(TIM_ERR_INVALID_ARGUMENT, tim_notify(client, 0));
    CHECK_CODE(TIM_ERR_INVALID_ARGUMENT, tim_notify(client, 3));
    CHECK_OK(tim_notify(client, TIM_HINT_NETWORK_CHANGED));
    CHECK_CODE(TIM_ERR_NULL_ARGUMENT, tim_get_kick_info(client, NULL, 0, NULL));
    DESTROY(client);
    CHECK_CODE(TIM_ERR_NO_SUCH_CLIENT, tim_renew_user_sig(client, "x", NULL, NULL));
    CHECK_CODE(TIM_ERR_NO_SUCH_CLIENT, tim_notify(client, TIM_HINT_FOREGROUND));
    CHECK_CODE(TIM_ERR_NO_SUCH_CLIENT, tim_get_kick_info(client, NULL, 0, NULL));
    CHECK_CODE(TIM_ERR_NO_SUCH_CLIENT, tim_set_kicked_offline_callback(client, NULL, NULL));
    CHECK_CODE(TIM_ERR_NO_SUCH_CLIENT, tim_set_user_sig_expiring_callback(client, NULL, NULL));
}

int main(void) {
    nobody_logged_in_has_nothing_to_renew();
    a_short_ticket_is_warned_about_renewed_and_outlived();
    a_login_of_the_same_user_is_a_renewal();
    another_user_ends_the_session_and_the_renewal();
    misuse_has_its_codes();
    return 0;
}
