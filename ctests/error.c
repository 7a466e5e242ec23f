/* Names and texts of codes. That every code of the header has its row: tests/header.rs. */
#include "check.h"

int main(void) {
    /* A code has its name as the header spells it, and a message. */
    CHECK_TEXT("TIM_OK", tim_error_name(TIM_OK));
    CHECK_TEXT("success", tim_error_message(TIM_OK));
    CHECK_TEXT("TIM_ERR_USER_SIG_EXPIRED", tim_error_name(70001));
    CHECK_HAS("log in with a new one", tim_error_message(70001));

    /* An unknown number has static texts, too. */
    const int32_t unknown[] = {1, -1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        CHECK_TEXT("TIM_ERR_UNKNOWN", tim_error_name(unknown[i]));
        CHECK_TEXT("unknown code", tim_error_message(unknown[i]));
        CHECK_NUMBER(0, tim_error_is_retryable(unknown[i]));
    }

    /* Only transient errors are retryable. */
    CHECK_NUMBER(1, tim_error_is_retryable(TIM_ERR_CONNECT_REFUSED));
    CHECK_NUMBER(1, tim_error_is_retryable(TIM_ERR_SERVER_OVERLOADED));
    CHECK_NUMBER(0, tim_error_is_retryable(TIM_ERR_USER_SIG_EXPIRED));
    CHECK_NUMBER(0, tim_error_is_retryable(TIM_ERR_NULL_ARGUMENT));
    CHECK_NUMBER(0, tim_error_is_retryable(TIM_OK));

    /* Texts are static: the same pointer every time. */
    CHECK(tim_error_message(70001) == tim_error_message(70001));
    CHECK(tim_error_name(70001) == tim_error_name(70001));
    return 0;
}
