/* What a C program grows by: before load, after load, with a client, logged in and idle. */
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

static long read_kb(const char *path, const char *key) {
    FILE *file = fopen(path, "r");
    char line[256];
    long total = 0;
    must(file != NULL, path);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0) total += atol(line + strlen(key));
    fclose(file);
    return total;
}

static long switches(void) {
    return read_kb("/proc/self/status", "voluntary_ctxt_switches:");
}

static int stage(const char *name, int last) {
    long rss = read_kb("/proc/self/status", "VmRSS:");
    long dirty = read_kb("/proc/self/smaps_rollup", "Private_Dirty:");
    long threads = read_kb("/proc/self/status", "Threads:");
    char what[96];
    int failed = 0;
    snprintf(what, sizeof what, "%s: RSS", name);
    failed |= figure(what, (double)rss * 1024 / 1e6, "MB", 0, last ? 4.6 : 0, 0);
    snprintf(what, sizeof what, "%s: private dirty", name);
    failed |= figure(what, (double)dirty * 1024 / 1e6, "MB", 0, last ? 0.9 : 0, 0);
    snprintf(what, sizeof what, "%s: threads", name);
    failed |= figure(what, (double)threads, "", 0, last ? 2 : 0, 0);
    return failed;
}

int main(void) {
    char config[512], error[256] = "";
    uint64_t client = 0;
    snprintf(config, sizeof config, "{\"server_url\":\"%s\",\"sdk_app_id\":%s}", setting("TIM_URL"),
             setting("TIM_APP_ID"));
    stage("before load", 0);
    void *tim = dlopen(setting("TIM_LIB"), RTLD_NOW);
    must(tim != NULL, dlerror());
    stage("after load", 0);
    int32_t (*create)(const char *, uint64_t *, char *, size_t) =
        (int32_t (*)(const char *, uint64_t *, char *, size_t))dlsym(tim, "tim_client_create");
    int32_t (*login)(uint64_t, const char *, const char *, result, void *) =
        (int32_t (*)(uint64_t, const char *, const char *, result, void *))dlsym(tim, "tim_login");
    int32_t (*destroy)(uint64_t, int32_t) =
        (int32_t (*)(uint64_t, int32_t))dlsym(tim, "tim_client_destroy");
    must(create(config, &client, error, sizeof error) == 0, error);
    stage("client created", 0);
    must(login(client, "alice", setting("TIM_SIG"), on_result, NULL) == 0, "login was refused");
    pthread_mutex_lock(&lock);
    while (finished < 0) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    must(finished == 0, "login failed");
    struct timespec second = {1, 0};
    nanosleep(&second, NULL); /* idle is what is measured, so time has to pass */
    int failed = stage("logged in, idle for 1 s", 1);
    (void)switches;
    must(destroy(client, 5000) == 0, "destroy");
    stage("after destroy", 0);
    return failed;
}
