/* A login over a new connection, from the call to the callback, against a bare exchange of the
 * same number of bytes both ways with an endpoint that does nothing. */
#include "bare.h"
#include "client.h"

static struct record done;

static double login_once(tim_client client, const char *user, const char *sig) {
    double start = now_us();
    double end = succeeds(&done, tim_login(client, user, sig, on_result, &done), "login");
    succeeds(&done, tim_logout(client, on_result, &done), "logout");
    return end - start;
}

int main(void) {
    size_t n = (size_t)atoi(setting("TIM_LOGINS"));
    double *times = calloc(n, sizeof *times), *floors = calloc(n, sizeof *floors), *posts = calloc(n, sizeof *posts);
    const char *url = setting("TIM_URL"), *sig = setting("TIM_SIG");
    int failed = 0;

    struct relay relay = {0};
    char relay_url[64];
    start_relay(&relay, url, relay_url, sizeof relay_url);
    tim_client counted = create_client(relay_url, ",\"device_id\":\"bench\"");
    succeeds(&done, tim_login(counted, "alice", sig, on_result, &done), "login through the relay");
    struct bare bare;
    start_bare(&bare, relay.up, relay.down);
    must(tim_client_destroy(counted, 5000) == TIM_OK, "destroy");
    printf("a login is %zu bytes up and %zu down\n", bare.up, bare.down);

    tim_client client = create_client(url, ",\"device_id\":\"bench\"");
    /* In turn, so that all find the machine in the same state: each comes right after a logout. */
    struct sockaddr_in server = address_of(url);
    for (int round = -(int)n / 10; round < (int)n; round++) { /* the first tenth is warm-up */
        double took = login_once(client, "alice", sig);
        if (round >= 0) times[round] = took;
        login_once(client, "alice", sig);
        took = bare_exchange(&bare);
        if (round >= 0) floors[round] = took;
        login_once(client, "alice", sig);
        took = bare_post(&server, bare.up);
        if (round >= 0) posts[round] = took;
    }
    stop_bare(&bare);
    double floor_p50 = percentile(floors, n, 0.5), floor_p99 = percentile(floors, n, 0.99);
    failed |= figure("login, new connection, known user, p50", percentile(times, n, 0.5), "us", floor_p50, 2, 1);
    figure("login, new connection, known user, p99", percentile(times, n, 0.99), "us", floor_p99, 0, 1);

    /* In between: HTTP alone, without the library and without a login. */
    figure("a POST of as many bytes that the server answers with 404, p50", percentile(posts, n, 0.5), "us", floor_p50, 0, 1);

    FILE *users = open_users();
    struct user user;
    size_t first = 0;
    while (first < n && next_user(users, &user)) times[first++] = login_once(client, user.id, user.sig);
    fclose(users);
    must(first > 0, "TIM_USERS is empty");
    figure("login, new connection, first-time user, p50", percentile(times, first, 0.5), "us", floor_p50, 0, 1);
    figure("login, new connection, first-time user, p99", percentile(times, first, 0.99), "us", floor_p99, 0, 1);
    must(tim_client_destroy(client, 5000) == TIM_OK, "destroy");
    return failed;
}
