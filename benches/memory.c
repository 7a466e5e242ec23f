/* The memory of a C program: before load, after load, with a client, logged in and idle; and that
 * creating and destroying clients leaves nothing behind. */
#include "bench.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>

typedef void (*result)(int32_t, const char *, void *);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int finished = -1;

static void on_result(int32_t code, const char *message, void *user_data) {
    (void)message;
    (void)user_data;
    pthread_mutex_lock(&lock);
    finished = code;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static long status(const char *key) { return proc_value("/proc/self/status", key); }

static int stage(const char *connection, const char *name, int last) {
    char what[96];
    int failed = 0;
    long dirty = proc_value("/proc/self/smaps_rollup", "Private_Dirty:");
    long threads = status("Threads:");
    snprintf(what, sizeof what, "%s, %s: RSS", connection, name);
    failed |= figure(what, (double)status("VmRSS:") * 1024 / 1e6, "MB", 0, last ? 4.6 : 0, 0);
    snprintf(what, sizeof what, "%s, %s: private dirty", connection, name);
    failed |= figure(what, (double)dirty * 1024 / 1e6, "MB", 0, last ? 0.9 : 0, 0);
    snprintf(what, sizeof what, "%s, %s: threads", connection, name);
    if (last) failed |= exactly(what, threads, 2);
    else figure(what, (double)threads, "", 0, 0, 0);
    return failed;
}

int main(int argc, char **argv) {
    enum { WARM_UP = 2000, CYCLES = 10000 };
    char config[1024], error[256] = "";
    uint64_t client = 0;
    must(argc == 2, "expected how the connection is called");
    const char *connection = argv[1], *ca_file = getenv("TIM_CA_FILE");
    snprintf(config, sizeof config, "{\"server_url\":\"%s\",\"sdk_app_id\":%s%s%s%s}", setting("TIM_URL"),
             setting("TIM_APP_ID"), ca_file ? ",\"ca_file\":\"" : "", ca_file ? ca_file : "",
             ca_file ? "\"" : "");
    stage(connection, "before load", 0);
    void *tim = dlopen(setting("TIM_LIB"), RTLD_NOW);
    must(tim != NULL, dlerror());
    stage(connection, "after load", 0);
    int32_t (*create)(const char *, uint64_t *, char *, size_t) =
        (int32_t (*)(const char *, uint64_t *, char *, size_t))dlsym(tim, "tim_client_create");
    int32_t (*login)(uint64_t, const char *, const char *, result, void *) =
        (int32_t (*)(uint64_t, const char *, const char *, result, void *))dlsym(tim, "tim_login");
    int32_t (*destroy)(uint64_t, int32_t) =
        (int32_t (*)(uint64_t, int32_t))dlsym(tim, "tim_client_destroy");
    must(create(config, &client, error, sizeof error) == 0, error);
    stage(connection, "client created", 0);
    must(login(client, "alice", setting("TIM_SIG"), on_result, NULL) == 0, "login was refused");
    pthread_mutex_lock(&lock);
    while (finished < 0) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    must(finished == 0, "login failed");
    struct timespec second = {1, 0};
    nanosleep(&second, NULL); /* idling is measured, so time must pass */
    int failed = stage(connection, "logged in, idle for 1 s", 1);
    must(destroy(client, 5000) == 0, "destroy");
    stage(connection, "after destroy", 0);

    long before = 0;
    for (int i = -WARM_UP; i < CYCLES; i++) {
        if (i == 0) before = status("RssAnon:");
        must(create(config, &client, error, sizeof error) == 0, error);
        must(destroy(client, 5000) == 0, "destroy");
    }
    char what[96];
    snprintf(what, sizeof what, "%s, growth over %d creations and destructions", connection, CYCLES);
    failed |= figure(what, (double)(status("RssAnon:") - before), "KiB", 0, 64, 0);
    return failed;
}
