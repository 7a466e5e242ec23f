/* A login as a person would watch it: alice logs in, two bad tickets are refused, alice logs out.
 *
 * Arguments: the server's URL, the app's id, a good ticket of alice, one that was made with another
 * key, one that has expired. `make demo` makes them all and runs this program. It ends with 0 only
 * if everything happened as it should.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tim.h>

/* ---- what is printed ---- */

static int colours; /* whether a terminal looks on */

static void step(const char *title) {
    printf(colours ? "\n\033[1m%s\033[0m\n" : "\n%s\n", title);
}

static void good(const char *line) {
    printf(colours ? "  \033[32m%s\033[0m\n" : "  %s\n", line);
}

static void bad(const char *line) {
    printf(colours ? "  \033[31m%s\033[0m\n" : "  %s\n", line);
}

/* The demo ends when something is not as it should be. */
static void expect(int holds, const char *what) {
    if (holds) return;
    bad(what);
    exit(1);
}

/* ---- waiting for a call's completion ---- */

/* One call at a time is made here, so one place for its result is enough. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int finished;
static int32_t result;

/* Runs on the client's network thread. */
static void on_result(int32_t code, const char *message, void *user_data) {
    (void)message;
    (void)user_data;
    pthread_mutex_lock(&lock);
    result = code;
    finished = 1;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

/* Waits for the completion of a call that gave `accepted`. */
static int32_t wait_for_result(int32_t accepted) {
    if (accepted != TIM_OK) return accepted; /* refused at once: no completion follows */
    pthread_mutex_lock(&lock);
    while (!finished) pthread_cond_wait(&changed, &lock);
    finished = 0;
    pthread_mutex_unlock(&lock);
    return result;
}

/* ---- the client ---- */

/* Runs on the client's network thread too. */
static void on_connection(tim_client client, int32_t status, int32_t code, const char *message,
                          uint64_t login_id, void *user_data) {
    (void)client;
    (void)login_id;
    (void)user_data;
    switch (status) {
    case TIM_CONNECTION_STATUS_CONNECTING: printf("  connecting ...\n"); break;
    case TIM_CONNECTION_STATUS_CONNECTED: printf("  connected\n"); break;
    case TIM_CONNECTION_STATUS_DISCONNECTED: printf("  disconnected\n"); break;
    default: printf("  no connection: %s (%d)\n", message, (int)code);
    }
}

static tim_client create_client(const char *url, const char *app_id) {
    char config[512], error[256];
    tim_client client = 0;
    snprintf(config, sizeof config, "{\"server_url\": \"%s\", \"sdk_app_id\": %s}", url, app_id);
    expect(tim_client_create(config, &client, error, sizeof error) == TIM_OK, error);
    tim_set_connection_callback(client, on_connection, NULL);
    return client;
}

static void login_is_refused(tim_client client, const char *user_sig, int32_t expected) {
    char line[256];
    const int32_t code = wait_for_result(tim_login(client, "alice", user_sig, on_result, NULL));
    snprintf(line, sizeof line, "refused: %s (%d)", tim_error_name(code), (int)code);
    if (code == expected) good(line); else bad(line);
    printf("  what to do: %s\n", tim_error_message(code));
    expect(code == expected, "expected another answer");
    expect(tim_get_login_status(client) == TIM_LOGIN_STATUS_LOGGED_OUT, "expected nobody logged in");
    printf("  status %d (logged out)\n", (int)tim_get_login_status(client));
}

int main(int argc, char **argv) {
    char user[64], text[64], line[256];
    int64_t server_ms = 0;
    if (argc != 6) {
        fprintf(stderr, "usage: %s URL APP_ID TICKET OTHER_KEYS_TICKET EXPIRED_TICKET\n", argv[0]);
        return 2;
    }
    colours = isatty(STDOUT_FILENO);
    setvbuf(stdout, NULL, _IOLBF, 0);

    printf("libtim %s, server %s, app %s\n", tim_version(), argv[1], argv[2]);
    tim_client client = create_client(argv[1], argv[2]), other = create_client(argv[1], argv[2]);

    step("alice logs in");
    int32_t code = wait_for_result(tim_login(client, "alice", argv[3], on_result, NULL));
    if (code != TIM_OK) bad(tim_error_message(code));
    expect(code == TIM_OK, "expected a login");
    expect(tim_get_login_user(client, user, sizeof user, NULL) == TIM_OK, "expected a user");
    expect(strcmp(user, "alice") == 0, "expected alice");
    expect(tim_get_login_status(client) == TIM_LOGIN_STATUS_LOGGED_IN, "expected status 1");
    expect(tim_get_server_time_ms(client, &server_ms) == TIM_OK, "expected the server's time");
    snprintf(line, sizeof line, "logged in as %s", user);
    good(line);
    const time_t seconds = (time_t)(server_ms / 1000);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", gmtime(&seconds));
    printf("  status %d (logged in), the server's time is %s UTC\n",
           (int)tim_get_login_status(client), text);

    step("another device logs in as alice, with a ticket that was made with another key");
    login_is_refused(other, argv[4], TIM_ERR_USER_SIG_WRONG_KEY);

    step("the same, with a ticket of yesterday");
    login_is_refused(other, argv[5], TIM_ERR_USER_SIG_EXPIRED);
    expect(tim_get_login_status(client) == TIM_LOGIN_STATUS_LOGGED_IN, "expected alice still in");

    step("alice logs out");
    code = wait_for_result(tim_logout(client, on_result, NULL));
    expect(code == TIM_OK, tim_error_message(code));
    expect(tim_get_login_status(client) == TIM_LOGIN_STATUS_LOGGED_OUT, "expected status 3");
    good("logged out");
    printf("  status %d (logged out)\n", (int)tim_get_login_status(client));

    /* Nothing of a client runs any more once this has returned TIM_OK. */
    expect(tim_client_destroy(client, 5000) == TIM_OK, "expected the client to be gone");
    expect(tim_client_destroy(other, 5000) == TIM_OK, "expected the client to be gone");
    return 0;
}
