/* A client in libuv's loop: alice logs in, and logs out when you type q or close stdin.
 * Arguments: the server's URL, the app's id, alice's ticket. stdin is a terminal or a pipe. */
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

#include <tim.h>

static char login[] = "alice", logout[] = "logout"; /* the user_data of the two calls: what to print */

static const char *connection_name(int32_t status) {
    switch (status) {
    case TIM_CONNECTION_STATUS_CONNECTED: return "connected";
    case TIM_CONNECTION_STATUS_CONNECTING: return "connecting";
    case TIM_CONNECTION_STATUS_DISCONNECTED: return "disconnected";
    default: return "failed";
    }
}

/* Returns whether a call was accepted. Only then does its completion follow. */
static int accepted(int32_t code) {
    if (code != TIM_OK) fprintf(stderr, "%s (%d)\n", tim_error_message(code), (int)code);
    return code == TIM_OK;
}

/* Returns whether the client is still needed. */
static int handle(const tim_event *event) {
    switch (event->type) {
    case TIM_EVENT_COMPLETION:
        printf("%s: %s (%d)\n", (const char *)event->user_data, event->message, (int)event->code);
        return event->code == TIM_OK && event->user_data == login;
    case TIM_EVENT_CONNECTION:
        printf("connection: %s\n", connection_name(event->connection_status));
        return 1;
    case TIM_EVENT_KICKED_OFFLINE:
    case TIM_EVENT_USER_SIG_EXPIRED:
        printf("signed out: %s (%d)\n", event->message, (int)event->code);
        return 0;
    default: return 1;
    }
}

static int32_t take(tim_client client, int32_t timeout_ms, tim_event *event) {
    event->size = sizeof *event;
    return tim_poll_event(client, timeout_ms, event);
}

static tim_client client;
static uv_poll_t tim_ready, stdin_ready;

static void destroy(void) {
    tim_event event;
    /* The descriptor leaves the loop before TIM_EVENT_CLOSED frees its number for others. */
    uv_close((uv_handle_t *)&tim_ready, NULL);
    tim_client_destroy(client, 0);
    while (take(client, -1, &event) == TIM_OK && event.type != TIM_EVENT_CLOSED) {}
}

static void on_tim(uv_poll_t *poll, int status, int events) {
    tim_event event;
    int needed = 1;
    (void)poll, (void)status, (void)events;
    while (needed && take(client, 0, &event) == TIM_OK) needed = handle(&event); /* until the queue is empty */
    if (!needed) destroy();
}

static void on_stdin(uv_poll_t *poll, int status, int events) {
    char key;
    (void)status, (void)events;
    if (read(STDIN_FILENO, &key, 1) == 1 && key != 'q') return;
    uv_poll_stop(poll);
    if (!accepted(tim_logout(client, NULL, logout))) destroy();
}

int main(int argc, char **argv) {
    char config[512], error[256];
    int32_t fd;
    if (argc != 4) {
        fprintf(stderr, "usage: %s URL APP_ID TICKET\n", argv[0]);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    snprintf(config, sizeof config,
             "{\"server_url\": \"%s\", \"sdk_app_id\": %s, \"event_delivery\": \"poll\"}", argv[1], argv[2]);
    if (tim_client_create(config, &client, error, sizeof error) != TIM_OK) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    if (!accepted(tim_get_wakeup_fd(client, &fd)) || uv_poll_init(uv_default_loop(), &tim_ready, fd) != 0 ||
        uv_poll_init(uv_default_loop(), &stdin_ready, STDIN_FILENO) != 0) {
        fprintf(stderr, "stdin is neither a terminal nor a pipe\n");
        return 1;
    }
    uv_poll_start(&tim_ready, UV_READABLE, on_tim);
    uv_poll_start(&stdin_ready, UV_READABLE, on_stdin);
    uv_unref((uv_handle_t *)&stdin_ready); /* the loop runs for the client alone */
    if (!accepted(tim_login(client, "alice", argv[3], NULL, login))) destroy();
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
