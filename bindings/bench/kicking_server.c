/* A server that accepts every login and kicks it a few milliseconds later. The time_ms of a kick is the
 * moment before it was written, in nanoseconds of CLOCK_MONOTONIC: the client subtracts it from its own.
 * Prints its URL and runs until it is killed. */
#include "bare.h"

/* Long enough for the client to have nothing left to do. */
static const struct timespec settled = {.tv_nsec = 3000000};

/* Reads a request's head and body. Returns 0 if the client has left. */
static int read_request(int client, char *request, size_t capacity) {
    size_t length = 0;
    for (;;) {
        ssize_t got = read(client, request + length, capacity - 1 - length);
        if (got <= 0) return 0;
        length += (size_t)got;
        request[length] = 0;
        char *body = strstr(request, "\r\n\r\n");
        char *announced = strcasestr(request, "\r\ncontent-length:");
        must(length + 1 < capacity, "a request is too long");
        if (body && announced && length >= (size_t)(body + 4 - request) + strtoul(announced + 17, NULL, 10)) return 1;
    }
}

/* The text of a field, to the end of its value. */
static const char *field(const char *request, const char *name) {
    const char *found = strstr(request, name);
    must(found != NULL, "a login lacks its instance or seq");
    return found + strlen(name);
}

static void accept_and_kick(int client, const char *request) {
    char text[1024];
    struct timespec now;
    int length = snprintf(text, sizeof text,
        "HTTP/1.1 200 OK\r\nTim-Protocol: 1\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        "event: session\ndata: {\"session\":\"token\",\"epoch\":1,\"server_time_ms\":1700000000000,"
        "\"heartbeat_ms\":25000,\"spread_ms\":0,\"user_sig_expires_ms\":1800000000000,"
        "\"instance\":\"%.32s\",\"seq\":%lu}\n\n: hb\n\n",
        field(request, "\"instance\":\""), strtoul(field(request, "\"seq\":"), NULL, 10));
    if (write(client, text, (size_t)length) != length) return;
    nanosleep(&settled, NULL);
    clock_gettime(CLOCK_MONOTONIC, &now);
    length = snprintf(text, sizeof text,
        "event: kicked\ndata: {\"cause\":\"other_device\",\"platform\":\"ipad\",\"device_name\":\"\","
        "\"time_ms\":%lld}\n\n", (long long)now.tv_sec * 1000000000 + now.tv_nsec);
    if (write(client, text, (size_t)length) != length) return;
}

int main(void) {
    static char request[16384];
    struct sockaddr_in address;
    int listener = tcp_listener(&address);
    signal(SIGPIPE, SIG_IGN);
    printf("http://127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int one = 1, client = accept(listener, NULL, NULL);
        must(client >= 0, "accept");
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (read_request(client, request, sizeof request)) accept_and_kick(client, request);
        close(client);
    }
}
