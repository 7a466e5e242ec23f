/* How a crowd returns after its server restarted: when the last one is back, how many attempts that
 * took in its busiest second, and that nobody was signed out. Each client is another user. The server
 * is started here, on the data directory of TIM_DATA_DIR, so that it can be stopped to the point. */
#include "client.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CLIENTS = 2000, ATTEMPTS = CLIENTS * 64, AT_ONCE = 100 };

/* ---- the server ---- */

static pid_t server;
static char listen_on[64] = "127.0.0.1:0";

/* Starts the server and waits until it is ready. */
static void start_server(void) {
    int ready[2];
    char line[128] = "";
    must(pipe(ready) == 0, "pipe");
    server = fork();
    if (server == 0) {
        dup2(ready[1], STDOUT_FILENO);
        execl(setting("TIM_SERVER"), "tim-server", "serve", "--listen", listen_on, "--data-dir",
              setting("TIM_DATA_DIR"), (char *)NULL);
        _exit(127);
    }
    close(ready[1]);
    FILE *file = fdopen(ready[0], "r");
    must(file && fgets(line, sizeof line, file), "the server did not start");
    must(sscanf(line, "tim-server ready http=%63s", listen_on) == 1, line);
    fclose(file);
}

static void stop_server(int how) {
    kill(server, how);
    waitpid(server, NULL, 0);
}

/* ---- the clients ---- */

static struct one {
    tim_client client;
    struct record login;
    int is_connected;
} all[CLIENTS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int connected, lost, signed_out;
static double attempts[ATTEMPTS];
static size_t attempts_made;

static void on_connection(tim_client client, int32_t status, int32_t code, const char *message,
                          uint64_t login_id, void *user_data) {
    double now = now_us();
    struct one *one = user_data;
    (void)client, (void)code, (void)message, (void)login_id;
    pthread_mutex_lock(&lock);
    if (status == TIM_CONNECTION_STATUS_CONNECTING && attempts_made < ATTEMPTS) attempts[attempts_made++] = now;
    int is_connected = status == TIM_CONNECTION_STATUS_CONNECTED;
    connected += is_connected - one->is_connected;
    lost += one->is_connected && !is_connected;
    one->is_connected = is_connected;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void on_end(tim_client client, int32_t code, const char *message, uint64_t login_id, void *user_data) {
    (void)client, (void)code, (void)message, (void)login_id, (void)user_data;
    pthread_mutex_lock(&lock);
    signed_out++;
    pthread_mutex_unlock(&lock);
}

static void log_all_in(void) {
    char url[80];
    struct user user;
    FILE *users = open_users();
    snprintf(url, sizeof url, "http://%s", listen_on);
    for (int i = 0; i < CLIENTS; i++) {
        struct one *one = &all[i];
        one->client = create_client(url, "");
        must(tim_set_connection_callback(one->client, on_connection, one) == TIM_OK, "setter");
        must(tim_set_kicked_offline_callback(one->client, on_end, one) == TIM_OK, "setter");
        must(tim_set_user_sig_expired_callback(one->client, on_end, one) == TIM_OK, "setter");
        must(next_user(users, &user), "too few users in TIM_USERS");
        must(tim_login(one->client, user.id, user.sig, on_result, &one->login) == TIM_OK, "login");
        if (i >= AT_ONCE) succeeds(&all[i - AT_ONCE].login, TIM_OK, "login");
    }
    for (int i = CLIENTS - AT_ONCE; i < CLIENTS; i++) succeeds(&all[i].login, TIM_OK, "login");
    fclose(users);
}

static void wait_for_all(const int *counter) {
    pthread_mutex_lock(&lock);
    while (*counter < CLIENTS) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

/* The most attempts within one second. */
static double busiest_second(void) {
    size_t most = 0;
    qsort(attempts, attempts_made, sizeof *attempts, by_value);
    for (size_t first = 0, end = 0; first < attempts_made; first++) {
        while (end < attempts_made && attempts[end] < attempts[first] + 1e6) end++;
        if (end - first > most) most = end - first;
    }
    return (double)most;
}

static int return_after(int how, const char *name) {
    char what[100];
    int failed = 0, logged_in = 0;
    wait_for_all(&connected);
    pthread_mutex_lock(&lock);
    lost = 0;
    attempts_made = 0;
    pthread_mutex_unlock(&lock);
    stop_server(how);
    wait_for_all(&lost);
    start_server();
    double ready = now_us();
    wait_for_all(&connected);
    double back = now_us();
    for (int i = 0; i < CLIENTS; i++)
        logged_in += tim_get_login_status(all[i].client) == TIM_LOGIN_STATUS_LOGGED_IN;
    snprintf(what, sizeof what, "%d clients, %s: server ready to last one back", CLIENTS, name);
    figure(what, (back - ready) / 1e6, "s", 0, 0, 0);
    snprintf(what, sizeof what, "%d clients, %s: attempts a client", CLIENTS, name);
    figure(what, (double)attempts_made / CLIENTS, "", 0, 0, 0);
    snprintf(what, sizeof what, "%d clients, %s: attempts in the busiest second", CLIENTS, name);
    figure(what, busiest_second(), "", 0, 0, 0);
    snprintf(what, sizeof what, "%d clients, %s: still logged in", CLIENTS, name);
    failed |= exactly(what, logged_in, CLIENTS);
    snprintf(what, sizeof what, "%d clients, %s: signed out", CLIENTS, name);
    failed |= exactly(what, signed_out, 0);
    return failed;
}

int main(void) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    must(files.rlim_cur >= CLIENTS * 4, "too few descriptors are allowed: ulimit -n");
    start_server();
    double start = now_us();
    log_all_in();
    printf("%d clients in one process, each another user, logged in after %.1f s\n", CLIENTS,
           (now_us() - start) / 1e6);
    int failed = return_after(SIGTERM, "restart");
    failed |= return_after(SIGKILL, "power cut");
    for (int i = 0; i < CLIENTS; i++) must(tim_client_destroy(all[i].client, 5000) == TIM_OK, "destroy");
    stop_server(SIGTERM);
    return failed;
}
