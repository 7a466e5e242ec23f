/* What the loops have in common: alice's client, what she does with its events, and its end. A program
 * takes three arguments: the server's URL, the app's id, alice's ticket. */
#include <stdio.h>

#include <tim.h>

static char login[] = "alice", logout[] = "logout"; /* the user_data of the two calls: what to print */

static inline const char *connection_name(int32_t status) {
    switch (status) {
    case TIM_CONNECTION_STATUS_CONNECTED: return "connected";
    case TIM_CONNECTION_STATUS_CONNECTING: return "connecting";
    case TIM_CONNECTION_STATUS_DISCONNECTED: return "disconnected";
    default: return "failed";
    }
}

/* Returns whether a call was accepted. Only then does its completion follow. */
static inline int accepted(int32_t code) {
    if (code != TIM_OK) fprintf(stderr, "%s (%d)\n", tim_error_message(code), (int)code);
    return code == TIM_OK;
}

/* Returns whether the client is still needed. */
static inline int handle(const tim_event *event) {
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

static inline int32_t take(tim_client client, int32_t timeout_ms, tim_event *event) {
    event->size = sizeof *event;
    return tim_poll_event(client, timeout_ms, event);
}

/* Creates alice's client, which is polled. Returns 0, or what the program is to return. */
static inline int create(int argc, char **argv, tim_client *client) {
    char config[512], error[256];
    if (argc != 4) {
        fprintf(stderr, "usage: %s URL APP_ID TICKET\n", argv[0]);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    snprintf(config, sizeof config,
             "{\"server_url\": \"%s\", \"sdk_app_id\": %s, \"event_delivery\": \"poll\"}", argv[1], argv[2]);
    if (tim_client_create(config, client, error, sizeof error) == TIM_OK) return 0;
    fprintf(stderr, "%s\n", error);
    return 1;
}

/* Closes the client and takes what is left. The descriptor has left the loop before: TIM_EVENT_CLOSED frees
 * its number for others. */
static inline void destroy(tim_client client) {
    tim_event event;
    tim_client_destroy(client, 0);
    while (take(client, -1, &event) == TIM_OK && event.type != TIM_EVENT_CLOSED) {}
}
