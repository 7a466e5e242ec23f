/* The life of a session for people to watch: another device takes it over and loses it again,
 * the server restarts, the ticket is renewed, a short ticket ends, alice switches to bob.
 *
 * Arguments:
 *
 *   URL             the server's
 *   APP_ID          the app's number
 *   TICKET_COMMAND  a program that prints a ticket: --user-id USER --expire SECONDS
 *   REQUESTS        a file or FIFO that gets a line when it is time to restart the server; with
 *                   /dev/stderr you read it, and do it
 *
 * `make demo` arranges all of this. The program ends with 0 only if everything happened as it should.
 * How one logs in at all is in login.c.
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
    int calls, completions; /* accepted and completed calls */
    int32_t result;         /* the code of the last completion */
    int32_t connection;     /* the last status of the connection */
    int connects, gaps;     /* how often it was connected and disconnected */
    int kicks, expirings, expirations;
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

static void warning(const struct device *device, const char *text) {
    printf(colours ? "  %-7s \033[33m%s\033[0m\n" : "  %-7s %s\n", device->name, text);
}

/* The demo stops if something is not as expected. */
static void expect(int holds, const char *what) {
    if (holds) return;
    printf(colours ? "  \033[31m%s\033[0m\n" : "  %s\n", what);
    exit(1);
}

/* ---- callbacks: they run on the network thread of their client ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

/* Counts one more event. */
static void count(int *counter) {
    ++*counter;
    pthread_cond_broadcast(&changed);
}

static void on_result(int32_t code, const char *message, void *user_data) {
    struct device *device = user_data;
    (void)message;
    pthread_mutex_lock(&lock);
    device->result = code;
    count(&device->completions);
    pthread_mutex_unlock(&lock);
}

static void on_connection(tim_client client, int32_t status, int32_t code, const char *message,
                          uint64_t login_id, void *user_data) {
    struct device *device = user_data;
    (void)client;
    (void)message;
    (void)login_id;
    pthread_mutex_lock(&lock);
    switch (status) {
    case TIM_CONNECTION_STATUS_CONNECTING: line(device, "connecting ..."); break;
    case TIM_CONNECTION_STATUS_CONNECTED: line(device, "connected"); break;
    case TIM_CONNECTION_STATUS_DISCONNECTED: line(device, "disconnected"); break;
    default: printf("  %-7s no connection: %s (%d)\n", device->name, tim_error_name(code), (int)code);
    }
    device->connection = status;
    count(status == TIM_CONNECTION_STATUS_CONNECTED ? &device->connects : &device->gaps);
    pthread_mutex_unlock(&lock);
}

static void on_kicked(tim_client client, int32_t code, const char *message, uint64_t login_id,
                      void *user_data) {
    struct device *device = user_data;
    char info[512];
    (void)message;
    (void)login_id;
    pthread_mutex_lock(&lock);
    printf(colours ? "  %-7s \033[33mkicked: %s (%d)\033[0m\n" : "  %-7s kicked: %s (%d)\n",
           device->name, tim_error_name(code), (int)code);
    if (tim_get_kick_info(client, info, sizeof info, NULL) == TIM_OK) line(device, info);
    count(&device->kicks);
    pthread_mutex_unlock(&lock);
}

static void on_expiring(tim_client client, int64_t seconds_left, uint64_t login_id, void *user_data) {
    struct device *device = user_data;
    char text[64];
    (void)client;
    (void)login_id;
    pthread_mutex_lock(&lock);
    snprintf(text, sizeof text, "the ticket ends in less than %d s", (int)seconds_left + 1);
    warning(device, text);
    count(&device->expirings);
    pthread_mutex_unlock(&lock);
}

static void on_expired(tim_client client, int32_t code, const char *message, uint64_t login_id,
                       void *user_data) {
    struct device *device = user_data;
    (void)client;
    (void)login_id;
    pthread_mutex_lock(&lock);
    printf(colours ? "  %-7s \033[33m%s (%d)\033[0m\n" : "  %-7s %s (%d)\n", device->name, message,
           (int)code);
    expect(device->expirings == 1, "expected an event before the ticket expires");
    count(&device->expirations);
    pthread_mutex_unlock(&lock);
}

/* ---- waiting for callbacks ---- */

/* Waits until something changes. */
static void wait_for_change(const char *expected) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 30; /* a demo does not wait forever */
    if (pthread_cond_timedwait(&changed, &lock, &until) == ETIMEDOUT) expect(0, expected);
}

/* Waits until something has happened this many times. */
static void wait_until(const int *counter, int times, const char *expected) {
    pthread_mutex_lock(&lock);
    while (*counter < times) wait_for_change(expected);
    pthread_mutex_unlock(&lock);
}

/* Waits until the current connection status has been delivered. */
static void wait_for_connection(const struct device *device) {
    pthread_mutex_lock(&lock);
    while (device->connection != tim_get_connection_status(device->client))
        wait_for_change("expected a connection event");
    pthread_mutex_unlock(&lock);
}

/* How often something has happened so far. */
static int so_far(const int *counter) {
    pthread_mutex_lock(&lock);
    const int times = *counter;
    pthread_mutex_unlock(&lock);
    return times;
}

/* Waits for the completion of a call that gave `accepted`. It must succeed. */
static void succeeds(struct device *device, int32_t accepted) {
    expect(accepted == TIM_OK, tim_error_message(accepted)); /* else no completion follows */
    wait_until(&device->completions, ++device->calls, "expected the call to complete");
    expect(device->result == TIM_OK, tim_error_message(device->result));
    wait_for_connection(device);
}

/* ---- what a device does ---- */

static void create(struct device *device, const char *url, const char *app_id, const char *more) {
    char config[512], error[256];
    snprintf(config, sizeof config,
             "{\"server_url\": \"%s\", \"sdk_app_id\": %s, \"device_id\": \"%s-of-alice\", "
             /* Short waits for a quick demo; the default is 1000 to 60000. */
             "\"reconnect\": {\"first_ms\": 200, \"max_ms\": 1000}, %s}",
             url, app_id, device->name, more);
    expect(tim_client_create(config, &device->client, error, sizeof error) == TIM_OK, error);
    device->connection = tim_get_connection_status(device->client);
    tim_set_connection_callback(device->client, on_connection, device);
    tim_set_kicked_offline_callback(device->client, on_kicked, device);
    tim_set_user_sig_expiring_callback(device->client, on_expiring, device);
    tim_set_user_sig_expired_callback(device->client, on_expired, device);
}

static const char *ticket_command;

/* An app gets a ticket from its backend, which has the key. Here a program plays the backend. The answer
 * is good until the next call. */
static const char *new_ticket(const char *user_id, int seconds) {
    static char ticket[4096];
    char command[1024];
    snprintf(command, sizeof command, "\"%s\" --user-id %s --expire %d", ticket_command, user_id, seconds);
    FILE *program = popen(command, "r");
    expect(program && fgets(ticket, sizeof ticket, program) && pclose(program) == 0, "expected a ticket");
    ticket[strcspn(ticket, "\n")] = '\0';
    return ticket;
}

static void is_logged_in(const struct device *device, const char *user_id) {
    char user[64], text[128];
    expect(tim_get_login_status(device->client) == TIM_LOGIN_STATUS_LOGGED_IN, "expected status 1");
    expect(tim_get_login_user(device->client, user, sizeof user, NULL) == TIM_OK, "expected a user");
    expect(strcmp(user, user_id) == 0, user);
    snprintf(text, sizeof text, "logged in as %s, status 1, login %d", user,
             (int)tim_get_login_id(device->client));
    good(device, text);
}

static void is_logged_out(const struct device *device) {
    char user[64];
    wait_for_connection(device);
    expect(tim_get_login_status(device->client) == TIM_LOGIN_STATUS_LOGGED_OUT, "expected status 3");
    expect(tim_get_login_user(device->client, user, sizeof user, NULL) == TIM_OK, "expected an answer");
    expect(strcmp(user, "") == 0, user);
    line(device, "logged out, status 3");
}

static void log_in(struct device *device, const char *user_id) {
    succeeds(device, tim_login(device->client, user_id, new_ticket(user_id, 3600), on_result, device));
    is_logged_in(device, user_id);
}

/* Waits for a kick by the device with that platform and name. */
static void is_kicked(struct device *device, const char *platform, const char *device_name) {
    char info[512], who[256];
    wait_until(&device->kicks, 1, "expected to be kicked");
    expect(tim_get_kick_info(device->client, info, sizeof info, NULL) == TIM_OK, "expected kick info");
    snprintf(who, sizeof who, "\"platform\":\"%s\",\"device_name\":\"%s\"", platform, device_name);
    expect(strstr(info, who) != NULL, "expected another device in the kick info");
    is_logged_out(device);
}

/* ---- the story ---- */

static void take_over(struct device *phone, struct device *tablet) {
    step("alice logs in on her tablet: that signs her phone out");
    log_in(tablet, "alice");
    is_kicked(phone, "ipad", "the tablet of alice");

    step("the phone does not come back by itself, not even when its app comes to the foreground");
    const int gaps = so_far(&phone->gaps), connects = so_far(&phone->connects);
    expect(tim_notify(phone->client, TIM_HINT_FOREGROUND) == TIM_OK, "expected notify to be taken");
    is_logged_out(phone);

    step("only a tim_login takes the session back");
    log_in(phone, "alice");
    is_kicked(tablet, "android", "the phone of alice");
    expect(so_far(&phone->gaps) == gaps + 1, "expected one attempt to connect");
    expect(so_far(&phone->connects) == connects + 1, "expected one connection");
}

static void restart_the_server(struct device *phone, const char *requests) {
    const uint64_t login_id = tim_get_login_id(phone->client);
    const int gaps = so_far(&phone->gaps), connects = so_far(&phone->connects);
    step("the server restarts: nobody is signed out");
    FILE *file = fopen(requests, "w");
    expect(file && fputs("restart the server\n", file) >= 0 && fclose(file) == 0, requests);
    wait_until(&phone->gaps, gaps + 1, "expected the connection to be lost");
    is_logged_in(phone, "alice");
    wait_until(&phone->connects, connects + 1, "expected to be connected again");
    is_logged_in(phone, "alice");
    expect(tim_get_login_id(phone->client) == login_id, "expected the same login");
}

static void renew(struct device *phone) {
    const uint64_t login_id = tim_get_login_id(phone->client);
    const int gaps = so_far(&phone->gaps);
    step("the ticket is renewed: no gap, no new login");
    succeeds(phone, tim_renew_user_sig(phone->client, new_ticket("alice", 7200), on_result, phone));
    good(phone, "the session continues with the new ticket");
    is_logged_in(phone, "alice");
    expect(tim_get_login_id(phone->client) == login_id, "expected the same login");
    expect(so_far(&phone->gaps) == gaps, "expected the connection to stay");
}

static void expire(struct device *phone) {
    step("a 3-second ticket expires: the app is warned, and does nothing");
    succeeds(phone, tim_renew_user_sig(phone->client, new_ticket("alice", 3), on_result, phone));
    wait_until(&phone->expirings, 1, "expected an event before the ticket expires");
    wait_until(&phone->expirations, 1, "expected the ticket to expire");
    is_logged_out(phone);
    line(phone, "a new ticket is all it takes");
    log_in(phone, "alice");
}

static void switch_account(struct device *phone) {
    const uint64_t login_id = tim_get_login_id(phone->client);
    step("alice hands the phone to bob: one tim_login");
    log_in(phone, "bob");
    expect(tim_get_login_id(phone->client) == login_id + 1, "expected a new login");

    step("bob logs out");
    succeeds(phone, tim_logout(phone->client, on_result, phone));
    is_logged_out(phone);
}

int main(int argc, char **argv) {
    struct device phone = {.name = "phone"}, tablet = {.name = "tablet"};
    if (argc != 5) {
        fprintf(stderr, "usage: %s URL APP_ID TICKET_COMMAND REQUESTS\n", argv[0]);
        return 2;
    }
    ticket_command = argv[3];
    colours = isatty(STDOUT_FILENO);
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    create(&phone, argv[1], argv[2], "\"platform\": \"android\", \"device_name\": \"the phone of alice\"");
    create(&tablet, argv[1], argv[2], "\"platform\": \"ipad\", \"device_name\": \"the tablet of alice\"");

    step("alice logs in on her phone");
    log_in(&phone, "alice");
    take_over(&phone, &tablet);
    restart_the_server(&phone, argv[4]);
    renew(&phone);
    expire(&phone);
    switch_account(&phone);

    /* Once this has returned TIM_OK, nothing of the client runs any longer. */
    expect(tim_client_destroy(phone.client, 5000) == TIM_OK, "expected the client to be gone");
    expect(tim_client_destroy(tablet.client, 5000) == TIM_OK, "expected the client to be gone");
    expect(phone.kicks == 1 && tablet.kicks == 1, "expected one kick each");
    expect(phone.expirings == 1 && phone.expirations == 1, "expected one end of a ticket");
    expect(tablet.connects == 1, "expected the tablet to stay away");
    return 0;
}
