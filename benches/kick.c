/* A kick, from the tim_login that takes a session over to the callback of the client that loses it:
 * connect, ticket, policy, a durable write of the ending, the push, the callback. Every kick is of
 * another user, so that no damping of devices that fight comes in. */
#include "bare.h"
#include "client.h"
#include <fcntl.h>

static struct record kicked, done;

static void on_kicked(tim_client client, int32_t code, const char *message, uint64_t login_id,
                      void *user_data) {
    (void)client, (void)message, (void)login_id;
    note(user_data, code);
}

/* The disk's share: a durable write of one page, in us. */
static double durable_write(int fd) {
    static const char page[4096] = "x";
    double start = now_us();
    must(pwrite(fd, page, sizeof page, 0) == sizeof page && fdatasync(fd) == 0, "a durable write");
    return now_us() - start;
}

int main(void) {
    enum { ROUNDS = 300 };
    double times[ROUNDS], exchanges[ROUNDS], writes[ROUNDS];
    const char *url = setting("TIM_URL");
    tim_client phone = create_client(url, ",\"device_id\":\"phone\",\"platform\":\"android\"");
    tim_client tablet = create_client(url, ",\"device_id\":\"tablet\",\"platform\":\"ipad\"");
    must(tim_set_kicked_offline_callback(phone, on_kicked, &kicked) == TIM_OK, "setter");
    FILE *users = open_users();
    struct user user;
    char file[512];
    snprintf(file, sizeof file, "%s/page", setting("TIM_DATA_DIR"));
    int fd = open(file, O_RDWR | O_CREAT, 0600);
    must(fd >= 0, file);
    struct bare bare;
    start_bare(&bare, 600, 650); /* about as many bytes as a login */
    size_t n = 0;
    while (n < ROUNDS && next_user(users, &user)) {
        succeeds(&done, tim_login(phone, user.id, user.sig, on_result, &done), "login");
        double start = now_us();
        must(tim_login(tablet, user.id, user.sig, on_result, &done) == TIM_OK, "login");
        times[n] = (wait_for(&kicked) - start) / 1000;
        must(kicked.code == TIM_ERR_KICKED_OFFLINE, "the wrong kick");
        succeeds(&done, TIM_OK, "the login that kicks");
        succeeds(&done, tim_logout(tablet, on_result, &done), "logout");
        exchanges[n] = bare_exchange(&bare) / 1000;
        writes[n] = durable_write(fd) / 1000;
        n++;
    }
    stop_bare(&bare);
    unlink(file);
    must(n > 0, "TIM_USERS is empty");
    double floor_p50 = percentile(exchanges, n, 0.5) + percentile(writes, n, 0.5);
    double floor_p99 = percentile(exchanges, n, 0.99) + percentile(writes, n, 0.99);
    char what[100];
    snprintf(what, sizeof what, "kick, request to the victim's callback, %s, p50", setting("TIM_DISK"));
    int failed = figure(what, percentile(times, n, 0.5), "ms", floor_p50, 0.25, 0);
    snprintf(what, sizeof what, "kick, request to the victim's callback, %s, p99", setting("TIM_DISK"));
    figure(what, percentile(times, n, 0.99), "ms", floor_p99, 0, 0);
    printf("  its floor: a bare exchange, p50 %.2f ms, and a durable write of a page, p50 %.2f ms\n",
           percentile(exchanges, n, 0.5), percentile(writes, n, 0.5));
    must(tim_client_destroy(phone, 5000) == TIM_OK, "destroy");
    must(tim_client_destroy(tablet, 5000) == TIM_OK, "destroy");
    return failed;
}
