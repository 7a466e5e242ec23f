/* The cost of an idle, logged-in client: CPU time and context switches of its network
 * thread per heartbeat. The kernel counts the heartbeats, as segments with data on the connection. */
#include "client.h"
#include <dirent.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* The TID of the library's network thread, found by name. */
static long network_thread(void) {
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;
    long found = -1;
    must(tasks != NULL, "/proc/self/task");
    while ((task = readdir(tasks))) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        FILE *file = fopen(path, "r");
        if (!file) continue;
        if (fgets(name, sizeof name, file) && strcmp(name, "tim-network\n") == 0) found = atol(task->d_name);
        fclose(file);
    }
    closedir(tasks);
    must(found > 0, "no network thread");
    return found;
}

/* How many segments with data have arrived on this process's connection. */
static long segments(void) {
    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_in peer;
        struct tcp_info info = {0};
        socklen_t length = sizeof peer, info_length = sizeof info;
        if (getpeername(fd, (struct sockaddr *)&peer, &length) == 0 && peer.sin_family == AF_INET
            && getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &info_length) == 0)
            return (long)info.tcpi_data_segs_in;
    }
    must(0, "no connection");
    return -1;
}

struct use {
    long voluntary, involuntary, cpu_ns, heartbeats;
};

static struct use use_of(long thread) {
    char path[64];
    struct use use;
    snprintf(path, sizeof path, "/proc/self/task/%ld/status", thread);
    use.voluntary = proc_value(path, "voluntary_ctxt_switches:");
    use.involuntary = proc_value(path, "nonvoluntary_ctxt_switches:");
    snprintf(path, sizeof path, "/proc/self/task/%ld/schedstat", thread);
    use.cpu_ns = proc_value(path, "");
    use.heartbeats = segments();
    return use;
}

int main(int argc, char **argv) {
    enum { HEARTBEATS = 40 };
    struct record done = {0};
    char what[100], more[512] = "";
    must(argc == 2, "expected how the connection is called");
    if (getenv("TIM_CA_FILE")) snprintf(more, sizeof more, ",\"ca_file\":\"%s\"", getenv("TIM_CA_FILE"));
    tim_client client = create_client(setting("TIM_URL"), more);
    succeeds(&done, tim_login(client, "alice", setting("TIM_SIG"), on_result, &done), "login");
    struct timespec moment = {0, 20000000};
    long thread = network_thread(), begin = segments();
    while (segments() < begin + 2) nanosleep(&moment, NULL); /* the traffic of the login is over */
    struct use before = use_of(thread), after = before;
    while (after.heartbeats < before.heartbeats + HEARTBEATS) {
        nanosleep(&moment, NULL);
        after = use_of(thread);
    }
    double heartbeats = (double)(after.heartbeats - before.heartbeats);
    snprintf(what, sizeof what, "idle, %s: voluntary context switches per heartbeat", argv[1]);
    int failed = figure(what, (double)(after.voluntary - before.voluntary) / heartbeats, "", 0, 2, 0);
    snprintf(what, sizeof what, "idle, %s: involuntary context switches per heartbeat", argv[1]);
    figure(what, (double)(after.involuntary - before.involuntary) / heartbeats, "", 0, 0, 0);
    snprintf(what, sizeof what, "idle, %s: CPU time per heartbeat", argv[1]);
    figure(what, (double)(after.cpu_ns - before.cpu_ns) / 1e3 / heartbeats, "us", 0, 0, 0);
    must(tim_client_destroy(client, 5000) == TIM_OK, "destroy");
    return failed;
}
