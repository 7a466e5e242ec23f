/* A client in an epoll loop: alice logs in, and logs out when you type q or close stdin.
 * Arguments: the server's URL, the app's id, alice's ticket. stdin is a terminal or a pipe. */
#include <sys/epoll.h>
#include <unistd.h>

#include "alice.h"

static int watch(int loop, int fd) {
    struct epoll_event readable = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(loop, EPOLL_CTL_ADD, fd, &readable);
}

int main(int argc, char **argv) {
    char key;
    tim_client client;
    tim_event event;
    int32_t fd;
    struct epoll_event ready;
    const int status = create(argc, argv, &client);
    if (status != 0) return status;
    const int loop = epoll_create1(EPOLL_CLOEXEC);
    if (!accepted(tim_get_wakeup_fd(client, &fd)) || watch(loop, fd) != 0 || watch(loop, STDIN_FILENO) != 0) {
        perror("epoll_ctl");
        return 1;
    }
    int needed = accepted(tim_login(client, "alice", argv[3], NULL, login));

    while (needed) {
        if (epoll_wait(loop, &ready, 1, -1) != 1) continue; /* a signal */
        if (ready.data.fd != STDIN_FILENO) {
            /* Until the queue is empty. */
            while (needed && take(client, 0, &event) == TIM_OK) needed = handle(&event);
        } else if (read(STDIN_FILENO, &key, 1) != 1 || key == 'q') {
            epoll_ctl(loop, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
            needed = accepted(tim_logout(client, NULL, logout));
        }
    }

    epoll_ctl(loop, EPOLL_CTL_DEL, fd, NULL);
    close(loop);
    destroy(client);
    return 0;
}
