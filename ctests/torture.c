/* Torture: random calls of every function, with valid, stale, NULL and garbage arguments, on up to eight
 * threads and inside callbacks, against servers that refuse, kick, flood, stall and die (tests/torture.rs).
 *
 * What must hold: each accepted call completes once and a refused one never; no callback runs after destroy
 * has returned TIM_OK or the closed event has run; getters are never behind an event; at the end no thread
 * and no descriptor is left; nothing hangs. TIM_SEED and TIM_CALLS say which run it is and how long. */
#define _GNU_SOURCE
#include "system.h"
#include <sched.h>
#include <stdatomic.h>

#define THREADS_MAX 8
#define SLOTS 12
#define STUCK_S 90

static uint64_t seed;
static long calls_wanted;
static atomic_long calls_made, accepted, completed, created, events, finished_threads;

/* ---- random numbers ---- */

static _Thread_local uint64_t chance_state;
static atomic_ulong chance_streams;

static uint64_t chance(void) {
    /* Each thread has its own sequence; network threads take the next one. */
    if (!chance_state) chance_state = seed * 0x9e3779b97f4a7c15u + 2 * ++chance_streams + 1;
    chance_state ^= chance_state << 13;
    chance_state ^= chance_state >> 7;
    chance_state ^= chance_state << 17;
    return chance_state;
}

static unsigned below(unsigned limit) { return (unsigned)(chance() >> 20) % limit; }
static int one_in(unsigned n) { return below(n) == 0; }

/* ---- what is known about each client and each call ---- */

struct life {
    _Atomic tim_client client;
    atomic_int destroyed; /* destroy has returned TIM_OK */
    atomic_int closed;    /* the closed event has run or was polled */
    int polled;           /* event_delivery is "poll" */
};

struct call {
    struct life *life;
    atomic_int runs;
    atomic_int refused;
};

static struct life *lives;
static struct call *calls;
static atomic_long lives_taken, calls_taken;
static long lives_max, calls_max;
static _Atomic(struct life *) slots[SLOTS];

static void callback_begins(struct life *life) {
    if (!life) return;
    if (atomic_load(&life->destroyed)) check_failed(__FILE__, __LINE__, "a callback after destroy");
    if (atomic_load(&life->closed)) check_failed(__FILE__, __LINE__, "a callback after the closed event");
}

static void random_call(int inside);

static void maybe_call(void) {
    if (atomic_load(&calls_made) >= calls_wanted) return;
    for (unsigned n = below(3); n > 0; n--) random_call(1);
}

/* ---- callbacks ---- */

static void completes(struct call *call, int32_t code, const char *message) {
    if (atomic_load(&call->refused)) check_failed(__FILE__, __LINE__, "a refused call completes");
    if (atomic_fetch_add(&call->runs, 1)) check_failed(__FILE__, __LINE__, "a call completes twice");
    CHECK(message == tim_error_message(code));
    CHECK(strcmp(tim_error_name(code), "TIM_ERR_UNKNOWN") != 0);
    CHECK(code != TIM_ERR_PANIC);
    atomic_fetch_add(&completed, 1);
}

static void on_result(int32_t code, const char *message, void *user_data) {
    struct call *call = (struct call *)user_data;
    callback_begins(call->life);
    completes(call, code, message);
    maybe_call();
}

/* An event's login is not newer than the one the getters report. */
static void getters_are_not_behind(tim_client client, uint64_t login_id) {
    const uint64_t now = tim_get_login_id(client);
    /* 0: the client is being destroyed. */
    CHECK(now == 0 || now >= login_id);
}

static void on_connection(tim_client client, int32_t status, int32_t code, const char *message,
                          uint64_t login_id, void *user_data) {
    callback_begins((struct life *)user_data);
    CHECK(status >= 1 && status <= 4);
    CHECK(message == tim_error_message(code));
    getters_are_not_behind(client, login_id);
    atomic_fetch_add(&events, 1);
    maybe_call();
}

/* An ended login stays ended: only a different number may be logged in. */
static void ended(tim_client client, uint64_t login_id) {
    getters_are_not_behind(client, login_id);
    const int32_t status = tim_get_login_status(client);
    if (tim_get_login_id(client) == login_id) CHECK(status == TIM_LOGIN_STATUS_LOGGED_OUT || status == 0);
    atomic_fetch_add(&events, 1);
    maybe_call();
}

static void on_end(tim_client client, int32_t code, const char *message, uint64_t login_id,
                   void *user_data) {
    callback_begins((struct life *)user_data);
    CHECK(message == tim_error_message(code));
    ended(client, login_id);
}

static void on_expiring(tim_client client, int64_t seconds_left, uint64_t login_id, void *user_data) {
    (void)seconds_left;
    callback_begins((struct life *)user_data);
    getters_are_not_behind(client, login_id);
    atomic_fetch_add(&events, 1);
    maybe_call();
}

static void on_closed(tim_client client, void *user_data) {
    struct life *life = (struct life *)user_data;
    callback_begins(life);
    CHECK_NUMBER(client, atomic_load(&life->client));
    CHECK_NUMBER(0, tim_get_login_status(client));
    maybe_call();
    atomic_store(&life->closed, 1);
}

static void on_line(int32_t level, const char *line, void *user_data) {
    (void)user_data;
    CHECK(level >= TIM_LOG_LEVEL_DEBUG && level < TIM_LOG_LEVEL_ERROR);
    CHECK(line[0] && !strchr(line, '\n'));
    CHECK(!strstr(line, SIG_ALICE));
    if (one_in(8)) maybe_call();
}

static void on_wakeup(void *user_data) {
    (void)user_data;
    atomic_fetch_add(&events, 1);
    maybe_call();
}

/* ---- arguments ---- */

static struct life *some_life(void) { return atomic_load(&slots[below(SLOTS)]); }

/* A client, and sometimes an invalid handle. */
static tim_client some_client(struct life **life) {
    *life = some_life();
    switch (below(16)) {
    case 0:
        *life = NULL;
        return 0;
    case 1:
        *life = NULL;
        return chance() | UINT64_C(1) << 60;
    case 2: /* a stale handle */
        *life = &lives[below((unsigned)atomic_load(&lives_taken) + 1)];
        break;
    default:
        break;
    }
    return *life ? atomic_load(&(*life)->client) : 0;
}

static const char *some_user(void) {
    static const char *const users[] = {"alice", "alice", "alice", "bob", "\xe7\x94\xa8\xe6\x88\xb7",
                                        "",      "\xff",  "al\nice", "0123456789abcdef0123456789abcdef0"};
    const unsigned which = below(sizeof users / sizeof *users + 1);
    return which < sizeof users / sizeof *users ? users[which] : NULL;
}

static const char *some_sig(void) {
    static char too_long[5000];
    static const char *const sigs[] = {"OTHER", "\xef\xbb\xbfTICKET\n", "", "\xc3", " "};
    if (!too_long[0]) memset(too_long, 'a', sizeof too_long - 1);
    const unsigned which = below(12);
    if (which < sizeof sigs / sizeof *sigs) return sigs[which];
    return which == 5 ? NULL : which == 6 ? too_long : SIG_ALICE;
}

static struct call *new_call(struct life *life) {
    const long at = atomic_fetch_add(&calls_taken, 1);
    CHECK(at < calls_max);
    calls[at].life = life;
    return &calls[at];
}

static void judge(int32_t code, struct call *call, int has_callback) {
    static const int32_t may_be[] = {TIM_OK, TIM_ERR_NULL_ARGUMENT, TIM_ERR_INVALID_UTF8,
                                     TIM_ERR_INVALID_USER_ID, TIM_ERR_USER_SIG_EMPTY,
                                     TIM_ERR_USER_SIG_UNREADABLE, TIM_ERR_TOO_MANY_CALLS,
                                     TIM_ERR_NO_SUCH_CLIENT, TIM_ERR_CLOSING,
                                     TIM_ERR_WRONG_DELIVERY_MODE};
    size_t i = 0;
    while (i < sizeof may_be / sizeof *may_be && may_be[i] != code) i++;
    if (i == sizeof may_be / sizeof *may_be)
        check_failed(__FILE__, __LINE__, "an undocumented code: %s (%d)", tim_error_name(code), code);
    if (code != TIM_OK) {
        atomic_store(&call->refused, 1);
        if (atomic_load(&call->runs)) check_failed(__FILE__, __LINE__, "a refused call has completed");
    } else if (has_callback || call->life->polled) {
        atomic_fetch_add(&accepted, 1);
    }
}

static void judge_setter(int32_t code, int inside) {
    const int fits = code == (inside ? TIM_ERR_IN_CALLBACK : TIM_OK) || (code == TIM_ERR_BUSY && !inside);
    if (!fits && code != TIM_ERR_NO_SUCH_CLIENT && code != TIM_ERR_CLOSING &&
        code != TIM_ERR_WRONG_DELIVERY_MODE)
        check_failed(__FILE__, __LINE__, "an undocumented code: %s (%d)", tim_error_name(code), code);
}

/* ---- calls ---- */

/* A slot is reused once its client is gone. */
static void clear(unsigned at) {
    struct life *life = atomic_load(&slots[at]);
    char text[8];
    if (life && tim_get_login_user(atomic_load(&life->client), text, sizeof text, NULL) ==
                    TIM_ERR_NO_SUCH_CLIENT)
        atomic_compare_exchange_strong(&slots[at], &life, NULL);
}

static void create(void) {
    static const char *const bad[] = {"", "[]", "{}", "\xff", "{\"server_url\": 1}", "{\"sdk_app_id\": 1}"};
    char config[512], error[100];
    tim_client client = 0;
    if (one_in(8)) {
        const char *config_json = one_in(4) ? NULL : bad[below(sizeof bad / sizeof *bad)];
        CHECK(tim_client_create(config_json, &client, one_in(2) ? error : NULL, below(sizeof error)) !=
              TIM_OK);
        CHECK_NUMBER(0, client);
        return;
    }
    const unsigned at = below(SLOTS);
    const int polled = one_in(3);
    clear(at);
    if (atomic_load(&slots[at])) return;
    snprintf(config, sizeof config,
             "{\"server_url\": \"%s\", \"sdk_app_id\": %s, \"device_id\": \"slot %u\", \"login_timeout_ms\": "
             "%u, \"request_timeout_ms\": %u, \"reconnect\": {\"first_ms\": 10, \"max_ms\": %u}, "
             "\"event_delivery\": \"%s\"}",
             one_in(12) ? CLOSED_URL : SERVER_URL, given("TIM_TEST_APP_ID"), at, 100 + below(400),
             100 + below(200), 10 + below(50), polled ? "poll" : "callback");
    const int32_t code = tim_client_create(config, &client, error, sizeof error);
    if (code == TIM_ERR_DEVICE_IN_USE) return;
    CHECK_OK(code);
    const long number = atomic_fetch_add(&lives_taken, 1);
    CHECK(number < lives_max);
    struct life *life = &lives[number], *none = NULL;
    life->polled = polled;
    atomic_store(&life->client, client);
    atomic_fetch_add(&created, 1);
    if (polled) (void)tim_set_wakeup_callback(client, on_wakeup, life);
    (void)tim_set_closed_callback(client, on_closed, life);
    (void)tim_set_connection_callback(client, on_connection, life);
    (void)tim_set_kicked_offline_callback(client, on_end, life);
    (void)tim_set_user_sig_expired_callback(client, on_end, life);
    /* If another thread came first, this client is destroyed at the end. */
    atomic_compare_exchange_strong(&slots[at], &none, life);
}

static void destroy(int inside) {
    static const int32_t limits[] = {0, 0, 1, 20, 1000, 60000, -1, INT32_MIN};
    struct life *life;
    const tim_client client = some_client(&life);
    const int32_t limit = limits[below(sizeof limits / sizeof *limits)];
    const int32_t code = tim_client_destroy(client, limit);
    switch (code) {
    case TIM_OK:
        CHECK(life);
        atomic_store(&life->destroyed, 1);
        break;
    case TIM_ERR_BUSY:
        CHECK(!inside && limit >= 0);
        break;
    case TIM_ERR_IN_CALLBACK:
        CHECK(inside && limit >= 0);
        break;
    case TIM_ERR_CLOSING:
        CHECK(life && life->polled && limit >= 0);
        break;
    case TIM_ERR_NO_SUCH_CLIENT:
        break;
    default:
        CHECK_CODE(TIM_ERR_INVALID_ARGUMENT, code);
        CHECK(limit < 0);
    }
}

/* Polls once. Returns the code. */
static int32_t take(tim_client client, struct life *life, int32_t timeout_ms) {
    tim_event event;
    memset(&event, 0x55, sizeof event);
    event.size = one_in(20) ? below(sizeof event) : sizeof event;
    const uint32_t size = event.size;
    const int32_t code = tim_poll_event(client, timeout_ms, one_in(20) ? NULL : &event);
    if (code != TIM_OK) {
        CHECK_NUMBER(size, event.size);
        CHECK(code == TIM_ERR_TIMEOUT || code == TIM_ERR_ALREADY_POLLING || code == TIM_ERR_IN_CALLBACK ||
              code == TIM_ERR_WRONG_DELIVERY_MODE || code == TIM_ERR_NO_SUCH_CLIENT ||
              code == TIM_ERR_NULL_ARGUMENT || code == TIM_ERR_INVALID_ARGUMENT);
        return code;
    }
    CHECK(life && life->polled);
    if (event.type == TIM_EVENT_COMPLETION) {
        completes((struct call *)event.user_data, event.code, event.message);
        return code;
    }
    CHECK(event.type >= TIM_EVENT_CONNECTION && event.type <= TIM_EVENT_CLOSED);
    CHECK(event.message == tim_error_message(event.code) && !event.user_data);
    if (event.type == TIM_EVENT_CLOSED) CHECK_NUMBER(0, atomic_exchange(&life->closed, 1));
    else getters_are_not_behind(client, event.login_id);
    atomic_fetch_add(&events, 1);
    return code;
}

static void poll_one(int inside) {
    static const int32_t limits[] = {0, 0, 0, 1, 5};
    struct life *life;
    const tim_client client = some_client(&life);
    int32_t fd = -1;
    char line[200];
    switch (below(8)) {
    case 0: {
        const int32_t code = tim_get_wakeup_fd(client, &fd);
        CHECK(code == TIM_OK ? fd > 2 : fd == -1);
        return;
    }
    case 1:
        judge_setter(tim_set_wakeup_callback(client, one_in(2) ? on_wakeup : NULL, life), inside);
        return;
    case 2:
        (void)!tim_poll_log(one_in(2) ? TIM_LOG_LEVEL_DEBUG : TIM_LOG_LEVEL_OFF, NULL, line, sizeof line, NULL);
        return;
    default:
        (void)take(client, life, limits[below(sizeof limits / sizeof *limits)]);
    }
}

static void ask(void) {
    struct life *life;
    const tim_client client = some_client(&life);
    char text[600];
    size_t length = 0;
    int64_t ms;
    const size_t capacity = one_in(3) ? below(sizeof text) : sizeof text;
    char *buffer = one_in(6) ? NULL : text;
    int32_t code = TIM_OK;
    switch (below(8)) {
    case 0: {
        const int32_t status = tim_get_login_status(client);
        CHECK(status >= 0 && status <= 3);
        return;
    }
    case 1: {
        const int32_t status = tim_get_connection_status(client);
        CHECK(status >= 0 && status <= 4);
        return;
    }
    case 2:
        (void)tim_get_login_id(client);
        return;
    case 3:
        code = tim_get_login_user(client, buffer, capacity, one_in(4) ? NULL : &length);
        break;
    case 4:
        code = tim_get_kick_info(client, buffer, capacity, one_in(4) ? NULL : &length);
        break;
    case 5:
        code = tim_get_last_error(client, buffer, capacity, one_in(4) ? NULL : &length);
        break;
    case 6:
        code = tim_get_server_time_ms(client, one_in(6) ? NULL : &ms);
        if (code == TIM_ERR_SERVER_TIME_UNKNOWN) return;
        break;
    default:
        CHECK(tim_version_number() > 0 && tim_version()[0]);
        CHECK(tim_error_name((int32_t)chance())[0] && tim_error_message((int32_t)chance())[0]);
        (void)tim_error_is_retryable((int32_t)chance());
        return;
    }
    CHECK(code == TIM_OK || code == TIM_ERR_NULL_ARGUMENT || code == TIM_ERR_BUFFER_TOO_SMALL ||
          code == TIM_ERR_NO_SUCH_CLIENT || code == TIM_ERR_CLOSING);
}

static void set(int inside) {
    struct life *life;
    const tim_client client = some_client(&life);
    /* A callback without data of its own cannot tell whose it is. */
    const int on = life && !one_in(3);
    switch (below(6)) {
    case 0:
        judge_setter(tim_set_connection_callback(client, on ? on_connection : NULL, life), inside);
        break;
    case 1:
        judge_setter(tim_set_user_sig_expired_callback(client, on ? on_end : NULL, life), inside);
        break;
    case 2:
        judge_setter(tim_set_user_sig_expiring_callback(client, on ? on_expiring : NULL, life), inside);
        break;
    case 3:
        judge_setter(tim_set_kicked_offline_callback(client, on ? on_end : NULL, life), inside);
        break;
    case 4:
        judge_setter(tim_set_closed_callback(client, on ? on_closed : NULL, life), inside);
        break;
    default: {
        static const int32_t levels[] = {TIM_LOG_LEVEL_OFF,  TIM_LOG_LEVEL_DEBUG, TIM_LOG_LEVEL_INFO,
                                         TIM_LOG_LEVEL_WARN, TIM_LOG_LEVEL_ERROR, 99, -1};
        const int32_t level = levels[below(sizeof levels / sizeof *levels)];
        const int32_t code = tim_set_log_callback(one_in(3) ? NULL : on_line, NULL, level);
        if (level == 99 || level == -1) CHECK_CODE(TIM_ERR_INVALID_ARGUMENT, code);
        else judge_setter(code, inside);
    }
    }
}

static void random_call(int inside) {
    struct life *life;
    tim_client client;
    struct call *call;
    const int has_callback = !one_in(10);
    atomic_fetch_add(&calls_made, 1);
    switch (below(24)) {
    case 20: case 21: case 22: case 23:
        poll_one(inside);
        break;
    case 0: case 1: case 2:
        create();
        break;
    case 3:
        if (one_in(3)) destroy(inside);
        break;
    case 4: case 5: case 6: case 7: case 8: case 9:
        client = some_client(&life);
        call = new_call(life);
        judge(tim_login(client, some_user(), some_sig(), has_callback ? on_result : NULL, call), call,
              has_callback);
        break;
    case 10: case 11:
        client = some_client(&life);
        call = new_call(life);
        judge(tim_logout(client, has_callback ? on_result : NULL, call), call, has_callback);
        break;
    case 12: case 13:
        client = some_client(&life);
        call = new_call(life);
        judge(tim_renew_user_sig(client, some_sig(), has_callback ? on_result : NULL, call), call,
              has_callback);
        break;
    case 14: {
        const int32_t hint = (int32_t)below(4);
        const int32_t code = tim_notify(some_client(&life), hint);
        CHECK(code == TIM_OK || code == TIM_ERR_NO_SUCH_CLIENT || code == TIM_ERR_CLOSING ||
              code == TIM_ERR_INVALID_ARGUMENT);
        break;
    }
    case 15: case 16:
        set(inside);
        break;
    default:
        ask();
    }
}

/* ---- the run ---- */

static void *work(void *argument) {
    (void)argument;
    while (atomic_load(&calls_made) < calls_wanted) {
        random_call(0);
        /* Sometimes lets the servers and the network threads run. */
        if (one_in(12)) {
            const struct timespec pause = {0, below(3000000)};
            nanosleep(&pause, NULL);
        }
    }
    atomic_fetch_add(&finished_threads, 1);
    return NULL;
}

static void *watch(void *argument) {
    long last = -1;
    (void)argument;
    for (int still = 0; still < STUCK_S;) {
        const struct timespec second = {1, 0};
        const long now = calls_made + completed + created + finished_threads;
        nanosleep(&second, NULL);
        still = now == last ? still + 1 : 0;
        last = now;
    }
    fprintf(stderr, "seed %llu hangs: %ld calls made, %ld accepted, %ld completed\n",
            (unsigned long long)seed, calls_made, accepted, completed);
    abort();
}

/* Waits for threads that nobody joins: a client that frees itself has one. */
static void only_these_threads(int wanted) {
    for (long tries = 0; count_threads() != wanted; tries++) {
        const struct timespec pause = {0, 1000000};
        if (tries > STUCK_S * 1000L) check_failed(__FILE__, __LINE__, "a thread is left");
        nanosleep(&pause, NULL);
    }
}

int main(void) {
    const char *text = getenv("TIM_SEED");
    seed = text ? strtoull(text, NULL, 10) : 1;
    text = getenv("TIM_CALLS");
    calls_wanted = text ? atol(text) : 5000;
    calls_max = 4 * calls_wanted + 1000;
    lives_max = calls_wanted + 1000;
    calls = (struct call *)calloc((size_t)calls_max, sizeof *calls);
    lives = (struct life *)calloc((size_t)lives_max, sizeof *lives);
    CHECK(calls && lives);

    pthread_t watchdog, threads[THREADS_MAX];
    CHECK(pthread_create(&watchdog, NULL, watch, NULL) == 0);
    const int tasks = count_threads(), descriptors = count_descriptors();
    const unsigned count = 1 + (unsigned)(seed % THREADS_MAX);
    for (unsigned i = 0; i < count; i++) CHECK(pthread_create(&threads[i], NULL, work, NULL) == 0);
    for (unsigned i = 0; i < count; i++) CHECK(pthread_join(threads[i], NULL) == 0);

    /* Destroys the remaining clients; callbacks may still create more. */
    for (long number = 0; number < atomic_load(&lives_taken); number++) {
        const tim_client client = atomic_load(&lives[number].client);
        int32_t code = TIM_ERR_BUSY;
        while (code == TIM_ERR_BUSY || code == TIM_ERR_CLOSING) {
            code = tim_client_destroy(client, WAIT_S * 1000);
            while (code == TIM_ERR_CLOSING && take(client, &lives[number], 1000) == TIM_OK) continue;
        }
        CHECK(code == TIM_OK || code == TIM_ERR_NO_SUCH_CLIENT);
        if (code == TIM_OK) atomic_store(&lives[number].destroyed, 1);
    }
    int32_t code = tim_set_log_callback(NULL, NULL, TIM_LOG_LEVEL_OFF);
    CHECK_OK(code);
    only_these_threads(tasks);
    CHECK_NUMBER(descriptors, count_descriptors());
    CHECK_NUMBER(accepted, completed);
    printf("seed %llu: %u threads, %ld calls, %ld clients, %ld accepted and completed, %ld events\n",
           (unsigned long long)seed, count, calls_made, created, completed, events);
    return 0;
}
