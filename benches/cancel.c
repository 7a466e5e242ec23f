/* How long it takes to leave a wait, in each phase, with a peer that never answers: tim_client_destroy,
 * from the call to its return, after which no thread and no socket is left; and how far from its own
 * deadline a login against a dead server ends. */
#include "client.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROUNDS = 300, DEADLINES = 20, DEADLINE_MS = 200 };

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

/* Accepts connections, reads their first bytes, sends `greeting` (or nothing), and stays silent. */
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

/* A port with a full backlog: it neither accepts nor refuses connections. */
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

/* A name server that never answers; needs root, which `benches/run` arranges. */
static int start_silent_name_server(void) {
    struct sockaddr_in address = {0};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    address.sin_family = AF_INET;
    address.sin_port = htons(53);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
}

/* Waits until the peer has received the request, if it accepts any. */
static void wait_until_waiting(int counted) {
    if (counted) {
        pthread_mutex_lock(&lock);
        while (!arrived) pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
    }
    struct timespec moment = {0, 2000000};
    nanosleep(&moment, NULL);
}

static double destroy_ms(tim_client client) {
    double start = now_us();
    must(tim_client_destroy(client, 60000) == TIM_OK, "destroy");
    return (now_us() - start) / 1000;
}

static int print_cancel(const char *phase, double *times) {
    char what[100];
    snprintf(what, sizeof what, "cancel while waiting in: %s, p50", phase);
    figure(what, percentile(times, ROUNDS, 0.5), "ms", 0, 0, 0);
    snprintf(what, sizeof what, "cancel while waiting in: %s, p99", phase);
    return figure(what, percentile(times, ROUNDS, 0.99), "ms", 0, 2, 0);
}

/* A login at `url` that is never answered: cancelled, and left to its deadline. */
static int by_phase(const char *phase, const char *url, const char *more, int counted) {
    double times[ROUNDS], off[DEADLINES];
    char with_deadline[256], what[100];
    int32_t code = TIM_OK;
    for (int round = 0; round < ROUNDS; round++) {
        arrived = 0;
        tim_client client = create_client(url, more);
        must(tim_login(client, "alice", "ticket", NULL, NULL) == TIM_OK, "login");
        wait_until_waiting(counted);
        times[round] = destroy_ms(client);
    }
    int failed = print_cancel(phase, times);
    snprintf(with_deadline, sizeof with_deadline, "%s,\"login_timeout_ms\":%d", more, DEADLINE_MS);
    for (int round = 0; round < DEADLINES; round++) {
        struct record done = {0};
        tim_client client = create_client(url, with_deadline);
        double start = now_us();
        must(tim_login(client, "alice", "ticket", on_result, &done) == TIM_OK, "login");
        double late = (wait_for(&done) - start) / 1000 - DEADLINE_MS;
        off[round] = late < 0 ? -late : late;
        code = done.code;
        must(tim_client_destroy(client, 60000) == TIM_OK, "destroy");
    }
    snprintf(what, sizeof what, "deadline of a login that waits in: %s, worst of %d", phase, DEADLINES);
    failed |= figure(what, percentile(off, DEADLINES, 1), "ms", 0, 50, 0);
    printf("  its cause: %s (%d)\n", tim_error_name(code), (int)code);
    return failed;
}

/* A client that is logged in and idle. */
static int by_stream(const char *phase, const char *url, const char *more) {
    double times[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        struct record done = {0};
        tim_client client = create_client(url, more);
        succeeds(&done, tim_login(client, "alice", setting("TIM_SIG"), on_result, &done), "login");
        wait_until_waiting(0);
        times[round] = destroy_ms(client);
    }
    return print_cancel(phase, times);
}

int main(void) {
    char url[128], more[512];
    int failed = 0;
    int silent = start_silent(NULL);
    int heading = start_silent("HTTP/1.1 200 OK\r\nTim-Protocol: 1\r\n");
    int streaming = start_silent("HTTP/1.1 200 OK\r\nTim-Protocol: 1\r\nContent-Type: text/event-stream\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\n5\r\n: hi\n\r\n");
    if (start_silent_name_server()) {
        failed |= by_phase("look-up", "http://slow.example", "", 0);
    } else {
        printf("cancel while waiting in: look-up: not measured, needs root\n");
    }
    snprintf(url, sizeof url, "http://127.0.0.1:%d", start_black_hole());
    failed |= by_phase("connect", url, "", 0);
    snprintf(more, sizeof more, ",\"proxy\":\"http://127.0.0.1:%d\"", silent);
    failed |= by_phase("proxy", "https://127.0.0.1:1", more, 1);
    snprintf(url, sizeof url, "https://127.0.0.1:%d", silent);
    failed |= by_phase("TLS", url, "", 1);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", silent);
    failed |= by_phase("answer", url, "", 1);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", heading);
    failed |= by_phase("the answer's head", url, "", 1);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", streaming);
    failed |= by_phase("the answer's body", url, "", 1);
    failed |= by_stream("an open stream", setting("TIM_URL"), "");
    if (getenv("TIM_TLS_URL")) {
        snprintf(more, sizeof more, ",\"ca_file\":\"%s\"", setting("TIM_TLS_CA_FILE"));
        failed |= by_stream("an open stream, TLS", setting("TIM_TLS_URL"), more);
    }
    return failed;
}
