/* What a runtime pays for any library in C: the floor of the figures. A struct is copied under a mutex
 * that nobody else wants, and a thread calls a callback. */
#include <pthread.h>
#include <tim.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const tim_event completion = {
    .size = sizeof completion, .type = TIM_EVENT_COMPLETION, .message = "success"};

int32_t floor_poll_event(tim_client client, int32_t timeout_ms, tim_event *event) {
    (void)client, (void)timeout_ms;
    pthread_mutex_lock(&lock);
    *event = completion;
    pthread_mutex_unlock(&lock);
    return TIM_OK;
}

static tim_result_callback callback;
static int32_t calls;

static void *call(void *nothing) {
    for (int32_t i = 0; i < calls; i++) callback(TIM_OK, completion.message, NULL);
    return nothing;
}

/* Calls `function` `times` times on a thread of its own. One such thread at a time. */
int32_t floor_call_back(tim_result_callback function, int32_t times) {
    pthread_t thread;
    callback = function;
    calls = times;
    int code = pthread_create(&thread, NULL, call, NULL);
    return code ? code : pthread_detach(thread);
}
