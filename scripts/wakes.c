// A closed loop of HTTP requests that differs in one thing from the next: when it writes, or whether it ever sleeps.
// scripts/nginx-agreement.py compiles and runs it: wakes HOW CONNECTIONS SECONDS. It prints requests per second.
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char request[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1:18080\r\n\r\n";

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void ask(int connection) {
    if (send(connection, request, sizeof request - 1, MSG_NOSIGNAL) != sizeof request - 1) {
        perror("send");
        exit(1);
    }
}

int main(int count, char **words) {
    if (count != 4) return fputs("wakes sleeps|rounds|spins CONNECTIONS SECONDS\n", stderr), 2;
    int rounds = !strcmp(words[1], "rounds"), spins = !strcmp(words[1], "spins");
    int connections = atoi(words[2]), epoll = epoll_create1(0), answered[1024];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(18080)};
    struct epoll_event events[1024];
    static char answer[64 << 10];
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int index = 0; index < connections; index++) {
        int one = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(one, (struct sockaddr *)&to, sizeof to)) return perror("connect"), 1;
        fcntl(one, F_SETFL, O_NONBLOCK);
        struct epoll_event wanted = {.events = EPOLLIN | EPOLLET, .data.fd = one};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, one, &wanted)) return perror("epoll_ctl"), 1;
        ask(one);
    }
    double start = now(), at = start;
    long answers = 0;
    while (at - start < atof(words[3])) {
        int ready = epoll_wait(epoll, events, 1024, spins ? 0 : -1), open = 0;
        for (int index = 0; index < ready; index++) {
            int one = events[index].data.fd;
            ssize_t bytes = recv(one, answer, sizeof answer, 0);
            if (bytes == 0) return fputs("the server closed a connection\n", stderr), 1;
            if (bytes < 0) continue;
            answers++;
            at = now();
            // The next request is sent at once, or when all answers of this round have been read.
            if (rounds) answered[open++] = one;
            else ask(one);
        }
        for (int index = 0; index < open; index++) ask(answered[index]);
    }
    printf("%f\n", (double)answers / (at - start));
}
