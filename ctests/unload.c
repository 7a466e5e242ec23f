/* Opened, login, destroy, closed, 50 times. Not linked with the library: that is the point. */
#include "system.h"
#include <sched.h>

static int32_t (*create)(const char *, tim_client *, char *, size_t);
static int32_t (*destroy)(tim_client, int32_t);
static int32_t (*login)(tim_client, const char *, const char *, tim_result_callback, void *);

static void one_life(void) {
    struct result result = {0};
    tim_client client = 0;
    char config[256];
    void *library = open_library(given("TIM_TEST_LIBRARY"));
    find_function(library, "tim_client_create", &create, sizeof create);
    find_function(library, "tim_client_destroy", &destroy, sizeof destroy);
    find_function(library, "tim_login", &login, sizeof login);

    config_for(config, sizeof config, SERVER_URL, "");
    CHECK(create(config, &client, NULL, 0) == TIM_OK);
    CHECK(login(client, "alice", SIG_ALICE, keep_result, &result) == TIM_OK);
    WAIT_UNTIL(result.runs == 1);
    CHECK_NUMBER(TIM_OK, result.code);
    CHECK(destroy(client, WAIT_S * 1000) == TIM_OK);
    close_library(library);
}

/* The system counts a thread for a moment longer than it takes to join it, and tells nobody when that has
 * passed. */
static void no_thread_is_left(int before) {
    const time_t end = time(NULL) + WAIT_S;
    while (count_threads() != before && time(NULL) < end) sched_yield();
    CHECK_NUMBER(before, count_threads());
}

int main(void) {
    const int before = count_threads(); /* one, and those of an emulator */
    for (int i = 0; i < 50; i++) {
        one_life();
        no_thread_is_left(before);
    }
    return 0;
}
