/* The version: header, library and Cargo.toml agree. */
#include "check.h"

#if !TIM_VERSION_CHECK(TIM_VERSION_MAJOR, TIM_VERSION_MINOR, TIM_VERSION_PATCH)
#error "a header is of its own version"
#endif
#if TIM_VERSION_CHECK(TIM_VERSION_MAJOR, TIM_VERSION_MINOR, TIM_VERSION_PATCH + 1)
#error "a header is not of a later version"
#endif

int main(void) {
    int major, minor, patch;
    const char *cargo = given("TIM_TEST_VERSION");

    CHECK_TEXT(cargo, TIM_VERSION_STRING);
    CHECK_TEXT(cargo, tim_version());
    CHECK_NUMBER(TIM_VERSION_NUMBER, tim_version_number());

    CHECK(sscanf(cargo, "%d.%d.%d", &major, &minor, &patch) == 3);
    CHECK_NUMBER(TIM_VERSION_MAJOR, major);
    CHECK_NUMBER(TIM_VERSION_MINOR, minor);
    CHECK_NUMBER(TIM_VERSION_PATCH, patch);
    CHECK_NUMBER(major * 65536 + minor * 256 + patch, tim_version_number());

    CHECK(tim_version() == tim_version());
    return 0;
}
