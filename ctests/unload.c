/* dlopen, login, destroy, dlclose, 50 times. Not linked with the library: that is the point. */
#include "check.h"
#include <dlfcn.h>
#include <sched.h>
#include <time.h>

/* Stores a function of the library in a typed pointer. ISO C has no cast from a pointer to
 * an object to one to a function, so the bytes are copied, as POSIX allows. */
static void find(void *library, const char *name, void *function, size_t size) {
    void *symbol = dlsym(library, name);
    if (!symbol) check_failed(__FILE__, __LINE__, "no %s: %s", name, dlerror());
    CHECK(size == sizeof symbol);
    memcpy(function, &symbol, size);
}

static int32_t (*create)(const char *, tim_client *, char *, size_t);
static int32_t (*destroy)(tim_client, int32_t);
static int32_t (*login)(tim_client, const char *, const char *, tim_result_callback, void *);

static void one_life(void) {
    struct result result = {0};
    tim_client client = 0;
    char config[256];
    void *library = dlopen(given("TIM_TEST_LIBRARY"), RTLD_NOW | RTLD_LOCAL);
    if (!library) check_failed(__FILE__, __LINE__, "%s", dlerror());
    find(library, "tim_client_create", &create, sizeof create);
    find(library, "tim_client_destroy", &destroy, sizeof destroy);
    find(library, "tim_login", &login, sizeof login);

    config_for(config, sizeof config, SERVER_URL, "");
    CHECK(create(config, &client, NULL, 0) == TIM_OK);
    CHECK(login(client, "alice", SIG_ALICE, keep_result, &result) == TIM_OK);
    WAIT_UNTIL(result.runs == 1);
    CHECK_NUMBER(TIM_OK, result.code);
    CHECK(destroy(client, WAIT_S * 1000) == TIM_OK);
    CHECK(dlclose(library) == 0);
}

/* The threads of this process. */
static int threads(void) {
    char line[128];
    int count = 0;
    FILE *status = fopen("/proc/self/status", "r");
    CHECK(status != NULL);
    while (fgets(line, sizeof line, status))
        if (sscanf(line, "Threads: %d", &count) == 1) break;
    fclose(status);
    return count;
}

/* The system counts a thread for a moment longer than it takes to join it, and tells nobody when that has
 * passed. */
static void one_thread_is_left(void) {
    const time_t end = time(NULL) + WAIT_S;
    while (threads() != 1 && time(NULL) < end) sched_yield();
    CHECK_NUMBER(1, threads());
}

int main(void) {
    for (int i = 0; i < 50; i++) {
        one_life();
        one_thread_is_left();
    }
    return 0;
}
