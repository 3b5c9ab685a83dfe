/* The yardstick: how fast the kernel lets a TCP server be that answers with what it got, in ASCII upper case.
 *
 *     cc -O3 -march=native -pthread -o yardstick yardstick.c
 *     yardstick PORT THREADS          each thread accepts by itself, from a listener of its own (SO_REUSEPORT)
 *     yardstick PORT THREADS queue    one thread more accepts for them all, and hands over in turn
 *
 * Each thread is an event loop over level-triggered epoll with one buffer for all its connections: a read, the
 * change, a write. Only what a write leaves over is kept, and then nothing is read until it is gone.
 *
 * Left out is what a server needs beside that: limits, timeouts, counters, a log, Unicode, an orderly stop. What the
 * system refuses ends it, because a yardstick that limps would be taken for a slow one. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 64 * 1024, EVENTS = 256, ACCEPTS = 64, BACKLOG = 4096, MOST_THREADS = 64 };

/* Connections that were accepted and not yet taken over. */
struct queue {
    pthread_mutex_t lock;
    int *sockets;
    size_t length, room;
};

struct worker {
    pthread_t thread;
    int epoll;
    int listener; /* or -1: its connections come by the queue */
    int bell;     /* rung when the queue is no longer empty */
    struct queue queue;
};

struct connection {
    int socket;
    uint32_t left_length, left_at;
    uint8_t *left; /* what a write left over, or NULL */
};

/* What a worker's epoll tells of its listener and its bell; of all else it tells the connection. */
static char LISTENER, BELL;

static void *must(const char *what, void *found) {
    if (!found) {
        perror(what);
        exit(1);
    }
    return found;
}

static int done(const char *what, int result) {
    if (result < 0) {
        perror(what);
        exit(1);
    }
    return result;
}

static void watch(int epoll, int how, int socket, uint32_t events, void *token) {
    struct epoll_event event = {.events = events, .data.ptr = token};
    done("epoll_ctl", epoll_ctl(epoll, how, socket, &event));
}

/* Without a branch in it, so that the compiler makes many bytes of it at once. */
static void upper(uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) bytes[i] ^= ((uint8_t)(bytes[i] - 'a') < 26) << 5;
}

static void end(struct connection *connection) {
    close(connection->socket);
    free(connection->left);
    free(connection);
}

/* Writes what was left over; once all of it is gone, the connection is read again. */
static void write_left(int epoll, struct connection *connection) {
    ssize_t written = send(connection->socket, connection->left + connection->left_at,
                           connection->left_length - connection->left_at, MSG_NOSIGNAL);
    if (written < 0) {
        if (errno != EAGAIN) end(connection);
        return;
    }
    connection->left_at += written;
    if (connection->left_at < connection->left_length) return;
    free(connection->left);
    connection->left = NULL;
    watch(epoll, EPOLL_CTL_MOD, connection->socket, EPOLLIN, connection);
}

static void keep(int epoll, struct connection *connection, const uint8_t *bytes, size_t length) {
    connection->left = must("malloc", malloc(length));
    memcpy(connection->left, bytes, length);
    connection->left_at = 0;
    connection->left_length = length;
    watch(epoll, EPOLL_CTL_MOD, connection->socket, EPOLLOUT, connection);
}

/* One read and its answer, and then it is the others' turn. */
static void answer(int epoll, struct connection *connection, uint8_t *buffer) {
    ssize_t length = recv(connection->socket, buffer, BUFFER, 0);
    if (length <= 0) {
        if (length == 0 || errno != EAGAIN) end(connection);
        return;
    }
    upper(buffer, length);
    ssize_t written = send(connection->socket, buffer, length, MSG_NOSIGNAL);
    if (written < 0 && errno != EAGAIN) {
        end(connection);
        return;
    }
    if (written < 0) written = 0;
    if (written < length) keep(epoll, connection, buffer + written, length - written);
}

static void begin(int epoll, int socket) {
    struct connection *connection = must("calloc", calloc(1, sizeof *connection));
    connection->socket = socket;
    watch(epoll, EPOLL_CTL_ADD, socket, EPOLLIN, connection);
}

/* A new connection, or -1 if there is none (any more). */
static int next_connection(int listener) {
    int socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0 && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) done("accept4", socket);
    return socket;
}

static void accept_some(struct worker *worker) {
    for (int i = 0; i < ACCEPTS; i++) {
        int socket = next_connection(worker->listener);
        if (socket < 0) return;
        begin(worker->epoll, socket);
    }
}

/* Takes over what is in the queue; the bell is silent before, so that whoever comes after rings it again. */
static void take_over(struct worker *worker) {
    struct queue *queue = &worker->queue;
    eventfd_t rung;
    eventfd_read(worker->bell, &rung);
    pthread_mutex_lock(&queue->lock);
    struct queue taken = *queue;
    queue->sockets = NULL;
    queue->length = queue->room = 0;
    pthread_mutex_unlock(&queue->lock);
    for (size_t i = 0; i < taken.length; i++) begin(worker->epoll, taken.sockets[i]);
    free(taken.sockets);
}

static void hand_over(struct worker *worker, int socket) {
    struct queue *queue = &worker->queue;
    pthread_mutex_lock(&queue->lock);
    if (queue->length == queue->room) {
        queue->room = queue->room ? 2 * queue->room : 64;
        queue->sockets = must("realloc", realloc(queue->sockets, queue->room * sizeof *queue->sockets));
    }
    bool was_empty = queue->length == 0;
    queue->sockets[queue->length++] = socket;
    pthread_mutex_unlock(&queue->lock);
    if (was_empty) done("eventfd", eventfd_write(worker->bell, 1));
}

static void *work(void *argument) {
    struct worker *worker = argument;
    uint8_t *buffer = must("malloc", malloc(BUFFER));
    struct epoll_event events[EVENTS];
    for (;;) {
        int count = epoll_wait(worker->epoll, events, EVENTS, -1);
        if (count < 0 && errno != EINTR) done("epoll_wait", count);
        for (int i = 0; i < count; i++) {
            void *token = events[i].data.ptr;
            if (token == &LISTENER) accept_some(worker);
            else if (token == &BELL) take_over(worker);
            else if (((struct connection *)token)->left) write_left(worker->epoll, token);
            else answer(worker->epoll, token, buffer);
        }
    }
    return NULL;
}

static int listen_on(int port, int kind, bool shared) {
    int listener = done("socket", socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | kind, 0)), yes = 1;
    done("setsockopt", setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes));
    if (shared) done("setsockopt", setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes));
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    done("bind", bind(listener, (struct sockaddr *)&address, sizeof address));
    done("listen", listen(listener, BACKLOG));
    return listener;
}

static void prepare(struct worker *worker, int port, bool by_queue) {
    worker->epoll = done("epoll_create1", epoll_create1(EPOLL_CLOEXEC));
    if (by_queue) {
        pthread_mutex_init(&worker->queue.lock, NULL);
        worker->listener = -1;
        worker->bell = done("eventfd", eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
        watch(worker->epoll, EPOLL_CTL_ADD, worker->bell, EPOLLIN, &BELL);
    } else {
        worker->listener = listen_on(port, SOCK_NONBLOCK, true);
        watch(worker->epoll, EPOLL_CTL_ADD, worker->listener, EPOLLIN, &LISTENER);
    }
}

static void allow_descriptors(void) {
    struct rlimit limit;
    done("getrlimit", getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = limit.rlim_max;
    done("setrlimit", setrlimit(RLIMIT_NOFILE, &limit));
}

int main(int count, char **arguments) {
    int port = count > 2 ? atoi(arguments[1]) : 0, threads = count > 2 ? atoi(arguments[2]) : 0;
    bool by_queue = count > 3 && strcmp(arguments[3], "queue") == 0;
    if (port < 1 || port > 65535 || threads < 1 || threads > MOST_THREADS || count > 3 + by_queue) {
        fprintf(stderr, "usage: yardstick PORT THREADS [queue]\n");
        return 2;
    }
    allow_descriptors();
    static struct worker workers[MOST_THREADS];
    for (int i = 0; i < threads; i++) prepare(&workers[i], port, by_queue);
    int listener = by_queue ? listen_on(port, 0, false) : -1;
    for (int i = 0; i < threads; i++) {
        errno = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
        done("pthread_create", errno ? -1 : 0);
    }
    for (unsigned turn = 0; by_queue;) {
        int socket = next_connection(listener);
        if (socket >= 0) hand_over(&workers[turn++ % threads], socket);
    }
    pthread_join(workers[0].thread, NULL);
}
