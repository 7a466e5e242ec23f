/* The status getter against an empty exported function of another shared library, and dlopen. */
#include "bench.h"
#include <dlfcn.h>
#include <stdint.h>

typedef int32_t (*getter)(uint64_t);
typedef int32_t (*create)(const char *, uint64_t *, char *, size_t);
typedef int32_t (*destroy)(uint64_t, int32_t);

enum { ROUNDS = 300, CALLS = 300000 };

static double ns_per_call(getter f, uint64_t handle) {
    double best = 1e12;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now_us();
        for (int i = 0; i < CALLS; i++) (void)f(handle);
        double took = now_us() - start;
        if (took < best) best = took;
    }
    return best * 1e3 / CALLS;
}

/* dlopen of a library not loaded before; it is never unloaded, so each run is a process. */
static int print_dlopen(const char *path) {
    double start = now_us();
    void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    double took = now_us() - start;
    must(lib != NULL, dlerror());
    printf("%.1f\n", took);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--dlopen") == 0) return print_dlopen(argv[2]);
    void *tim = dlopen(setting("TIM_LIB"), RTLD_NOW);
    must(tim != NULL, dlerror());
    void *empty = dlopen(setting("EMPTY_LIB"), RTLD_NOW);
    must(empty != NULL, dlerror());
    getter get_status = (getter)dlsym(tim, "tim_get_login_status");
    getter empty_call = (getter)dlsym(empty, "empty_call");
    uint64_t client = 0;
    char error[256] = "";
    int32_t code = ((create)dlsym(tim, "tim_client_create"))(
        "{\"server_url\":\"http://127.0.0.1:1\",\"sdk_app_id\":1}", &client, error, sizeof error);
    must(code == 0, error);
    must(get_status(client) == 3, "a new client is logged out");
    ns_per_call(empty_call, client); /* warms up the processor */
    double floor_value = ns_per_call(empty_call, client);
    double value = ns_per_call(get_status, client);
    ((destroy)dlsym(tim, "tim_client_destroy"))(client, 5000);
    return figure("tim_get_login_status (an empty exported call)", value, "ns", floor_value, 1.3, 1);
}
