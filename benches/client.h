/* The benchmarks' clients, and waiting for their callbacks. */
#ifndef TIM_BENCH_CLIENT_H
#define TIM_BENCH_CLIENT_H

#include "bench.h"
#include "tim.h"
#include <pthread.h>
#include <stdint.h>

static pthread_mutex_t record_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t record_changed = PTHREAD_COND_INITIALIZER;

/* A callback's run: the code, and when it ran. */
struct record {
    int runs;
    int32_t code;
    double at_us;
};

static inline void note(struct record *record, int32_t code) {
    double at_us = now_us();
    pthread_mutex_lock(&record_lock);
    record->at_us = at_us;
    record->code = code;
    record->runs++;
    pthread_cond_broadcast(&record_changed);
    pthread_mutex_unlock(&record_lock);
}

/* Waits until the callback has run and returns the time. The next call waits for the next run. */
static inline double wait_for(struct record *record) {
    pthread_mutex_lock(&record_lock);
    while (record->runs == 0) pthread_cond_wait(&record_changed, &record_lock);
    record->runs = 0;
    double at_us = record->at_us;
    pthread_mutex_unlock(&record_lock);
    return at_us;
}

/* A completion whose user_data is a struct record. */
static inline void on_result(int32_t code, const char *message, void *user_data) {
    (void)message;
    note(user_data, code);
}

/* Waits for the completion of a call that returned `accepted`, and returns the time. It must succeed. */
static inline double succeeds(struct record *record, int32_t accepted, const char *what) {
    must(accepted == TIM_OK, what);
    double at_us = wait_for(record);
    if (record->code != TIM_OK) fprintf(stderr, "bench: %s: %s\n", what, tim_error_message(record->code));
    must(record->code == TIM_OK, what);
    return at_us;
}

/* A client of the app; `more` is "" or further keys, each after a comma. */
static inline tim_client create_client(const char *url, const char *more) {
    char config[1024], error[256] = "";
    tim_client client = 0;
    snprintf(config, sizeof config, "{\"server_url\":\"%s\",\"sdk_app_id\":%s%s}", url,
             setting("TIM_APP_ID"), more);
    must(tim_client_create(config, &client, error, sizeof error) == TIM_OK, error);
    return client;
}

/* One of the prepared users: a line of TIM_USERS is an id, a space, a ticket. 0 at the end. */
struct user {
    char id[64], sig[4097];
};

static inline int next_user(FILE *users, struct user *user) {
    return fscanf(users, "%63s %4096s", user->id, user->sig) == 2;
}

static inline FILE *open_users(void) {
    FILE *users = fopen(setting("TIM_USERS"), "r");
    must(users != NULL, "TIM_USERS cannot be read");
    return users;
}

#endif
