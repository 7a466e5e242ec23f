/* The floor of an exchange with the server: the same number of bytes both ways over a new connection,
 * with an endpoint that does nothing. A relay counts the bytes first. */
#ifndef TIM_BENCH_BARE_H
#define TIM_BENCH_BARE_H

#include "bench.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static inline int tcp_listener(struct sockaddr_in *address) {
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

static inline int tcp_connect(const struct sockaddr_in *address) {
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    must(connect(fd, (const struct sockaddr *)address, sizeof *address) == 0, "connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* Parses "http://ADDR:PORT". */
static inline struct sockaddr_in address_of(const char *url) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[64];
    int port;
    must(sscanf(url, "http://%63[^:]:%d", host, &port) == 2, "expected http://ADDR:PORT");
    address.sin_port = htons((unsigned short)port);
    inet_pton(AF_INET, host, &address.sin_addr);
    return address;
}

/* ---- the relay ---- */

/* Counts the bytes of the newest connection through it. */
struct relay {
    int listener;
    struct sockaddr_in server;
    int client_fd; /* shutting it down cuts the connection */
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
    for (;;) {
        int client = accept(relay->listener, NULL, NULL);
        int server = tcp_connect(&relay->server);
        struct half up = {client, server, &relay->up}, down = {server, client, &relay->down};
        pthread_t thread;
        relay->up = relay->down = 0;
        relay->client_fd = client;
        pthread_create(&thread, NULL, run_half, &up);
        run_half(&down);
        pthread_join(thread, NULL);
        close(client);
        close(server);
    }
    return NULL;
}

/* Starts a relay to the server at `url`, and writes its own URL. */
static inline void start_relay(struct relay *relay, const char *url, char *relay_url, size_t capacity) {
    struct sockaddr_in address;
    pthread_t thread;
    relay->listener = tcp_listener(&address);
    relay->server = address_of(url);
    pthread_create(&thread, NULL, run_relay, relay);
    snprintf(relay_url, capacity, "http://127.0.0.1:%d", ntohs(address.sin_port));
}

/* ---- the bare exchange ---- */

struct bare {
    pid_t process;
    struct sockaddr_in address;
    size_t up, down;
    char *bytes;
};

static inline void read_all(int fd, size_t length) {
    char buffer[4096];
    while (length > 0) {
        ssize_t got = read(fd, buffer, length < sizeof buffer ? length : sizeof buffer);
        must(got > 0, "the bare exchange was cut");
        length -= (size_t)got;
    }
}

static inline void write_all(int fd, const char *bytes, size_t length) {
    must(write(fd, bytes, length) == (ssize_t)length, "write");
}

/* Starts the endpoint in a separate process: it reads `up` bytes, writes `down`, and waits for the
 * end. */
static inline void start_bare(struct bare *bare, size_t up, size_t down) {
    int listener = tcp_listener(&bare->address);
    bare->up = up;
    bare->down = down;
    bare->bytes = calloc(1, up + down);
    bare->process = fork();
    if (bare->process != 0) {
        close(listener);
        return;
    }
    for (;;) {
        int one = 1, fd = accept(listener, NULL, NULL);
        char end;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        read_all(fd, up);
        write_all(fd, bare->bytes, down);
        (void)!read(fd, &end, 1);
        close(fd);
    }
}

/* One exchange, in us. */
static inline double bare_exchange(const struct bare *bare) {
    double start = now_us();
    int fd = tcp_connect(&bare->address);
    write_all(fd, bare->bytes, bare->up);
    read_all(fd, bare->down);
    double took = now_us() - start;
    close(fd);
    return took;
}

/* The same bytes as a POST to a server that does nothing for it, from the connection to the head of
 * its answer, in us. */
static inline double bare_post(const struct sockaddr_in *server, size_t up) {
    static const char start[] = "POST /nothing HTTP/1.1\r\nHost: bench\r\nContent-Length: ", end[] = "\r\n\r\n";
    const size_t digits = 4, head = sizeof start - 1 + digits + sizeof end - 1;
    char request[4096], answer[4096];
    must(head < up && up < sizeof request, "a login of another size");
    memset(request, ' ', up);
    snprintf(request, sizeof request, "%s%04zu%s", start, up - head, end);
    request[head] = ' ';
    double since = now_us();
    int fd = tcp_connect(server);
    write_all(fd, request, up);
    must(read(fd, answer, sizeof answer) > 0, "the POST was cut");
    double took = now_us() - since;
    close(fd);
    return took;
}

static inline void stop_bare(struct bare *bare) {
    kill(bare->process, SIGKILL);
    waitpid(bare->process, NULL, 0);
    free(bare->bytes);
}

#endif
