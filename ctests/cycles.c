/* Create, log in, destroy, again and again: memory, threads and descriptors stay flat. TIM_CYCLES says how
 * often. */
#include "system.h"

static void cycle(void) {
    struct result login = {0};
    tim_client client = create_client(SERVER_URL, ", \"device_id\": \"the one\"");
    CHECK_OK(tim_login(client, "alice", SIG_ALICE, keep_result, &login));
    CHECK_RESULT(TIM_OK, login);
    DESTROY(client);
}

/* Endless hints, while the network thread is kept from processing them. */
static void hints_queue_nothing(void) {
    tim_client client = create_client(SERVER_URL, "");
    struct door door = {0};
    LOG_IN(client, "alice", SIG_ALICE);
    CHECK_OK(tim_renew_user_sig(client, SIG_ALICE, stop_at_door, &door));
    WAIT_UNTIL(door.reached);
    const long before = count_kib();
    for (int i = 0; i < 300000; i++) CHECK_OK(tim_notify(client, TIM_HINT_NETWORK_CHANGED));
    const long after = count_kib();
    if (after - before > 1024)
        check_failed(__FILE__, __LINE__, "%ld KiB before, %ld KiB after the hints", before, after);
    door_open(&door);
    DESTROY(client);
}

int main(void) {
    const char *wanted = getenv("TIM_CYCLES");
    const int cycles = wanted ? atoi(wanted) : 1000;
    for (int i = 0; i < 200; i++) cycle();
    const int threads = count_threads(), descriptors = count_descriptors();
    const long before = count_kib();
    for (int i = 0; i < cycles; i++) cycle();
    const long after = count_kib();
    CHECK_NUMBER(threads, count_threads());
    CHECK_NUMBER(descriptors, count_descriptors());
    /* A leak of 100 bytes per cycle would be 1 MB in 10,000; an allocator's own memory does not grow like that. */
    if (after - before > 256 + cycles / 20)
        check_failed(__FILE__, __LINE__, "%ld KiB before, %ld KiB after %d cycles", before, after, cycles);
    hints_queue_nothing();
    printf("%d cycles: %ld KiB before, %ld KiB after\n", cycles, before, after);
    return 0;
}
