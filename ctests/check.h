/* What the C tests share: checks that say where and what, clients, and waiting for callbacks.
 *
 * Include it first. A failed check ends the program with a non-zero status. Nothing here sleeps:
 * WAIT_UNTIL waits for a callback to change something, for at most WAIT_S seconds.
 */
#ifndef TIM_CHECK_H
#define TIM_CHECK_H

#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tim.h>

#define WAIT_S 60

#if defined(__GNUC__)
#define MAY_BE_UNUSED __attribute__((unused))
#else
#define MAY_BE_UNUSED
#endif

/* ---- checks ---- */

MAY_BE_UNUSED static void check_failed(const char *file, int line, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    _exit(1);
}

/* The condition must hold. */
#define CHECK(condition) \
    do { \
        if (!(condition)) check_failed(__FILE__, __LINE__, "expected %s", #condition); \
    } while (0)

/* The call must return the code. */
#define CHECK_CODE(expected, call) \
    do { \
        const int32_t check_got = (call), check_wanted = (expected); \
        if (check_got != check_wanted) \
            check_failed(__FILE__, __LINE__, "expected %s (%d) from %s, got %s (%d)", \
                         tim_error_name(check_wanted), (int)check_wanted, #call, \
                         tim_error_name(check_got), (int)check_got); \
    } while (0)

#define CHECK_OK(call) CHECK_CODE(TIM_OK, call)

/* The numbers must be equal. */
#define CHECK_NUMBER(expected, value) \
    do { \
        const long long check_got = (long long)(value), check_wanted = (long long)(expected); \
        if (check_got != check_wanted) \
            check_failed(__FILE__, __LINE__, "expected %lld as %s, got %lld", check_wanted, #value, \
                         check_got); \
    } while (0)

/* The texts must be equal. */
#define CHECK_TEXT(expected, value) \
    do { \
        const char *check_got = (value), *check_wanted = (expected); \
        if (!check_got || strcmp(check_got, check_wanted)) \
            check_failed(__FILE__, __LINE__, "expected \"%s\" as %s, got \"%s\"", check_wanted, #value, \
                         check_got ? check_got : "(NULL)"); \
    } while (0)

/* The text must contain the part. */
#define CHECK_HAS(part, value) \
    do { \
        const char *check_got = (value), *check_wanted = (part); \
        if (!check_got || !strstr(check_got, check_wanted)) \
            check_failed(__FILE__, __LINE__, "expected \"%s\" within %s, which is \"%s\"", check_wanted, \
                         #value, check_got ? check_got : "(NULL)"); \
    } while (0)

/* ---- parameters from the driver, tests/c_programs.rs ---- */

/* A variable of the environment, which must be set. */
MAY_BE_UNUSED static const char *given(const char *name) {
    const char *value = getenv(name);
    if (!value) check_failed(__FILE__, __LINE__, "%s is not set: run this by `make test`", name);
    return value;
}

#define SERVER_URL given("TIM_TEST_SERVER_URL") /* a tim-server */
#define SILENT_URL given("TIM_TEST_SILENT_URL") /* accepts connections and never answers */
#define CLOSED_URL given("TIM_TEST_CLOSED_URL") /* refuses connections */
#define IN_MEMCHECK (getenv("TIM_TEST_MEMCHECK") != NULL) /* valgrind watches this run */
#define SIG_ALICE given("TIM_TEST_SIG_ALICE")
#define SIG_BOB given("TIM_TEST_SIG_BOB")
#define SIG_ALICE_EXPIRED given("TIM_TEST_SIG_ALICE_EXPIRED")
#define SIG_ALICE_OTHER_KEY given("TIM_TEST_SIG_ALICE_OTHER_KEY")

/* ---- waiting for callbacks ---- */

static pthread_mutex_t check_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t check_changed = PTHREAD_COND_INITIALIZER;

/* Callbacks change shared variables between these two. */
MAY_BE_UNUSED static void change_begin(void) { pthread_mutex_lock(&check_lock); }
MAY_BE_UNUSED static void change_end(void) {
    pthread_cond_broadcast(&check_changed);
    pthread_mutex_unlock(&check_lock);
}

MAY_BE_UNUSED static struct timespec check_until(void) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    return until;
}

/* Waits until a condition on such variables holds. */
#define WAIT_UNTIL(condition) \
    do { \
        const struct timespec check_end = check_until(); \
        pthread_mutex_lock(&check_lock); \
        while (!(condition)) \
            if (pthread_cond_timedwait(&check_changed, &check_lock, &check_end) == ETIMEDOUT) \
                check_failed(__FILE__, __LINE__, "waited in vain for %s", #condition); \
        pthread_mutex_unlock(&check_lock); \
    } while (0)

/* ---- completions ---- */

/* What a completion callback received. Initialize with {0}. */
struct result {
    int runs;            /* how many times it ran */
    int32_t code;        /* the last code */
    const char *message; /* the last message */
    pthread_t thread;    /* the thread that it ran on */
};

/* A tim_result_callback whose user_data is a struct result. */
MAY_BE_UNUSED static void keep_result(int32_t code, const char *message, void *user_data) {
    struct result *result = (struct result *)user_data;
    change_begin();
    result->runs++;
    result->code = code;
    result->message = message;
    result->thread = pthread_self();
    change_end();
}

/* Waits for a completion, which must have run once. */
#define CHECK_RESULT(expected, result) \
    do { \
        WAIT_UNTIL((result).runs > 0); \
        CHECK_NUMBER(1, (result).runs); \
        CHECK_CODE(expected, (result).code); \
        CHECK(tim_error_message((result).code) == (result).message); \
    } while (0)

/* ---- blocking a callback ---- */

/* A door that blocks a callback. Initialize with {0}. */
struct door {
    int reached; /* how many have reached it */
    int open;
};

MAY_BE_UNUSED static void door_pass(struct door *door) {
    change_begin();
    door->reached++;
    pthread_cond_broadcast(&check_changed);
    while (!door->open) pthread_cond_wait(&check_changed, &check_lock);
    pthread_mutex_unlock(&check_lock);
}

MAY_BE_UNUSED static void door_open(struct door *door) {
    change_begin();
    door->open = 1;
    change_end();
}

/* A tim_result_callback whose user_data is a struct door. */
MAY_BE_UNUSED static void stop_at_door(int32_t code, const char *message, void *user_data) {
    (void)code;
    (void)message;
    door_pass((struct door *)user_data);
}

/* ---- clients ---- */

/* Writes a configuration; `more` is "" or further keys, each after a comma. */
MAY_BE_UNUSED static const char *config_for(char *buffer, size_t capacity, const char *url,
                                            const char *more) {
    const int length = snprintf(buffer, capacity, "{\"server_url\": \"%s\", \"sdk_app_id\": %s%s}",
                                url, given("TIM_TEST_APP_ID"), more);
    CHECK(length > 0 && (size_t)length < capacity);
    return buffer;
}

/* Creates a client, which must succeed. */
MAY_BE_UNUSED static tim_client create_client(const char *url, const char *more) {
    char config[1024], error[256];
    tim_client client = 0;
    const int32_t code =
        tim_client_create(config_for(config, sizeof config, url, more), &client, error, sizeof error);
    if (code != TIM_OK)
        check_failed(__FILE__, __LINE__, "no client for %s: %s (%d): %s", config, tim_error_name(code),
                     (int)code, error);
    return client;
}

/* Destroys a client, which must succeed. */
#define DESTROY(client) CHECK_OK(tim_client_destroy(client, WAIT_S * 1000))

/* Logs in, which must succeed. */
#define LOG_IN(client, user_id, user_sig) \
    do { \
        struct result check_login = {0}; \
        CHECK_OK(tim_login(client, user_id, user_sig, keep_result, &check_login)); \
        CHECK_RESULT(TIM_OK, check_login); \
        CHECK_NUMBER(TIM_LOGIN_STATUS_LOGGED_IN, tim_get_login_status(client)); \
    } while (0)

/* Logs out, which must succeed. */
#define LOG_OUT(client) \
    do { \
        struct result check_logout = {0}; \
        CHECK_OK(tim_logout(client, keep_result, &check_logout)); \
        CHECK_RESULT(TIM_OK, check_logout); \
        CHECK_NUMBER(TIM_LOGIN_STATUS_LOGGED_OUT, tim_get_login_status(client)); \
    } while (0)

#endif /* TIM_CHECK_H */
