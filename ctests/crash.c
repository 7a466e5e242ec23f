/* Crashes inside a callback on purpose: crash reporters must see it (tests/crash_reports.rs). */
#define _GNU_SOURCE
#include "check.h"
#include <sys/mman.h>

static void crash(int32_t code, const char *message, void *user_data) {
    (void)code, (void)message;
    *(volatile char *)user_data = 1;
}

int main(void) {
    struct result never = {0};
    void *forbidden = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(forbidden != MAP_FAILED);
    tim_client client = create_client(CLOSED_URL, "");
    CHECK_OK(tim_logout(client, crash, forbidden));
    WAIT_UNTIL(never.runs);
    return 0;
}
