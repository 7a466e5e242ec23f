/* Two processes as two devices of one user: a login takes the session over, and the other learns by
 * whom, and does not come back by itself. */
#include "system.h"

static tim_client kicked_client;
static int32_t kicked_code;
static uint64_t kicked_login;
static int kicks, connections_after_kick;

static void on_kicked(tim_client client, int32_t code, const char *message, uint64_t login_id,
                      void *user_data) {
    CHECK(user_data == (void *)&kicks);
    CHECK(message == tim_error_message(code));
    change_begin();
    kicks++;
    kicked_client = client;
    kicked_code = code;
    kicked_login = login_id;
    change_end();
}

static void on_connection(tim_client client, int32_t status, int32_t code, const char *message,
                          uint64_t login_id, void *user_data) {
    (void)client, (void)code, (void)message, (void)login_id, (void)user_data;
    change_begin();
    if (kicks && status != TIM_CONNECTION_STATUS_DISCONNECTED) connections_after_kick++;
    change_end();
}

static tim_client device(const char *name) {
    char more[128];
    snprintf(more, sizeof more, ", \"device_id\": \"%s\", \"device_name\": \"the %s\"", name, name);
    tim_client client = create_client(SERVER_URL, more);
    CHECK_OK(tim_set_kicked_offline_callback(client, on_kicked, &kicks));
    CHECK_OK(tim_set_connection_callback(client, on_connection, NULL));
    return client;
}

static void is_kicked_by(tim_client client, uint64_t login_id, const char *name) {
    char info[512], user[64], by[64];
    WAIT_UNTIL(kicks == 1);
    CHECK(kicked_client == client);
    CHECK_CODE(TIM_ERR_KICKED_OFFLINE, kicked_code);
    CHECK_NUMBER(login_id, kicked_login);
    CHECK_NUMBER(TIM_LOGIN_STATUS_LOGGED_OUT, tim_get_login_status(client));
    CHECK_OK(tim_get_login_user(client, user, sizeof user, NULL));
    CHECK_TEXT("", user);
    CHECK_OK(tim_get_kick_info(client, info, sizeof info, NULL));
    snprintf(by, sizeof by, "\"device_name\":\"the %s\"", name);
    CHECK_HAS(by, info);
    CHECK_HAS("\"cause\":\"other_device\"", info);
    CHECK_HAS("\"platform\":", info);
    CHECK_HAS("\"time_ms\":", info);
}

/* One byte signals an event to the other process. */
static void send_byte(int fd) { CHECK(write(fd, "x", 1) == 1); }
static void take_byte(int fd) {
    char byte;
    CHECK(read(fd, &byte, 1) == 1);
}

static int tablet(int from_phone, int to_phone) {
    take_byte(from_phone);
    tim_client client = device("tablet");
    LOG_IN(client, "alice", SIG_ALICE);
    send_byte(to_phone);
    /* The phone takes the session back. */
    is_kicked_by(client, 1, "phone");
    DESTROY(client);
    return 0;
}

int main(int argc, char **argv) {
    int to_tablet[2], to_phone[2];
    char info[8];
    if (argc == 3) return tablet(atoi(argv[1]), atoi(argv[2]));
    make_pipe(to_tablet);
    make_pipe(to_phone);
    const intptr_t process = start_process(argv[0], tablet, to_tablet[0], to_phone[1]);

    tim_client client = device("phone");
    CHECK_OK(tim_get_kick_info(client, info, sizeof info, NULL));
    CHECK_TEXT("{}", info);
    LOG_IN(client, "alice", SIG_ALICE);
    send_byte(to_tablet[1]);
    take_byte(to_phone[0]);
    is_kicked_by(client, 1, "tablet");

    /* A hint is not a login. */
    CHECK_OK(tim_notify(client, TIM_HINT_FOREGROUND));
    CHECK_NUMBER(TIM_LOGIN_STATUS_LOGGED_OUT, tim_get_login_status(client));
    CHECK_NUMBER(0, connections_after_kick);

    LOG_IN(client, "alice", SIG_ALICE);
    CHECK_NUMBER(0, exit_status(process));
    CHECK_NUMBER(1, kicks);
    DESTROY(client);
    return 0;
}
