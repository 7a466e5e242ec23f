/* Log lines: silent by default, by level, and without secrets. */
#include "check.h"

static char lines[200][512];
static int32_t levels[200];
static int line_count;

static void keep_line(int32_t level, const char *line, void *user_data) {
    CHECK(user_data == (void *)lines);
    change_begin();
    if (line_count < 200) {
        levels[line_count] = level;
        snprintf(lines[line_count], sizeof lines[0], "%s", line);
        line_count++;
    }
    change_end();
}

/* Records the lines of a login, a logout and an unreachable server. */
static void log_in_and_out(int32_t min_level) {
    struct result refused = {0};
    line_count = 0;
    CHECK_OK(tim_set_log_callback(keep_line, lines, min_level));
    tim_client client = create_client(SERVER_URL, "");
    LOG_IN(client, "alice", SIG_ALICE);
    LOG_OUT(client);
    DESTROY(client);
    client = create_client(CLOSED_URL, ", \"login_timeout_ms\": 300");
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, keep_result, &refused));
    CHECK_RESULT(TIM_ERR_CONNECT_REFUSED, refused);
    DESTROY(client);
}

static void lines_are_delivered_by_level_and_hold_no_secret(void) {
    static const int32_t all[] = {TIM_LOG_LEVEL_DEBUG, TIM_LOG_LEVEL_INFO, TIM_LOG_LEVEL_WARN,
                                  TIM_LOG_LEVEL_ERROR};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        log_in_and_out(all[i]);
        int of_this_level = 0;
        for (int line = 0; line < line_count; line++) {
            CHECK(levels[line] >= all[i]);
            of_this_level += levels[line] == all[i];
            CHECK(levels[line] <= TIM_LOG_LEVEL_ERROR);
            CHECK(lines[line][0] != '\0');
            CHECK(!strchr(lines[line], '\n'));
            CHECK(!strstr(lines[line], SIG_ALICE));
            CHECK(!strstr(lines[line], "alice"));
        }
        /* Each level has lines of its own, except for bugs in the library, which a healthy run has not. */
        if (all[i] == TIM_LOG_LEVEL_ERROR) CHECK_NUMBER(0, line_count);
        else CHECK(of_this_level > 0);
    }
}

static void nothing_is_delivered_when_off_or_without_a_callback(void) {
    log_in_and_out(TIM_LOG_LEVEL_OFF);
    CHECK_NUMBER(0, line_count);
    CHECK_OK(tim_set_log_callback(NULL, NULL, TIM_LOG_LEVEL_DEBUG));
    tim_client client = create_client(SERVER_URL, "");
    LOG_IN(client, "alice", SIG_ALICE);
    DESTROY(client);
    CHECK_NUMBER(0, line_count);
}

static void other_levels_are_refused_and_change_nothing(void) {
    static const int32_t none[] = {-1, 1, 2, 7, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        CHECK_CODE(TIM_ERR_INVALID_ARGUMENT, tim_set_log_callback(keep_line, lines, none[i]));
    tim_client client = create_client(SERVER_URL, "");
    LOG_IN(client, "alice", SIG_ALICE);
    DESTROY(client);
    CHECK_NUMBER(0, line_count);
}

static int32_t set_inside;

static void sets_inside(int32_t level, const char *line, void *user_data) {
    (void)level, (void)line, (void)user_data;
    const int32_t set = tim_set_log_callback(NULL, NULL, TIM_LOG_LEVEL_OFF);
    change_begin();
    set_inside = set;
    change_end();
}

static void a_log_callback_may_remove_itself(void) {
    CHECK_OK(tim_set_log_callback(sets_inside, NULL, TIM_LOG_LEVEL_DEBUG));
    tim_client client = create_client(SERVER_URL, "");
    LOG_IN(client, "alice", SIG_ALICE);
    DESTROY(client);
    CHECK_CODE(TIM_ERR_IN_CALLBACK, set_inside);
    /* Outside callbacks it is a barrier again. */
    CHECK_OK(tim_set_log_callback(NULL, NULL, TIM_LOG_LEVEL_OFF));
}

static int slow_lines;

static void take_time(int32_t level, const char *line, void *user_data) {
    const struct timespec pause = {0, 200 * 1000 * 1000};
    (void)level, (void)line, (void)user_data;
    nanosleep(&pause, NULL);
    change_begin();
    slow_lines++;
    change_end();
}

static void slow_lines_cost_a_login_none_of_its_time(void) {
    CHECK_OK(tim_set_log_callback(take_time, NULL, TIM_LOG_LEVEL_DEBUG));
    tim_client client = create_client(SERVER_URL, ", \"login_timeout_ms\": 150");
    LOG_IN(client, "alice", SIG_ALICE);
    CHECK(slow_lines > 0);
    DESTROY(client);
    CHECK_OK(tim_set_log_callback(NULL, NULL, TIM_LOG_LEVEL_OFF));
}

int main(void) {
    if (!IN_MEMCHECK) slow_lines_cost_a_login_none_of_its_time();
    lines_are_delivered_by_level_and_hold_no_secret();
    nothing_is_delivered_when_off_or_without_a_callback();
    other_levels_are_refused_and_change_nothing();
    a_log_callback_may_remove_itself();
    return 0;
}
