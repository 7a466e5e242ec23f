/* Forks while eight threads contend for every lock of the library: no child inherits one that nobody
 * releases. Each child creates a client of its own and logs in. TIM_FORKS says how many. */
#include "check.h"
#include <sys/wait.h>

#define THREADS 8
#define CHILD_LIMIT_S 60

static volatile int stop;
static tim_client shared;

static void ignore_line(int32_t level, const char *line, void *user_data) {
    (void)level, (void)line, (void)user_data;
}

static void *contend(void *argument) {
    unsigned turn = (unsigned)(uintptr_t)argument;
    while (!stop) {
        char text[64];
        switch (turn++ % 4) {
        case 0:
            (void)tim_get_login_user(shared, text, sizeof text, NULL);
            break;
        case 1:
            (void)tim_set_connection_callback(shared, NULL, NULL);
            break;
        case 2:
            (void)tim_set_log_callback(ignore_line, NULL, TIM_LOG_LEVEL_DEBUG);
            break;
        default:
            (void)tim_notify(shared, TIM_HINT_NETWORK_CHANGED);
        }
    }
    return NULL;
}

/* Runs on one thread at a time while the others contend: creating clients takes the registry's lock. */
static void *live_and_die(void *argument) {
    (void)argument;
    while (!stop) {
        tim_client client = create_client(CLOSED_URL, "");
        CHECK_OK(tim_logout(client, NULL, NULL));
        DESTROY(client);
    }
    return NULL;
}

static void in_the_child(void) {
    alarm(CHILD_LIMIT_S);
    CHECK_CODE(TIM_ERR_FORKED, tim_logout(shared, NULL, NULL));
    tim_client own = create_client(SERVER_URL, "");
    LOG_IN(own, "alice", SIG_ALICE);
    DESTROY(own);
}

int main(void) {
    const char *wanted = getenv("TIM_FORKS");
    const int forks = wanted ? atoi(wanted) : 100;
    pthread_t threads[THREADS];
#if defined(__SANITIZE_ADDRESS__)
    /* AddressSanitizer's allocator leaves its own lock held when another thread allocates. */
    return 0;
#endif
    shared = create_client(SERVER_URL, "");
    LOG_IN(shared, "bob", SIG_BOB);
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, i ? contend : live_and_die, (void *)i) == 0);
    for (int i = 0; i < forks; i++) {
        int status = 0;
        /* This program's own lock must not stay held either. */
        pthread_mutex_lock(&check_lock);
        const pid_t child = fork();
        pthread_mutex_unlock(&check_lock);
        CHECK(child >= 0);
        if (child == 0) {
            in_the_child();
            /* Not with _exit: memcheck would count what the missing threads hold. */
            execlp("true", "true", (char *)NULL);
            _exit(1);
        }
        CHECK(waitpid(child, &status, 0) == child);
        if (WIFSIGNALED(status)) check_failed(__FILE__, __LINE__, "child %d hung", i);
        CHECK_NUMBER(0, WEXITSTATUS(status));
    }
    stop = 1;
    for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    DESTROY(shared);
    CHECK_OK(tim_set_log_callback(NULL, NULL, TIM_LOG_LEVEL_OFF));
    return 0;
}
