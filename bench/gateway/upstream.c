/* A provider for benchmarks: sends what it has read from a folder, whole or as a stream of events.
 *
 *     upstream PORT GAP_MS FOLDER
 *
 * The folder holds chat.json, chat.sse, messages.json and messages.sse; a path with "/messages" gets the latter two, a
 * body with "stream":true the events. Each event is one write and one chunk of the answer, GAP_MS apart (0: at once).
 * GET /sent: how many events it has sent so far. One thread; HTTP/1.1 with content-length only.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

struct text { char *data; size_t size; };
struct answer { struct text whole; struct text *events; size_t count; };

struct connection {
    int fd;
    char *in;
    size_t have, room;
    struct text out;             /* what is left of the piece that is being sent */
    const struct answer *stream; /* NULL: none under way */
    size_t next;
    int64_t due_ms;
    int is_queued;
    struct connection *before, *after; /* by due_ms: the gap is the same for all, so the last has the latest */
};

static int poller;
static int64_t gap_ms;
static unsigned long long sent;
static struct answer chat, messages;
static struct connection *first, *last;

static void fail(const char *what) { perror(what); exit(1); }

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct text joined(const char *head, const char *data, size_t size, const char *tail) {
    struct text made = {malloc(strlen(head) + size + strlen(tail)), 0};
    memcpy(made.data, head, strlen(head));
    memcpy(made.data + strlen(head), data, size);
    memcpy(made.data + strlen(head) + size, tail, strlen(tail));
    made.size = strlen(head) + size + strlen(tail);
    return made;
}

static struct text whole(const char *data, size_t size) {
    char head[160];
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_0123456789\r\n"
             "content-length: %zu\r\n\r\n", size);
    return joined(head, data, size, "");
}

static struct text contents(const char *folder, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file) fail(path);
    struct text read = {malloc(1 << 20), 0};
    read.size = fread(read.data, 1, 1 << 20, file);
    fclose(file);
    return read;
}

static void load(struct answer *answer, const char *folder, const char *json, const char *sse) {
    struct text body = contents(folder, json), events = contents(folder, sse);
    answer->whole = whole(body.data, body.size);
    answer->events = calloc(events.size, sizeof *answer->events);
    for (char *at = events.data, *end = at + events.size; at < end;) {
        char *blank = memmem(at, end - at, "\n\n", 2);
        size_t size = (blank ? blank + 2 : end) - at;
        char head[160];
        snprintf(head, sizeof head, "%s%zx\r\n", answer->count ? "" : "HTTP/1.1 200 OK\r\n"
                 "content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n", size);
        at += size;
        answer->events[answer->count++] = joined(head, at - size, size, at < end ? "\r\n" : "\r\n0\r\n\r\n");
    }
}

static void unqueue(struct connection *c) {
    if (!c->is_queued) return;
    *(c->before ? &c->before->after : &first) = c->after;
    *(c->after ? &c->after->before : &last) = c->before;
    c->is_queued = 0;
}

static void queue(struct connection *c) {
    c->due_ms = now_ms() + gap_ms;
    c->before = last;
    c->after = NULL;
    *(last ? &last->after : &first) = c;
    last = c;
    c->is_queued = 1;
}

static void leave(struct connection *c) {
    unqueue(c);
    close(c->fd);
    free(c->in);
    c->fd = -1; /* freed after the turn: an event of it may still be at hand */
}

static void watch(struct connection *c, uint32_t for_what) {
    struct epoll_event event = {.events = for_what, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
}

/* Sends what is due; false if the peer takes no more just now, or has gone. */
static int push(struct connection *c) {
    for (;;) {
        while (c->out.size) {
            ssize_t done = send(c->fd, c->out.data, c->out.size, MSG_NOSIGNAL);
            if (done < 0 && errno == EAGAIN) { watch(c, EPOLLIN | EPOLLOUT); return 0; }
            if (done < 0) { leave(c); return 0; }
            c->out.data += done;
            c->out.size -= done;
        }
        if (!c->stream) return 1;
        if (c->next == c->stream->count) { c->stream = NULL; return 1; }
        if (gap_ms && c->next && now_ms() < c->due_ms) { if (!c->is_queued) queue(c); return 1; }
        c->out = c->stream->events[c->next++];
        sent++;
        if (gap_ms) c->due_ms = now_ms() + gap_ms;
    }
}

/* Answers one request that has arrived whole, and forgets it; false if there is none. */
static int serve(struct connection *c) {
    char *end = memmem(c->in, c->have, "\r\n\r\n", 4);
    if (!end) return 0;
    size_t head = end + 4 - c->in, body = 0;
    for (char *line = c->in; line < end; line = (char *)memmem(line, end + 2 - line, "\r\n", 2) + 2)
        if (!strncasecmp(line, "content-length:", 15)) body = strtoul(line + 15, NULL, 10);
    if (c->have < head + body) return 0;
    char *target_end = memchr(c->in, '\r', head);
    const struct answer *answer = memmem(c->in, target_end - c->in, "/messages", 9) ? &messages : &chat;
    if (memmem(c->in, target_end - c->in, " /sent ", 7)) {
        static struct text count;
        char digits[32];
        free(count.data);
        count = whole(digits, snprintf(digits, sizeof digits, "%llu", sent));
        c->out = count;
    } else if (memmem(end, body + 4, "\"stream\":true", 13) || memmem(end, body + 4, "\"stream\": true", 14)) {
        c->stream = answer;
        c->next = 0;
    } else {
        c->out = answer->whole;
    }
    c->have -= head + body;
    memmove(c->in, c->in + head + body, c->have);
    return 1;
}

static void go_on(struct connection *c) {
    while (c->fd >= 0 && push(c) && !c->stream && serve(c)) {}
}

static void take(struct connection *c) {
    for (;;) {
        if (c->have == c->room) c->in = realloc(c->in, c->room = c->room ? c->room * 2 : 2048);
        ssize_t done = recv(c->fd, c->in + c->have, c->room - c->have, 0);
        if (done == 0 || (done < 0 && errno != EAGAIN)) { leave(c); return; }
        if (done < 0) return;
        c->have += done;
        if (c->have < c->room) return;
    }
}

static int listening(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 8192)) fail("listen");
    return fd;
}

static void welcome(int listener) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        int yes = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        struct connection *c = calloc(1, sizeof *c);
        c->fd = fd;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    }
}

int main(int count, char **words) {
    if (count != 4) { fputs("upstream PORT GAP_MS FOLDER\n", stderr); return 2; }
    gap_ms = atoi(words[2]);
    load(&chat, words[3], "chat.json", "chat.sse");
    load(&messages, words[3], "messages.json", "messages.sse");
    int listener = listening(atoi(words[1]));
    poller = epoll_create1(0);
    struct epoll_event ready[512], event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int64_t wait = first ? first->due_ms - now_ms() : -1;
        int found = epoll_wait(poller, ready, 512, first && wait < 0 ? 0 : (int)wait);
        struct connection *gone[512];
        int left = 0;
        for (int i = 0; i < found; i++) {
            struct connection *c = ready[i].data.ptr;
            if (!c) { welcome(listener); continue; }
            if (ready[i].events & EPOLLOUT) watch(c, EPOLLIN);
            if (ready[i].events & ~EPOLLOUT) take(c);
            go_on(c);
            if (c->fd < 0) gone[left++] = c;
        }
        while (first && first->due_ms <= now_ms()) {
            struct connection *c = first;
            unqueue(c);
            go_on(c); /* one that has gone here is not freed: a few bytes, once per broken connection */
        }
        while (left) free(gone[--left]);
    }
}
