/* How long it takes to leave a wait: tim_client_destroy while a login waits in each phase for a peer
 * that never answers, from the call to its return, after which no thread and no socket is left. */
#include "bench.h"
#include "tim.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROUNDS = 300 };

/* Listens on a free port of this machine. */
static int listen_on(struct sockaddr_in *address, int backlog) {
    socklen_t length = sizeof *address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(bind(listener, (struct sockaddr *)address, length) == 0, "bind");
    must(listen(listener, backlog) == 0, "listen");
    getsockname(listener, (struct sockaddr *)address, &length);
    return listener;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int arrived;

/* Takes connections, reads their first bytes, says `greeting` (or nothing), and is silent. */
struct silent {
    int listener;
    const char *greeting;
};

static void *stay_silent(void *argument) {
    struct silent *silent = argument;
    for (;;) {
        char bytes[4096];
        int fd = accept(silent->listener, NULL, NULL);
        if (fd < 0) return NULL;
        if (read(fd, bytes, sizeof bytes) <= 0) {
            close(fd);
            continue;
        }
        if (silent->greeting) (void)!write(fd, silent->greeting, strlen(silent->greeting));
        pthread_mutex_lock(&lock);
        arrived++;
        pthread_cond_signal(&changed);
        pthread_mutex_unlock(&lock);
        while (read(fd, bytes, sizeof bytes) > 0) {}
        close(fd);
    }
}

static int start_silent(const char *greeting) {
    static struct silent all[8];
    static int count;
    struct sockaddr_in address;
    pthread_t thread;
    struct silent *silent = &all[count++];
    silent->listener = listen_on(&address, 128);
    silent->greeting = greeting;
    pthread_create(&thread, NULL, stay_silent, silent);
    return ntohs(address.sin_port);
}

/* A port whose queue is full: it takes no connection and refuses none. */
static int start_black_hole(void) {
    struct sockaddr_in address;
    listen_on(&address, 0);
    for (int i = 0; i < 4; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        fcntl(fd, F_SETFL, O_NONBLOCK);
        (void)!connect(fd, (struct sockaddr *)&address, sizeof address);
    }
    return ntohs(address.sin_port);
}

/* A name server that takes questions and answers none; needs root, as `benches/run` arranges. */
static int start_silent_name_server(void) {
    struct sockaddr_in address = {0};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    address.sin_family = AF_INET;
    address.sin_port = htons(53);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
}

static int by_phase(const char *phase, const char *config, int counted) {
    double times[ROUNDS];
    char what[80];
    for (int round = 0; round < ROUNDS; round++) {
        char error[256] = "";
        tim_client client = 0;
        arrived = 0;
        must(tim_client_create(config, &client, error, sizeof error) == TIM_OK, error);
        must(tim_login(client, "alice", "ticket", NULL, NULL) == TIM_OK, "login");
        if (counted) {
            pthread_mutex_lock(&lock);
            while (!arrived) pthread_cond_wait(&changed, &lock);
            pthread_mutex_unlock(&lock);
        }
        /* The peer has its bytes, or never will: now the client waits. */
        struct timespec moment = {0, 2000000};
        nanosleep(&moment, NULL);
        double start = now_us();
        must(tim_client_destroy(client, 60000) == TIM_OK, "destroy");
        times[round] = (now_us() - start) / 1000;
    }
    snprintf(what, sizeof what, "cancel while waiting in: %s, p50", phase);
    figure(what, percentile(times, ROUNDS, 0.5), "ms", 0, 0, 0);
    snprintf(what, sizeof what, "cancel while waiting in: %s, p99", phase);
    return figure(what, percentile(times, ROUNDS, 0.99), "ms", 0, 2, 0);
}

int main(void) {
    char config[512];
    int failed = 0;
    const char *app = setting("TIM_APP_ID");
    int silent = start_silent(NULL);
    int heading = start_silent("HTTP/1.1 200 OK\r\nTim-Protocol: 1\r\n");
    int streaming = start_silent("HTTP/1.1 200 OK\r\nTim-Protocol: 1\r\nContent-Type: text/event-stream\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\n5\r\n: hi\n\r\n");
    if (start_silent_name_server()) {
        snprintf(config, sizeof config, "{\"server_url\":\"http://slow.example\",\"sdk_app_id\":%s}", app);
        failed |= by_phase("look-up", config, 0);
    } else {
        printf("cancel while waiting in: look-up: not measured, needs root\n");
    }
    snprintf(config, sizeof config, "{\"server_url\":\"http://127.0.0.1:%d\",\"sdk_app_id\":%s}",
             start_black_hole(), app);
    failed |= by_phase("connect", config, 0);
    snprintf(config, sizeof config,
             "{\"server_url\":\"https://127.0.0.1:1\",\"sdk_app_id\":%s,\"proxy\":\"http://127.0.0.1:%d\"}",
             app, silent);
    failed |= by_phase("proxy", config, 1);
    snprintf(config, sizeof config, "{\"server_url\":\"https://127.0.0.1:%d\",\"sdk_app_id\":%s}", silent, app);
    failed |= by_phase("TLS", config, 1);
    snprintf(config, sizeof config, "{\"server_url\":\"http://127.0.0.1:%d\",\"sdk_app_id\":%s}", silent, app);
    failed |= by_phase("answer", config, 1);
    snprintf(config, sizeof config, "{\"server_url\":\"http://127.0.0.1:%d\",\"sdk_app_id\":%s}", heading, app);
    failed |= by_phase("the answer's head", config, 1);
    snprintf(config, sizeof config, "{\"server_url\":\"http://127.0.0.1:%d\",\"sdk_app_id\":%s}", streaming, app);
    failed |= by_phase("the answer's body", config, 1);
    return failed;
}
