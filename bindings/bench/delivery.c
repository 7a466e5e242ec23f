/* What the delivery of events costs in C. There is no binding: its figure is that of the functions
 * themselves, with a blocked poll. */
#include "bench.h"
#include <pthread.h>
#include <semaphore.h>
#include <tim.h>
#include <unistd.h>

enum { BATCH = 64, BATCHES = 500, KICKS = 300 };

int32_t floor_poll_event(tim_client client, int32_t timeout_ms, tim_event *event);
int32_t floor_call_back(tim_result_callback function, int32_t times);

static volatile int64_t seen; /* the fields of events are read into it */

static tim_client create(const char *url, const char *delivery) {
    char config[200];
    tim_client client;
    snprintf(config, sizeof config, "{\"server_url\":\"%s\",\"sdk_app_id\":1,\"event_delivery\":\"%s\"}", url, delivery);
    must(tim_client_create(config, &client, NULL, 0) == TIM_OK, "create");
    return client;
}

/* Logged out, so every logout has completed when it returns. */
static void complete_batch(tim_client client) {
    for (int i = 0; i < BATCH; i++) must(tim_logout(client, NULL, NULL) == TIM_OK, "logout");
}

static void drain(const char *what, int32_t (*poll)(tim_client, int32_t, tim_event *), tim_client client) {
    tim_event event;
    usleep(1000); /* the network thread, which every call wakes, has gone back to sleep */
    double start = now_us();
    for (int i = 0; i < BATCH; i++) {
        event.size = sizeof event;
        must(poll(client, 0, &event) == TIM_OK, "an event is missing");
        seen += event.type + event.code + (int64_t)event.user_data;
    }
    printf("%s %.2f\n", what, (now_us() - start) * 1000 / BATCH);
}

static void by_poll(void) {
    tim_client client = create("http://127.0.0.1:1", "poll");
    int32_t fd;
    must(tim_get_wakeup_fd(client, &fd) == TIM_OK, "descriptor"); /* as event loops have it */
    for (int i = 0; i < BATCHES; i++) {
        drain("floor_pull", floor_poll_event, client);
        complete_batch(client);
        drain("pull", tim_poll_event, client);
    }
    for (int i = 0; i < BATCHES; i++) {
        tim_event event = {.size = sizeof event};
        double start = now_us();
        complete_batch(client);
        for (int taken = 0; taken < BATCH; taken++) must(tim_poll_event(client, -1, &event) == TIM_OK, "poll");
        printf("binding %.2f\n", (now_us() - start) * 1000 / BATCH);
    }
}

/* The first callback of a batch waits until the whole batch is pending. */
static sem_t all_pending, batch_delivered;
static int delivered;
static double first_us, last_us;

static void on_completion(int32_t code, const char *message, void *user_data) {
    seen += code + (message == NULL) + (int64_t)user_data;
    if (delivered == 0) {
        sem_wait(&all_pending);
        first_us = now_us();
    }
    if (++delivered == BATCH) {
        last_us = now_us();
        delivered = 0;
        sem_post(&batch_delivered);
    }
}

static void deliver_batch(const char *what) {
    sem_post(&all_pending);
    sem_wait(&batch_delivered);
    printf("%s %.2f\n", what, (last_us - first_us) * 1000 / (BATCH - 1));
}

static void by_callback(void) {
    tim_client client = create("http://127.0.0.1:1", "callback");
    sem_init(&all_pending, 0, 0);
    sem_init(&batch_delivered, 0, 0);
    for (int i = 0; i < BATCHES; i++) {
        must(floor_call_back(on_completion, BATCH) == 0, "thread");
        deliver_batch("floor_callback");
        for (int j = 0; j < BATCH; j++) must(tim_logout(client, on_completion, NULL) == TIM_OK, "logout");
        deliver_batch("callback");
    }
}

static void print_latency(const char *what, double now, tim_client client) {
    char info[500];
    must(tim_get_kick_info(client, info, sizeof info, NULL) == TIM_OK, "kick info");
    printf("%s %.2f\n", what, now - strtod(strstr(info, "\"time_ms\":") + 10, NULL) / 1000);
}

static void kicks_by_poll(void) {
    tim_client client = create(setting("TIM_URL"), "poll");
    for (int i = 0; i < KICKS; i++) {
        tim_event event;
        must(tim_login(client, "alice", "ticket", NULL, NULL) == TIM_OK, "login");
        do {
            event.size = sizeof event;
            must(tim_poll_event(client, 60000, &event) == TIM_OK, "no kick");
        } while (event.type != TIM_EVENT_KICKED_OFFLINE);
        print_latency("latency_pull", now_us(), client);
    }
}

static sem_t kicked;
static double kicked_us;

static void on_kicked(tim_client client, int32_t code, const char *message, uint64_t login_id, void *user_data) {
    kicked_us = now_us();
    (void)client, (void)code, (void)message, (void)login_id, (void)user_data;
    sem_post(&kicked);
}

static void kicks_by_callback(void) {
    tim_client client = create(setting("TIM_URL"), "callback");
    sem_init(&kicked, 0, 0);
    must(tim_set_kicked_offline_callback(client, on_kicked, NULL) == TIM_OK, "setter");
    for (int i = 0; i < KICKS; i++) {
        must(tim_login(client, "alice", "ticket", NULL, NULL) == TIM_OK, "login");
        sem_wait(&kicked);
        print_latency("latency_callback", kicked_us, client);
    }
}

int main(void) {
    by_poll();
    by_callback();
    kicks_by_poll();
    kicks_by_callback();
    return 0;
}
