/* A client in a game: alice logs in, and logs out when you type q or close stdin.
 * Arguments: the server's URL, the app's id, alice's ticket. */
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

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

/* The player wants to leave: they typed q or closed stdin. Does not wait. */
static int wants_to_leave(void) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char key;
    return poll(&input, 1, 0) > 0 && (read(STDIN_FILENO, &key, 1) != 1 || key == 'q');
}

int main(int argc, char **argv) {
    char config[512], error[256];
    tim_client client;
    tim_event event;
    const struct timespec frame = {.tv_nsec = 16666667}; /* 60 per second */
    int leaving = 0;
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
    int needed = accepted(tim_login(client, "alice", argv[3], NULL, login));

    for (;;) {
        /* Once per frame: everything that has arrived. */
        while (take(client, 0, &event) == TIM_OK) {
            if (event.type == TIM_EVENT_CLOSED) return 0;
            needed = needed && handle(&event);
        }
        if (needed && !leaving && wants_to_leave()) {
            leaving = 1;
            needed = accepted(tim_logout(client, NULL, logout));
        }
        if (!needed) tim_client_destroy(client, 0); /* its last event comes in a later frame */
        /* Here the game moves and draws. */
        nanosleep(&frame, NULL);
    }
}
