/* A client in a game: alice logs in, and logs out when you type q or close stdin.
 * Arguments: the server's URL, the app's id, alice's ticket. */
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "alice.h"

/* The player wants to leave: they typed q or closed stdin. Does not wait. */
static int wants_to_leave(void) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char key;
    return poll(&input, 1, 0) > 0 && (read(STDIN_FILENO, &key, 1) != 1 || key == 'q');
}

int main(int argc, char **argv) {
    tim_client client;
    tim_event event;
    const struct timespec frame = {.tv_nsec = 16666667}; /* 60 per second */
    int leaving = 0;
    const int status = create(argc, argv, &client);
    if (status != 0) return status;
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
