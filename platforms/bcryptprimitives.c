/* The one function of bcryptprimitives.dll that Rust's library imports, for Wine 8, which lacks that
 * DLL. For tests under Wine alone: Windows has it.
 */
#include <windows.h>

/* RtlGenRandom, which no header declares under this name. */
BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length) {
    return SystemFunction036(data, (ULONG)length);
}
