/* A login for people to watch: alice logs in, two bad tickets are refused, alice logs out.
 *
 * Arguments: the server's URL, the app's id, a good ticket of alice, one that was made with another
 * key, one that has expired. `make demo` makes them all and runs this program. It ends with 0 only
 * if everything happened as it should. How a session goes on from here is in sessions.c.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tim.h>

/* A client, and what its callbacks have reported. */
struct device {
    const char *name;
    tim_client client;
    int32_t connection; /* the last status of the connection */
    int finished;       /* whether the awaited call has completed */
    int32_t result;     /* and with which code */
};

/* ---- output ---- */

static int colours; /* whether stdout is a terminal */

static void step(const char *title) {
    printf(colours ? "\n\033[1m%s\033[0m\n" : "\n%s\n", title);
}

static void line(const struct device *device, const char *text) {
    printf("  %-7s %s\n", device->name, text);
}

static void good(const struct device *device, const char *text) {
    printf(colours ? "  %-7s \033[32m%s\033[0m\n" : "  %-7s %s\n", device->name, text);
}

/* The demo stops if something is not as expected. */
static void expect(int holds, const char *what) {
    if (holds) return;
    printf(colours ? "  \033[31m%s\033[0m\n" : "  %s\n", what);
    exit(1);
}

/* ---- callbacks: they run on the client's network thread ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

/* A call on this device has completed. */
static void on_result(int32_t code, const char *message, void *user_data) {
    struct device *device = user_data;
    (void)message;
    pthread_mutex_lock(&lock);
    device->result = code;
    device->finished = 1;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

/* The connection of this device has changed. */
static void on_connection(tim_client client, int32_t status, int32_t code, const char *message,
                          uint64_t login_id, void *user_data) {
    struct device *device = user_data;
    (void)client;
    (void)login_id;
    pthread_mutex_lock(&lock);
    switch (status) {
    case TIM_CONNECTION_STATUS_CONNECTING: line(device, "connecting ..."); break;
    case TIM_CONNECTION_STATUS_CONNECTED: line(device, "connected"); break;
    case TIM_CONNECTION_STATUS_DISCONNECTED: line(device, "disconnected"); break;
    default: printf("  %-7s no connection: %s (%d)\n", device->name, message, (int)code);
    }
    device->connection = status;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

/* Waits for the completion of a call that returned `accepted`, and for the connection status that follows. */
static int32_t wait_for_result(struct device *device, int32_t accepted) {
    struct timespec until;
    if (accepted != TIM_OK) return accepted; /* rejected: no completion follows */
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 30; /* longer than libtim's own limits */
    pthread_mutex_lock(&lock);
    while (!device->finished || device->connection != tim_get_connection_status(device->client))
        if (pthread_cond_timedwait(&changed, &lock, &until) == ETIMEDOUT)
            expect(0, "expected a completion and a connection event");
    device->finished = 0;
    pthread_mutex_unlock(&lock);
    return device->result;
}

/* ---- the story ---- */

static void create(struct device *device, const char *url, const char *app_id) {
    char config[512], error[256];
    snprintf(config, sizeof config, "{\"server_url\": \"%s\", \"sdk_app_id\": %s}", url, app_id);
    expect(tim_client_create(config, &device->client, error, sizeof error) == TIM_OK, error);
    device->connection = tim_get_connection_status(device->client);
    tim_set_connection_callback(device->client, on_connection, device);
}

static void log_in(struct device *device, const char *user_sig) {
    char user[64], text[128];
    int64_t server_ms = 0;
    const int32_t code = wait_for_result(
        device, tim_login(device->client, "alice", user_sig, on_result, device));
    expect(code == TIM_OK, tim_error_message(code));
    expect(tim_get_login_user(device->client, user, sizeof user, NULL) == TIM_OK, "expected a user");
    expect(strcmp(user, "alice") == 0, "expected alice");
    expect(tim_get_login_status(device->client) == TIM_LOGIN_STATUS_LOGGED_IN, "expected status 1");
    expect(tim_get_server_time_ms(device->client, &server_ms) == TIM_OK, "expected the server's time");
    snprintf(text, sizeof text, "logged in as %s, status 1", user);
    good(device, text);
    const time_t seconds = (time_t)(server_ms / 1000);
    strftime(text, sizeof text, "the server's time is %Y-%m-%d %H:%M:%S UTC", gmtime(&seconds));
    line(device, text);
}

static void login_is_refused(struct device *device, const char *user_sig, int32_t expected) {
    char text[256];
    const int32_t code = wait_for_result(
        device, tim_login(device->client, "alice", user_sig, on_result, device));
    snprintf(text, sizeof text, "refused: %s (%d)", tim_error_name(code), (int)code);
    expect(code == expected, text);
    good(device, text);
    line(device, tim_error_message(code)); /* what to do about it */
    expect(tim_get_login_status(device->client) == TIM_LOGIN_STATUS_LOGGED_OUT, "expected status 3");
    line(device, "logged out, status 3");
}

static void log_out(struct device *device) {
    const int32_t code =
        wait_for_result(device, tim_logout(device->client, on_result, device));
    expect(code == TIM_OK, tim_error_message(code));
    expect(tim_get_login_status(device->client) == TIM_LOGIN_STATUS_LOGGED_OUT, "expected status 3");
    good(device, "logged out, status 3");
}

int main(int argc, char **argv) {
    struct device phone = {.name = "phone"}, tablet = {.name = "tablet"};
    if (argc != 6) {
        fprintf(stderr, "usage: %s URL APP_ID TICKET OTHER_KEYS_TICKET EXPIRED_TICKET\n", argv[0]);
        return 2;
    }
    colours = isatty(STDOUT_FILENO);
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    printf("libtim %s, server %s, app %s\n", tim_version(), argv[1], argv[2]);
    create(&phone, argv[1], argv[2]);
    create(&tablet, argv[1], argv[2]);

    step("alice logs in");
    log_in(&phone, argv[3]);

    step("another device tries a ticket that was signed with another key");
    login_is_refused(&tablet, argv[4], TIM_ERR_USER_SIG_WRONG_KEY);

    step("then a ticket that expired yesterday");
    login_is_refused(&tablet, argv[5], TIM_ERR_USER_SIG_EXPIRED);
    expect(tim_get_login_status(phone.client) == TIM_LOGIN_STATUS_LOGGED_IN, "expected alice still in");

    step("alice logs out");
    log_out(&phone);

    /* Once this has returned TIM_OK, nothing of the client runs any longer. */
    expect(tim_client_destroy(phone.client, 5000) == TIM_OK, "expected the client to be gone");
    expect(tim_client_destroy(tablet.client, 5000) == TIM_OK, "expected the client to be gone");
    return 0;
}
