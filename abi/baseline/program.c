/* Written against the header beside it, which is frozen: later libraries must serve this program.
 * Arguments: the server's URL, the app's id, alice's ticket. */
#include <pthread.h>
#include <stdio.h>
#include <tim.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int finished;
static int32_t finished_with;

static void on_result(int32_t code, const char *message, void *user_data) {
    (void)message;
    (void)user_data;
    pthread_mutex_lock(&lock);
    finished = 1;
    finished_with = code;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static int32_t result_of(int32_t accepted) {
    if (accepted != TIM_OK) return accepted;
    pthread_mutex_lock(&lock);
    while (!finished) pthread_cond_wait(&changed, &lock);
    finished = 0;
    pthread_mutex_unlock(&lock);
    return finished_with;
}

static void on_connection(tim_client client, int32_t status, int32_t code, const char *message,
                          uint64_t login_id, void *user_data) {
    (void)client, (void)status, (void)code, (void)message, (void)login_id, (void)user_data;
}

static void on_expired(tim_client client, int32_t code, const char *message, uint64_t login_id,
                       void *user_data) {
    (void)client, (void)code, (void)message, (void)login_id, (void)user_data;
}

static void on_closed(tim_client client, void *user_data) { (void)client, (void)user_data; }

static void on_line(int32_t level, const char *line, void *user_data) {
    (void)level, (void)line, (void)user_data;
}

static int failed(const char *what, int32_t code) {
    fprintf(stderr, "%s: %s (%d)\n", what, tim_error_message(code), (int)code);
    return 1;
}

/* Takes polled events up to one of this type. */
static int32_t take(tim_client client, int32_t type, tim_event *event) {
    do {
        event->size = sizeof *event;
        const int32_t code = tim_poll_event(client, 10000, event);
        if (code != TIM_OK) return code;
        if (event->size != sizeof *event) return TIM_ERR_INVALID_ARGUMENT;
    } while (event->type != type);
    return TIM_OK;
}

static int polls(const char *url, const char *app_id, const char *user_sig) {
    char config[256], error[256];
    tim_client client;
    tim_event event;
    int32_t code;
    snprintf(config, sizeof config,
             "{\"server_url\": \"%s\", \"sdk_app_id\": %s, \"event_delivery\": \"poll\"}", url, app_id);
    code = tim_client_create(config, &client, error, sizeof error);
    if (code != TIM_OK) return failed(error, code);
    code = tim_login(client, "alice", user_sig, NULL, &client);
    if (code != TIM_OK) return failed("polled login", code);
    code = take(client, TIM_EVENT_COMPLETION, &event);
    if (code != TIM_OK) return failed("completion", code);
    if (event.code != TIM_OK) return failed("polled login", event.code);
    if (event.user_data != &client || event.login_status != TIM_LOGIN_STATUS_LOGGED_IN) return 8;
    code = tim_client_destroy(client, 0);
    if (code != TIM_ERR_CLOSING) return failed("polled destroy", code);
    code = take(client, TIM_EVENT_CLOSED, &event);
    if (code != TIM_OK) return failed("closed event", code);
    printf("polled to the end\n");
    return 0;
}

int main(int argc, char **argv) {
    char config[256], error[256], user[64], last_error[512];
    tim_client client;
    size_t length;
    int64_t server_ms;
    int32_t code;
    if (argc != 4) return 2;
    snprintf(config, sizeof config,
             "{\"server_url\": \"%s\", \"sdk_app_id\": %s, \"device_id\": \"baseline\"}", argv[1],
             argv[2]);
    code = tim_set_log_callback(on_line, NULL, TIM_LOG_LEVEL_INFO);
    if (code != TIM_OK) return failed("log", code);
    code = tim_client_create(config, &client, error, sizeof error);
    if (code != TIM_OK) return failed(error, code);
    code = tim_set_connection_callback(client, on_connection, NULL);
    if (code != TIM_OK) return failed("connection callback", code);
    code = tim_set_user_sig_expired_callback(client, on_expired, NULL);
    if (code != TIM_OK) return failed("expired callback", code);
    code = tim_set_closed_callback(client, on_closed, NULL);
    if (code != TIM_OK) return failed("closed callback", code);

    code = result_of(tim_login(client, "alice", argv[3], on_result, NULL));
    if (code != TIM_OK) return failed("login", code);
    code = tim_get_login_user(client, user, sizeof user, &length);
    if (code != TIM_OK) return failed("user", code);
    if (tim_get_login_status(client) != TIM_LOGIN_STATUS_LOGGED_IN) return 3;
    if (tim_get_connection_status(client) != TIM_CONNECTION_STATUS_CONNECTED) return 4;
    if (tim_get_login_id(client) != 1) return 5;
    code = tim_get_server_time_ms(client, &server_ms);
    if (code != TIM_OK) return failed("time", code);
    code = tim_get_last_error(client, last_error, sizeof last_error, &length);
    if (code != TIM_OK) return failed("last error", code);
    printf("logged in as %s\n", user);

    code = result_of(tim_logout(client, on_result, NULL));
    if (code != TIM_OK) return failed("logout", code);
    if (tim_get_login_status(client) != TIM_LOGIN_STATUS_LOGGED_OUT) return 6;
    printf("logged out\n");
    code = tim_client_destroy(client, 10000);
    if (code != TIM_OK) return failed("destroy", code);
    if (tim_version_number() < TIM_VERSION_NUMBER) return 7;
    if (polls(argv[1], argv[2], argv[3]) != 0) return 9;
    return tim_error_is_retryable(TIM_OK);
}
