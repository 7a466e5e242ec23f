/* Shared by the benchmarks: a clock, percentiles, one line of output per figure. */
#ifndef TIM_BENCH_H
#define TIM_BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value that `share` (0 to 1) of the `n` values do not exceed. Sorts the values. */
static inline double percentile(double *values, size_t n, double share) {
    qsort(values, n, sizeof *values, by_value);
    size_t at = (size_t)(share * (double)n);
    return values[at < n ? at : n - 1];
}

/* One figure. A floor or bar of 0 is not printed. Returns 0 if the figure is within its bar. */
static inline int figure(const char *what, double value, const char *unit, double floor_value,
                         double bar, int bar_is_ratio) {
    double judged = bar_is_ratio && floor_value > 0 ? value / floor_value : value;
    printf("%-62s %12.2f %-6s", what, value, unit);
    if (floor_value > 0) printf("  floor %10.2f  ratio %6.2f", floor_value, value / floor_value);
    if (bar > 0) printf("  bar %s%.2f %s", bar_is_ratio ? "ratio " : "", bar, judged <= bar ? "met" : "NOT MET");
    printf("\n");
    fflush(stdout);
    return bar > 0 && judged > bar;
}

/* A number that must be exact. Returns 0 if it is. */
static inline int exactly(const char *what, long value, long wanted) {
    printf("%-62s %12ld         bar exactly %ld %s\n", what, value, wanted,
           value == wanted ? "met" : "NOT MET");
    fflush(stdout);
    return value != wanted;
}

static inline void must(int ok, const char *what) {
    if (!ok) {
        fprintf(stderr, "bench: %s\n", what);
        exit(2);
    }
}

static inline const char *setting(const char *name) {
    const char *value = getenv(name);
    if (!value || !*value) {
        fprintf(stderr, "bench: %s is not set; run `make bench`\n", name);
        exit(2);
    }
    return value;
}

/* One line of a file of /proc or /sys; -1 without it. */
static inline long proc_value(const char *path, const char *key) {
    FILE *file = fopen(path, "r");
    char line[256];
    long value = -1;
    must(file != NULL, path);
    while (value < 0 && fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0) value = atol(line + strlen(key));
    fclose(file);
    return value;
}

#endif
