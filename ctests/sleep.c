/* A device that sleeps: its client notices the wake-up even when nothing was due. */
#define _GNU_SOURCE
#include "check.h"
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

/* ---- replacements for functions of the C library ---- */

static int alarm_fd = -1;                /* the library's timer */
static volatile long long slept_seconds; /* how long the system has slept */

int timerfd_create(clockid_t clock, int flags) {
    CHECK_NUMBER(CLOCK_REALTIME, clock);
    CHECK(flags & TFD_NONBLOCK);
    CHECK(alarm_fd < 0);
    return alarm_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static int armed;

int timerfd_settime(int fd, int flags, const struct itimerspec *new_value, struct itimerspec *old) {
    (void)new_value, (void)old;
    CHECK_NUMBER(alarm_fd, fd);
    CHECK(flags & TFD_TIMER_ABSTIME);
    CHECK(flags & TFD_TIMER_CANCEL_ON_SET);
    change_begin();
    armed++;
    change_end();
    return 0;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    const int result = (int)syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && clock == CLOCK_BOOTTIME) time->tv_sec += slept_seconds;
    return result;
}

/* ---- */

static int accepted; /* how many requests the server has accepted */

static void count(int32_t level, const char *line, void *user_data) {
    (void)level, (void)user_data;
    change_begin();
    accepted += strstr(line, "accepted by") != NULL;
    change_end();
}

int main(void) {
    const uint64_t one = 1;
    CHECK_OK(tim_set_log_callback(count, NULL, TIM_LOG_LEVEL_INFO));
    tim_client client = create_client(SERVER_URL, "");
    LOG_IN(client, "alice", SIG_ALICE);
    WAIT_UNTIL(accepted == 1);

    /* The real-time clock is set, as by NTP: only a new alarm follows. */
    int before = armed;
    CHECK(write(alarm_fd, &one, sizeof one) == sizeof one);
    WAIT_UNTIL(armed == before + 1);
    CHECK_NUMBER(1, accepted);

    /* An hour of sleep: the connection is checked long before the next heartbeat is missed. */
    slept_seconds = 3600;
    CHECK(write(alarm_fd, &one, sizeof one) == sizeof one);
    WAIT_UNTIL(accepted == 2);
    CHECK_NUMBER(TIM_LOGIN_STATUS_LOGGED_IN, tim_get_login_status(client));

    DESTROY(client);
    CHECK_OK(tim_set_log_callback(NULL, NULL, TIM_LOG_LEVEL_OFF));
    return 0;
}
