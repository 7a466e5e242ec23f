/* A resume, from the end of the stream to the callback that says "connected", against a bare exchange
 * of as many bytes. The connection is cut by shutting its socket down under the library. One client
 * alone has no share of the server's load: its spread is 0, and nothing waits on purpose. */
#include "bare.h"
#include "client.h"
#include <time.h>

static struct record done, connected;

static void on_connection(tim_client client, int32_t status, int32_t code, const char *message,
                          uint64_t login_id, void *user_data) {
    (void)client, (void)message, (void)login_id;
    if (status == TIM_CONNECTION_STATUS_CONNECTED) note(user_data, code);
}

/* The library's connection to the server: the socket of this process with that peer. */
static int connection_to(const struct sockaddr_in *server) {
    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_in peer;
        socklen_t length = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &length) == 0 && length == sizeof peer
            && peer.sin_family == AF_INET && peer.sin_port == server->sin_port)
            return fd;
    }
    must(0, "no connection to cut");
    return -1;
}

static tim_client log_in(const char *url) {
    tim_client client = create_client(url, ",\"device_id\":\"bench\"");
    must(tim_set_connection_callback(client, on_connection, &connected) == TIM_OK, "setter");
    succeeds(&done, tim_login(client, "alice", setting("TIM_SIG"), on_result, &done), "login");
    wait_for(&connected);
    return client;
}

int main(void) {
    enum { ROUNDS = 60 };
    const struct timespec two_heartbeats = {1, 100000000};
    double times[ROUNDS], floors[ROUNDS];
    const char *url = setting("TIM_URL");
    struct sockaddr_in server = address_of(url);

    struct relay relay = {0};
    char relay_url[64];
    start_relay(&relay, url, relay_url, sizeof relay_url);
    tim_client client = log_in(relay_url);
    nanosleep(&two_heartbeats, NULL);
    shutdown(relay.client_fd, SHUT_RDWR);
    wait_for(&connected);
    struct bare bare;
    start_bare(&bare, relay.up, relay.down);
    must(tim_client_destroy(client, 5000) == TIM_OK, "destroy");
    printf("a resume is %zu bytes up and %zu down\n", bare.up, bare.down);

    client = log_in(url);
    for (int round = -ROUNDS / 10; round < ROUNDS; round++) { /* the first tenth is warm-up */
        nanosleep(&two_heartbeats, NULL);
        int fd = connection_to(&server);
        double start = now_us();
        shutdown(fd, SHUT_RDWR);
        double took = wait_for(&connected) - start;
        if (round >= 0) times[round] = took;
        must(tim_get_login_status(client) == TIM_LOGIN_STATUS_LOGGED_IN, "signed out");
        took = bare_exchange(&bare);
        if (round >= 0) floors[round] = took;
    }
    stop_bare(&bare);
    figure("resume, the stream's end to connected, no spread, p50", percentile(times, ROUNDS, 0.5), "us",
           percentile(floors, ROUNDS, 0.5), 0, 0);
    figure("resume, the stream's end to connected, no spread, p99", percentile(times, ROUNDS, 0.99), "us",
           percentile(floors, ROUNDS, 0.99), 0, 0);
    must(tim_client_destroy(client, 5000) == TIM_OK, "destroy");
    return 0;
}
