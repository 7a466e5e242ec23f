/* The floor of any call into a shared library: an exported function that does nothing. */
#include <stdint.h>

__attribute__((visibility("default"))) int32_t empty_call(uint64_t handle) {
    (void)handle;
    return 0;
}
