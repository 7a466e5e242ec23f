/* Clients of the benchmarks, and waiting for what their callbacks tell. */
#ifndef TIM_BENCH_CLIENT_H
#define TIM_BENCH_CLIENT_H

#include "bench.h"
#include "tim.h"
#include <pthread.h>
#include <stdint.h>

static pthread_mutex_t told_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t told_changed = PTHREAD_COND_INITIALIZER;

/* What a callback tells: that it ran, with which code, and when. */
struct told {
    int runs;
    int32_t code;
    double at_us;
};

static inline void tell(struct told *told, int32_t code) {
    double at_us = now_us();
    pthread_mutex_lock(&told_lock);
    told->at_us = at_us;
    told->code = code;
    told->runs++;
    pthread_cond_broadcast(&told_changed);
    pthread_mutex_unlock(&told_lock);
}

/* Waits until the callback has run, and gives the time. From then on the next run is waited for. */
static inline double wait_for(struct told *told) {
    pthread_mutex_lock(&told_lock);
    while (told->runs == 0) pthread_cond_wait(&told_changed, &told_lock);
    told->runs = 0;
    double at_us = told->at_us;
    pthread_mutex_unlock(&told_lock);
    return at_us;
}

/* A completion whose user_data is a struct told. */
static inline void on_result(int32_t code, const char *message, void *user_data) {
    (void)message;
    tell(user_data, code);
}

/* Waits for the completion of a call that gave `accepted`, and gives the time. It must succeed. */
static inline double succeeds(struct told *told, int32_t accepted, const char *what) {
    must(accepted == TIM_OK, what);
    double at_us = wait_for(told);
    if (told->code != TIM_OK) fprintf(stderr, "bench: %s: %s\n", what, tim_error_message(told->code));
    must(told->code == TIM_OK, what);
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
