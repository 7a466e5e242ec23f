/* A client in libuv's loop: alice logs in, and logs out when you type q or close stdin.
 * Arguments: the server's URL, the app's id, alice's ticket. stdin is a terminal or a pipe. */
#include <unistd.h>
#include <uv.h>

#include "alice.h"

static tim_client client;
static uv_poll_t tim_ready, stdin_ready;

static void leave(void) {
    uv_close((uv_handle_t *)&tim_ready, NULL);
    destroy(client);
}

static void on_tim(uv_poll_t *poll, int status, int events) {
    tim_event event;
    int needed = 1;
    (void)poll, (void)status, (void)events;
    while (needed && take(client, 0, &event) == TIM_OK) needed = handle(&event); /* until the queue is empty */
    if (!needed) leave();
}

static void on_stdin(uv_poll_t *poll, int status, int events) {
    char key;
    (void)status, (void)events;
    if (read(STDIN_FILENO, &key, 1) == 1 && key != 'q') return;
    uv_poll_stop(poll);
    if (!accepted(tim_logout(client, NULL, logout))) leave();
}

int main(int argc, char **argv) {
    int32_t fd;
    const int status = create(argc, argv, &client);
    if (status != 0) return status;
    if (!accepted(tim_get_wakeup_fd(client, &fd)) || uv_poll_init(uv_default_loop(), &tim_ready, fd) != 0 ||
        uv_poll_init(uv_default_loop(), &stdin_ready, STDIN_FILENO) != 0) {
        fprintf(stderr, "stdin is neither a terminal nor a pipe\n");
        return 1;
    }
    uv_poll_start(&tim_ready, UV_READABLE, on_tim);
    uv_poll_start(&stdin_ready, UV_READABLE, on_stdin);
    uv_unref((uv_handle_t *)&stdin_ready); /* the loop runs for the client alone */
    if (!accepted(tim_login(client, "alice", argv[3], NULL, login))) leave();
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
