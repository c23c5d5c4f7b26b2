// The application behind every proxy that is measured. It does as little as one can, so that the core that it shares
// with the load generator is not what limits the proxies, and the same for each of them.
//
//   upstream PORT FIELD [PORT FIELD]...
//
// Listens on 127.0.0.1. A request on PORT without FIELD is answered 500. A POST's body (with a length) is thrown away.
//
//   /served      how many requests were answered so far, all ports together
//   /verify      204
//   /mebibyte    1 MiB
//   /identity    1 KiB, if the assertion has three parts and the person and the cookies are what they must be
//   else         1 KiB and seven fields
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PORTS_MAX = 4, HEAD_MAX = 16384, EVENTS = 256, CONNECTIONS_MAX = 20000, BODY = 1024, MEBIBYTE = 1 << 20 };

struct connection {
    int port;           // index of the port
    bool listens;
    size_t have;        // bytes of the head that is being read
    size_t body_left;   // of the request, to be thrown away
    const char *out;    // what could not be sent yet
    size_t out_left;
    char head[HEAD_MAX];
};

static struct connection *connections[CONNECTIONS_MAX];
static const char *wanted[PORTS_MAX];
static int epoll, ports;
static unsigned long served;

static char answer[BODY + 512], mebibyte[MEBIBYTE + 512], waste[1 << 18];
static size_t answer_bytes, mebibyte_bytes;
static const char failure[] = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";
static const char nothing[] = "HTTP/1.1 204 No Content\r\n\r\n";
static const char taken[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

static void stop(const char *what) {
    perror(what);
    exit(1);
}

static size_t write_answer(char *into, size_t body) {
    char date[64];
    time_t now = time(NULL);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
    int head = sprintf(
        into,
        "HTTP/1.1 200 OK\r\nServer: upstream\r\nDate: %s\r\nContent-Type: text/html\r\nContent-Length: %zu\r\n"
        "Connection: keep-alive\r\nCache-Control: private, max-age=0\r\nX-Content-Type-Options: nosniff\r\n\r\n",
        date, body);
    memset(into + head, 'x', body);
    return (size_t)head + body;
}

static void end(int socket) {
    close(socket);
    free(connections[socket]);
    connections[socket] = NULL;
}

// False: the connection is gone.
static bool send_left(int socket, struct connection *connection) {
    while (connection->out_left > 0) {
        ssize_t sent = send(socket, connection->out, connection->out_left, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EAGAIN) return true;
            end(socket);
            return false;
        }
        connection->out += sent;
        connection->out_left -= (size_t)sent;
    }
    return true;
}

// The value of a field, with its length; NULL where there is none.
static const char *field(const char *head, const char *end, const char *name, size_t *length) {
    size_t bytes = strlen(name);
    for (const char *line = memchr(head, '\n', (size_t)(end - head)); line && line + 1 + bytes < end;
         line = memchr(line + 1, '\n', (size_t)(end - line - 1))) {
        if (line[1 + bytes] != ':' || (line[1] | 0x20) != (name[0] | 0x20) || strncasecmp(line + 1, name, bytes)) continue;
        const char *value = line + bytes + 2;
        while (*value == ' ') value++;
        *length = (size_t)((const char *)memchr(value, '\r', (size_t)(end - value)) - value);
        return value;
    }
    return NULL;
}

static bool is_right_identity(const char *head, const char *end) {
    size_t length;
    const char *token = field(head, end, "Gatepost-Assertion", &length);
    int dots = 0;
    for (size_t at = 0; token && at < length; at++) dots += token[at] == '.';
    const char *user = field(head, end, "X-Remote-User", &length);
    bool is_alice = user && length == strlen("alice@corp.example") && !memcmp(user, "alice@corp.example", length);
    const char *cookie = field(head, end, "Cookie", &length);
    const char *second = cookie ? memmem(cookie, length, "; ", 2) : NULL;
    bool is_own = second && !strncmp(cookie, "app_session=", 12) && cookie + length - second == 12
        && !memcmp(second, "; theme=dark", 12);
    return dots == 2 && is_alice && is_own;
}

static void respond(struct connection *connection, size_t head_bytes) {
    static char count[128];
    const char *head = connection->head, *end = head + head_bytes, *target = memchr(head, ' ', head_bytes);
    size_t length;
    connection->out = answer;
    connection->out_left = answer_bytes;
#define GIVE(text, bytes) (connection->out = (text), connection->out_left = (bytes))
    if (!target) {
        GIVE(failure, sizeof failure - 1);
    } else if (!memcmp(target, " /served ", 9)) {
        int digits = snprintf(NULL, 0, "%lu\n", served);
        GIVE(count, (size_t)sprintf(count, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%lu\n", digits, served));
        served--;
    } else if (!memcmp(target, " /verify ", 9)) {
        GIVE(nothing, sizeof nothing - 1);
    } else if (!field(head, end, wanted[connection->port], &length) || field(head, end, "Transfer-Encoding", &length)) {
        GIVE(failure, sizeof failure - 1);
    } else if (!memcmp(target, " /mebibyte ", 11)) {
        GIVE(mebibyte, mebibyte_bytes);
    } else if (!memcmp(target, " /identity ", 11) && !is_right_identity(head, end)) {
        GIVE(failure, sizeof failure - 1);
    } else if (head[0] == 'P') {
        const char *value = field(head, end, "Content-Length", &length);
        connection->body_left = value ? strtoull(value, NULL, 10) : 0;
        GIVE(taken, sizeof taken - 1);
    }
    served++;
}

static void serve(int socket, struct connection *connection, bool hangs_up) {
    for (;;) {
        if (connection->body_left > 0) {
            size_t most = connection->body_left < sizeof waste ? connection->body_left : sizeof waste;
            ssize_t got = recv(socket, waste, most, 0);
            if (got < 0 && errno == EAGAIN) return;
            if (got <= 0) return end(socket);
            connection->body_left -= (size_t)got;
            if (connection->body_left == 0 && !send_left(socket, connection)) return;
            continue;
        }
        ssize_t got = recv(socket, connection->head + connection->have, HEAD_MAX - connection->have, 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) return end(socket);
        connection->have += (size_t)got;
        char *empty = memmem(connection->head, connection->have, "\r\n\r\n", 4);
        if (!empty && connection->have == HEAD_MAX) return end(socket);
        if (!empty) continue;
        size_t head_bytes = (size_t)(empty + 4 - connection->head), further = connection->have - head_bytes;
        respond(connection, head_bytes);
        // No proxy sends a second request before the answer to the first one.
        if (further > connection->body_left) return end(socket);
        connection->body_left -= further;
        connection->have = 0;
        if (connection->body_left == 0) {
            // What comes next is told by epoll, but an end that came with the request was told already.
            if (!send_left(socket, connection) || !hangs_up) return;
        }
    }
}

static void watch(int socket, int port, bool listens) {
    if (socket >= CONNECTIONS_MAX || !(connections[socket] = calloc(1, sizeof(struct connection)))) {
        fprintf(stderr, "upstream: too many connections\n");
        close(socket);
        return;
    }
    connections[socket]->port = port;
    connections[socket]->listens = listens;
    struct epoll_event event = { .events = listens ? EPOLLIN : EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = socket };
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event) != 0) stop("epoll_ctl");
}

static void take_connections(int listener) {
    int one = 1, socket;
    while ((socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(socket, connections[listener]->port, false);
    }
}

static void listen_on(const char *port) {
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0) stop("bind");
    if (listen(listener, 4096) != 0) stop("listen");
    watch(listener, ports, true);
}

int main(int count, char **arguments) {
    if (count < 3 || count % 2 == 0 || count > 1 + 2 * PORTS_MAX) {
        fprintf(stderr, "upstream PORT FIELD [PORT FIELD]...\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    for (; 1 + 2 * ports < count; ports++) {
        wanted[ports] = arguments[2 + 2 * ports];
        listen_on(arguments[1 + 2 * ports]);
    }
    mebibyte_bytes = write_answer(mebibyte, MEBIBYTE);
    time_t written = 0;
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        // Like servers do: the date is of the second. Nobody is in the middle of the old one, it leaves in one piece.
        if (time(NULL) != written) {
            written = time(NULL);
            answer_bytes = write_answer(answer, BODY);
        }
        for (int at = 0; at < ready; at++) {
            int socket = events[at].data.fd;
            struct connection *connection = connections[socket];
            if (!connection) continue;
            if (connection->listens) take_connections(socket);
            // Whoever answers in the middle of a body makes the client break it off: nothing would be uploaded.
            else if (connection->body_left > 0 || (send_left(socket, connection) && connection->out_left == 0))
                serve(socket, connection, events[at].events & EPOLLRDHUP);
        }
    }
}
