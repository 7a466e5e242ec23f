/* A login over a new connection, from the call to the callback, against a bare exchange of the
 * same number of bytes both ways with an endpoint that does nothing. */
#include "bench.h"
#include "tim.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int finished;
static int32_t result;
static double finished_at;

static void on_result(int32_t code, const char *message, void *user_data) {
    double at = now_us();
    (void)message;
    (void)user_data;
    pthread_mutex_lock(&lock);
    finished_at = at;
    result = code;
    finished = 1;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void wait_for_result(const char *what) {
    pthread_mutex_lock(&lock);
    while (!finished) pthread_cond_wait(&changed, &lock);
    finished = 0;
    pthread_mutex_unlock(&lock);
    if (result != TIM_OK) fprintf(stderr, "bench: %s: %s\n", what, tim_error_message(result));
    must(result == TIM_OK, what);
}

static double login_once(tim_client client, const char *user, const char *sig) {
    double start = now_us();
    must(tim_login(client, user, sig, on_result, NULL) == TIM_OK, "login was refused");
    wait_for_result("login");
    double took = finished_at - start;
    must(tim_logout(client, on_result, NULL) == TIM_OK, "logout was refused");
    wait_for_result("logout");
    return took;
}

static tim_client create(const char *url) {
    char config[512], error[256];
    tim_client client;
    snprintf(config, sizeof config, "{\"server_url\":\"%s\",\"sdk_app_id\":%s,\"device_id\":\"bench\"}",
             url, setting("TIM_APP_ID"));
    must(tim_client_create(config, &client, error, sizeof error) == TIM_OK, error);
    return client;
}

static int tcp_listener(struct sockaddr_in *address) {
    socklen_t length = sizeof *address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(bind(listener, (struct sockaddr *)address, length) == 0, "bind");
    must(listen(listener, 128) == 0, "listen");
    getsockname(listener, (struct sockaddr *)address, &length);
    return listener;
}

static int tcp_connect(const struct sockaddr_in *address) {
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    must(connect(fd, (const struct sockaddr *)address, sizeof *address) == 0, "connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* A relay that counts one login's bytes on the wire. */
struct relay {
    int listener;
    struct sockaddr_in server;
    volatile size_t up, down;
};

struct half {
    int from, to;
    volatile size_t *count;
};

static void *run_half(void *argument) {
    struct half *half = argument;
    char buffer[4096];
    ssize_t length;
    while ((length = read(half->from, buffer, sizeof buffer)) > 0) {
        *half->count += (size_t)length;
        if (write(half->to, buffer, (size_t)length) != length) break;
    }
    shutdown(half->to, SHUT_WR);
    return NULL;
}

static void *run_relay(void *argument) {
    struct relay *relay = argument;
    int client = accept(relay->listener, NULL, NULL);
    int server = tcp_connect(&relay->server);
    struct half up = {client, server, &relay->up}, down = {server, client, &relay->down};
    pthread_t thread;
    pthread_create(&thread, NULL, run_half, &up);
    run_half(&down);
    pthread_join(thread, NULL);
    close(client);
    close(server);
    return NULL;
}

static void read_all(int fd, size_t length) {
    char buffer[4096];
    while (length > 0) {
        ssize_t got = read(fd, buffer, length < sizeof buffer ? length : sizeof buffer);
        must(got > 0, "the bare exchange was cut");
        length -= (size_t)got;
    }
}

static void write_all(int fd, const char *bytes, size_t length) {
    must(write(fd, bytes, length) == (ssize_t)length, "write");
}

/* The endpoint that does nothing: reads `up` bytes, writes `down`, and waits for the end. */
static void serve_bare(int listener, size_t up, size_t down) {
    char *answer = calloc(1, down);
    for (;;) {
        int one = 1, fd = accept(listener, NULL, NULL);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        read_all(fd, up);
        write_all(fd, answer, down);
        char end;
        (void)!read(fd, &end, 1);
        close(fd);
    }
}

int main(void) {
    int n = atoi(setting("TIM_LOGINS"));
    double *times = calloc((size_t)n, sizeof *times);
    const char *url = setting("TIM_URL");
    char address[64];
    int port, failed = 0;
    must(sscanf(url, "http://%63[^:]:%d", address, &port) == 2, "TIM_URL is http://ADDR:PORT");

    struct relay relay = {0};
    struct sockaddr_in relay_address;
    relay.listener = tcp_listener(&relay_address);
    relay.server.sin_family = AF_INET;
    relay.server.sin_port = htons((unsigned short)port);
    inet_pton(AF_INET, address, &relay.server.sin_addr);
    pthread_t relay_thread;
    pthread_create(&relay_thread, NULL, run_relay, &relay);
    char relay_url[64];
    snprintf(relay_url, sizeof relay_url, "http://127.0.0.1:%d", ntohs(relay_address.sin_port));
    tim_client counted = create(relay_url);
    must(tim_login(counted, "alice", setting("TIM_SIG"), on_result, NULL) == TIM_OK, "login");
    wait_for_result("login through the relay");
    size_t up = relay.up, down = relay.down;
    must(tim_client_destroy(counted, 5000) == TIM_OK, "destroy");
    pthread_join(relay_thread, NULL);
    printf("a login is %zu bytes up and %zu down\n", up, down);

    struct sockaddr_in bare_address;
    int listener = tcp_listener(&bare_address);
    pid_t bare = fork();
    if (bare == 0) serve_bare(listener, up, down);
    char *request = calloc(1, up);
    double *floors = calloc((size_t)n, sizeof *floors);
    tim_client client = create(url);
    /* In turn, so that both meet the machine in the same state: each comes right after a logout. */
    for (int round = -n / 10; round < n; round++) { /* the first tenth warms up */
        double took = login_once(client, "alice", setting("TIM_SIG"));
        if (round >= 0) times[round] = took;
        took = login_once(client, "alice", setting("TIM_SIG"));
        double start = now_us();
        int fd = tcp_connect(&bare_address);
        write_all(fd, request, up);
        read_all(fd, down);
        took = now_us() - start;
        if (round >= 0) floors[round] = took;
        close(fd);
    }
    kill(bare, 9);
    waitpid(bare, NULL, 0);
    double floor_p50 = percentile(floors, (size_t)n, 0.5), floor_p99 = percentile(floors, (size_t)n, 0.99);
    failed |= figure("login, new connection, known user, p50", percentile(times, (size_t)n, 0.5), "us",
                     floor_p50, 2, 1);
    figure("login, new connection, known user, p99", percentile(times, (size_t)n, 0.99), "us",
           floor_p99, 0, 1);

    /* One line per first-time user: id, space, ticket. */
    FILE *users = fopen(setting("TIM_NEW_USERS"), "r");
    must(users != NULL, "TIM_NEW_USERS cannot be read");
    char user[64], sig[4097];
    int first = 0;
    while (first < n && fscanf(users, "%63s %4096s", user, sig) == 2)
        times[first++] = login_once(client, user, sig);
    fclose(users);
    must(first > 0, "TIM_NEW_USERS is empty");
    figure("login, new connection, first-time user, p50", percentile(times, (size_t)first, 0.5), "us",
           floor_p50, 0, 1);
    figure("login, new connection, first-time user, p99", percentile(times, (size_t)first, 0.99), "us",
           floor_p99, 0, 1);
    must(tim_client_destroy(client, 5000) == TIM_OK, "destroy");
    return failed;
}
