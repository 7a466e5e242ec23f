/* What the C tests ask of the system, on POSIX systems and on Windows: libraries opened by name, a
 * descriptor of the library's, a second process, and what the process holds. Includes check.h.
 */
#ifndef TIM_SYSTEM_H
#define TIM_SYSTEM_H

#include "check.h"

#ifdef _WIN32
#include <winsock2.h>
/* After winsock2.h. */
#include <windows.h>
#include <fcntl.h>
#include <io.h>
#include <process.h>
#include <psapi.h>
#include <tlhelp32.h>
#else
#include <dirent.h>
#include <dlfcn.h>
#include <poll.h>
#include <sys/wait.h>
#endif

/* ---- a library that the program opens itself ---- */

/* Opens a library, which must succeed. */
MAY_BE_UNUSED static void *open_library(const char *path) {
#ifdef _WIN32
    void *library = LoadLibraryA(path);
    if (!library) check_failed(__FILE__, __LINE__, "cannot load %s: %lu", path, GetLastError());
#else
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) check_failed(__FILE__, __LINE__, "%s", dlerror());
#endif
    return library;
}

/* Stores a function of a library in a typed pointer. ISO C has no cast from a pointer to an object
 * to one to a function, so the bytes are copied. */
MAY_BE_UNUSED static void find_function(void *library, const char *name, void *function, size_t size) {
#ifdef _WIN32
    const FARPROC symbol = GetProcAddress((HMODULE)library, name);
#else
    void *symbol = dlsym(library, name);
#endif
    if (!symbol) check_failed(__FILE__, __LINE__, "the library has no %s", name);
    CHECK(size == sizeof symbol);
    memcpy(function, &symbol, size);
}

MAY_BE_UNUSED static void close_library(void *library) {
#ifdef _WIN32
    CHECK(FreeLibrary((HMODULE)library));
#else
    CHECK(dlclose(library) == 0);
#endif
}

/* ---- the descriptor that tells of pending events ---- */

/* Waits until the descriptor is readable: 1, or 0 after the time. */
MAY_BE_UNUSED static int readable(int32_t fd, int timeout_ms) {
#ifdef _WIN32
    WSAPOLLFD watched = {.fd = (SOCKET)fd, .events = POLLIN};
    return WSAPoll(&watched, 1, timeout_ms);
#else
    struct pollfd watched = {.fd = fd, .events = POLLIN};
    return poll(&watched, 1, timeout_ms);
#endif
}

/* Reads one byte from the descriptor, as some event loops do: 1, or something else. */
MAY_BE_UNUSED static int read_byte(int32_t fd) {
    char byte;
#ifdef _WIN32
    return recv((SOCKET)fd, &byte, 1, 0);
#else
    return (int)read(fd, &byte, 1);
#endif
}

/* ---- a second process, and pipes between the two ---- */

MAY_BE_UNUSED static void make_pipe(int ends[2]) {
#ifdef _WIN32
    CHECK(_pipe(ends, 64, _O_BINARY) == 0);
#else
    CHECK(pipe(ends) == 0);
#endif
}

/* Runs `body` in a process of its own. Windows has no fork: there, it is this program once more, whose
 * main calls `body` with the two numbers among its arguments. */
MAY_BE_UNUSED static intptr_t start_process(const char *program, int (*body)(int, int), int in, int out) {
#ifdef _WIN32
    char in_text[16], out_text[16];
    (void)body;
    snprintf(in_text, sizeof in_text, "%d", in);
    snprintf(out_text, sizeof out_text, "%d", out);
    const intptr_t process = _spawnl(_P_NOWAIT, program, program, in_text, out_text, NULL);
    CHECK(process != -1);
    return process;
#else
    (void)program;
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) exit(body(in, out));
    return child;
#endif
}

/* Waits for the end of a process: its status, or -1 if it was ended by a signal. */
MAY_BE_UNUSED static int exit_status(intptr_t process) {
    int status;
#ifdef _WIN32
    CHECK(_cwait(&status, process, _WAIT_CHILD) == process);
    return status;
#else
    CHECK(waitpid((pid_t)process, &status, 0) == (pid_t)process);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
#endif
}

/* ---- what this process holds ---- */

#ifndef _WIN32
MAY_BE_UNUSED static int count_entries(const char *path) {
    int entries = 0;
    DIR *directory = opendir(path);
    CHECK(directory);
    while (readdir(directory)) entries++;
    closedir(directory);
    return entries;
}
#endif

MAY_BE_UNUSED static int count_threads(void) {
#ifdef _WIN32
    int count = 0;
    THREADENTRY32 entry = {.dwSize = sizeof entry};
    const HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
    CHECK(all != INVALID_HANDLE_VALUE);
    for (BOOL more = Thread32First(all, &entry); more; more = Thread32Next(all, &entry))
        count += entry.th32OwnerProcessID == GetCurrentProcessId();
    CloseHandle(all);
    return count;
#else
    return count_entries("/proc/self/task");
#endif
}

/* Descriptors; on Windows, handles. */
MAY_BE_UNUSED static int count_descriptors(void) {
#ifdef _WIN32
    DWORD count;
    CHECK(GetProcessHandleCount(GetCurrentProcess(), &count));
    return (int)count;
#else
    return count_entries("/proc/self/fd");
#endif
}

/* The memory of the process, in KiB: what is resident; on Windows, what is its own. */
MAY_BE_UNUSED static long count_kib(void) {
#ifdef _WIN32
    PROCESS_MEMORY_COUNTERS memory;
    CHECK(GetProcessMemoryInfo(GetCurrentProcess(), &memory, sizeof memory));
    return (long)(memory.PagefileUsage / 1024);
#else
    char line[256];
    long kib = -1;
    FILE *status = fopen("/proc/self/status", "r");
    CHECK(status);
    while (fgets(line, sizeof line, status))
        if (sscanf(line, "VmRSS: %ld", &kib) == 1) break;
    fclose(status);
    CHECK(kib > 0);
    return kib;
#endif
}

#endif /* TIM_SYSTEM_H */
