// Plays the browsers and agents of loadtest/handshake: device checks at a steady rate, each a challenge fetched, an
// assertion signed with the device's key, and the verdict read. Real requests over kept TLS connections; one thread, so
// that little of the core that it shares with the load generator is its own.
//
//   handshakes run  PORT CA-FILE STATE-FILE RATE
//   handshakes busy RATE COUNT MICROSECONDS
//
// `run` answers every device check of the state file (handshakes.py prepare writes it) once. Times count from when a
// handshake was due, so a gateway that falls behind cannot hide it. What is late by this program itself stands apart:
//
//   HANDSHAKES 3000 of 3000, 500/s (asked 500/s), p50 1.9 ms, p99 9.8 ms, started late p99 0.4 ms, refused 0
//   PLAYER 96                       microseconds of its processor time for each
//
// `busy` uses as much processor time for each as `run` said, at the same pace, and asks nobody: the control.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define HOST "auth.localhost"
#define COOKIE "__Host-gatepost"

enum {
    CONNECTIONS = 64, CHECKS = 4, DEVICES_MAX = 256, SESSIONS_MAX = 100000, ANSWER_MAX = 65536, REQUEST_MAX = 32768,
    WORDS_MAX = 32, COOKIE_MAX = 512, LATE_MAX_SECONDS = 60
};

struct device {
    char *id, *thumbprint, *header;     // of the assertion, in base64url
    EVP_PKEY *key;
    long counter;
};
struct session {
    char cookie[COOKIE_MAX];
    char *checks[CHECKS];
    bool is_busy;                       // two pages at once would outrun each other's cookie
};
struct connection {
    int fd;
    SSL *ssl;
    enum { IDLE, CHALLENGE, VERDICT } state;
    int session;
    long number;                        // of the handshake
    size_t have;
    char answer[ANSWER_MAX];
};

static struct device devices[DEVICES_MAX];
static struct session *sessions;
static struct connection connections[CONNECTIONS];
static int device_count, session_count, port;
static char origin[128];
static SSL_CTX *context;
static int epoll;
static double *times, *late;            // seconds
static long done_count, refused_count;
static struct { char word[64]; long count; } words[WORDS_MAX];

static void fail(const char *what) {
    fprintf(stderr, "handshakes: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double own_seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

// Base64url without padding; the place behind it.
static char *b64(char *to, const unsigned char *bytes, size_t count) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t at = 0; at < count; at += 3) {
        size_t left = count - at;
        unsigned second = left > 1 ? bytes[at + 1] : 0, third = left > 2 ? bytes[at + 2] : 0;
        unsigned value = (unsigned)bytes[at] << 16 | second << 8 | third;
        *to++ = letters[value >> 18];
        *to++ = letters[value >> 12 & 63];
        if (left > 1) *to++ = letters[value >> 6 & 63];
        if (left > 2) *to++ = letters[value & 63];
    }
    *to = 0;
    return to;
}

// Bytes of base64 of either alphabet; -1: there is another letter, or no room.
static int unb64(unsigned char *to, size_t room, const char *text, size_t count) {
    unsigned value = 0;
    int bits = 0;
    size_t have = 0;
    for (size_t at = 0; at < count && text[at] != '='; at++) {
        char letter = text[at];
        int digit = letter >= 'A' && letter <= 'Z' ? letter - 'A' : letter >= 'a' && letter <= 'z' ? letter - 'a' + 26
            : letter >= '0' && letter <= '9' ? letter - '0' + 52 : letter == '-' || letter == '+' ? 62
            : letter == '_' || letter == '/' ? 63 : -1;
        if (digit < 0) return -1;
        value = value << 6 | (unsigned)digit;
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        if (have >= room) return -1;
        to[have++] = (unsigned char)(value >> bits);
    }
    return (int)have;
}

// The state file: `origin URL`, `device ID THUMBPRINT HEADER KEY` (PKCS #8 in base64), `session COOKIE CHECK…`.
static void read_state(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) fail(path);
    sessions = calloc(SESSIONS_MAX, sizeof *sessions);
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, file) > 0) {
        char *rest = line, *kind = strtok_r(line, " \n", &rest), *word[CHECKS + 1] = {0};
        for (int i = 0; i <= CHECKS; i++) word[i] = strtok_r(NULL, " \n", &rest);
        if (!kind || !word[0]) fail("the state file has a line without words");
        if (!strcmp(kind, "origin")) {
            snprintf(origin, sizeof origin, "%s", word[0]);
        } else if (!strcmp(kind, "device") && word[3] && device_count < DEVICES_MAX) {
            unsigned char der[1024];
            const unsigned char *at = der;
            int count = unb64(der, sizeof der, word[3], strlen(word[3]));
            struct device *device = &devices[device_count++];
            device->id = strdup(word[0]);
            device->thumbprint = strdup(word[1]);
            device->header = strdup(word[2]);
            device->key = count < 0 ? NULL : d2i_AutoPrivateKey(NULL, &at, count);
            if (!device->key) fail("a device's key cannot be read");
        } else if (!strcmp(kind, "session") && word[CHECKS] && session_count < SESSIONS_MAX) {
            struct session *session = &sessions[session_count++];
            if (strlen(word[0]) >= sizeof session->cookie) fail("a cookie is too long");
            strcpy(session->cookie, word[0]);
            for (int i = 0; i < CHECKS; i++) session->checks[i] = strdup(word[i + 1]);
        } else {
            fail("the state file has a line that is none");
        }
    }
    free(line);
    fclose(file);
    if (!*origin || !device_count || !session_count) fail("the state file is not whole");
}

static void open_connection(struct connection *connection) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int yes = 1;
    if (connection->fd < 0 || connect(connection->fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    connection->ssl = SSL_new(context);
    errno = 0;
    if (!connection->ssl || !SSL_set_tlsext_host_name(connection->ssl, HOST) || !SSL_set1_host(connection->ssl, HOST)
        || !SSL_set_fd(connection->ssl, connection->fd) || SSL_connect(connection->ssl) != 1)
        fail("TLS with the gateway");
    fcntl(connection->fd, F_SETFL, O_NONBLOCK);
    connection->state = IDLE;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event)) fail("epoll_ctl");
}

static void close_connection(struct connection *connection) {
    SSL_free(connection->ssl);
    close(connection->fd);
}

static void post(struct connection *connection, const char *path, const char *body, size_t length) {
    static char request[REQUEST_MAX];
    int head = snprintf(
        request, sizeof request,
        "POST /.gatepost/posture/%s HTTP/1.1\r\nHost: " HOST ":%d\r\nOrigin: %s\r\nContent-Type: application/json\r\n"
        "X-Gatepost-Request: 1\r\nCookie: " COOKIE "=%s\r\nContent-Length: %zu\r\n\r\n",
        path, port, origin, sessions[connection->session].cookie, length);
    if (head < 0 || (size_t)head + length > sizeof request) fail("a request is too long");
    memcpy(request + head, body, length);
    connection->have = 0;
    // In one piece, so that the gateway reads it once.
    for (;;) {
        int sent = SSL_write(connection->ssl, request, head + (int)length);
        if (sent > 0) return;
        struct pollfd entry = {.fd = connection->fd, .events = POLLOUT};
        if (SSL_get_error(connection->ssl, sent) != SSL_ERROR_WANT_WRITE || poll(&entry, 1, 5000) <= 0)
            fail("the gateway takes nothing");
    }
}

// The text value of a JSON member, where no character of it is escaped; its length, or -1.
static int member(const char *text, const char *name, const char **value) {
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\"%s\":\"", name);
    const char *found = strstr(text, wanted);
    if (!found) return -1;
    *value = found + strlen(wanted);
    const char *end = strchr(*value, '"');
    return end ? (int)(end - *value) : -1;
}

// r and s in fixed width (RFC 7518 section 3.4).
static void sign(EVP_PKEY *key, const char *text, size_t length, unsigned char raw[64]) {
    static EVP_MD_CTX *signer;
    unsigned char der[80];
    size_t count = sizeof der;
    if (!signer) signer = EVP_MD_CTX_new();
    EVP_MD_CTX_reset(signer);
    if (EVP_DigestSignInit(signer, NULL, EVP_sha256(), NULL, key) != 1
        || EVP_DigestSign(signer, der, &count, (const unsigned char *)text, length) != 1)
        fail("a signature cannot be made");
    const unsigned char *at = der;
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &at, (long)count);
    BN_bn2binpad(ECDSA_SIG_get0_r(signature), raw, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(signature), raw + 32, 32);
    ECDSA_SIG_free(signature);
}

// What an agent answers (PROTOCOL.md 9), as the body of `assert`; its length.
static size_t answer(
    struct device *device, const char *challenge, int length, const char *check, char *to, size_t room) {
    unsigned char payload[4096], hash[32], random[16], raw[64];
    const char *middle = memchr(challenge, '.', (size_t)length), *nonce;
    const char *end = middle ? memchr(middle + 1, '.', (size_t)(challenge + length - middle - 1)) : NULL;
    int count = end ? unb64(payload, sizeof payload - 1, middle + 1, (size_t)(end - middle - 1)) : -1;
    if (count < 0) fail("a challenge cannot be read");
    payload[count] = 0;
    int nonce_length = member((char *)payload, "nonce", &nonce);
    if (nonce_length < 0) fail("a challenge has no nonce");
    char chh[64], jti[32], claims[2048];
    SHA256((const unsigned char *)challenge, (size_t)length, hash);
    b64(chh, hash, sizeof hash);
    if (RAND_bytes(random, sizeof random) != 1) fail("no random bytes");
    b64(jti, random, sizeof random);
    long second = (long)time(NULL);
    int claims_length = snprintf(
        claims, sizeof claims,
        "{\"sub\":\"%s\",\"aud\":\"%s\",\"iat\":%ld,\"exp\":%ld,\"jti\":\"%s\",\"eat_nonce\":\"%.*s\",\"chh\":\"%s\","
        "\"origin\":\"%s\",\"transport\":\"fetch\",\"version\":1,\"cnf\":{\"jkt\":\"%s\"},\"key\":\"software\","
        "\"counter\":%ld,\"swname\":\"loadtest\",\"swversion\":\"0.1.0\",\"posture\":{\"platform\":\"linux\","
        "\"os_name\":\"debian\",\"os_version\":\"12\"}}",
        device->id, origin, second, second + 60, jti, nonce_length, nonce, chh, origin, device->thumbprint,
        ++device->counter);
    int before = snprintf(to, room, "{\"tx\":\"%s\",\"assertion\":\"", check);
    size_t needed = (size_t)before + strlen(device->header) + 2 + (size_t)claims_length * 4 / 3 + 128;
    if (claims_length >= (int)sizeof claims || needed > room) fail("an assertion is too long");
    char *text = to + before, *at = stpcpy(stpcpy(text, device->header), ".");
    at = b64(at, (unsigned char *)claims, (size_t)claims_length);
    sign(device->key, text, (size_t)(at - text), raw);
    *at++ = '.';
    at = b64(at, raw, sizeof raw);
    return (size_t)(stpcpy(at, "\"}") - to);
}

static void refuse(const char *text) {
    const char *word = "?";
    int length = member(text, "reason", &word);
    if (length < 0) length = 1;
    refused_count++;
    for (int i = 0; i < WORDS_MAX; i++) {
        if (words[i].count && (strncmp(words[i].word, word, (size_t)length) || words[i].word[length])) continue;
        snprintf(words[i].word, sizeof words[i].word, "%.*s", length, word);
        words[i].count++;
        return;
    }
}

// The body of a whole answer, ended by a zero; NULL: not all of it is there yet.
static char *whole(struct connection *connection, int *status, bool *closes) {
    connection->answer[connection->have] = 0;
    char *body = strstr(connection->answer, "\r\n\r\n");
    if (!body) return NULL;
    body += 4;
    long length = 0;
    *status = 0;
    *closes = false;
    sscanf(connection->answer, "HTTP/1.1 %d", status);
    for (char *line = strstr(connection->answer, "\r\n") + 2; line < body - 2; line = strstr(line, "\r\n") + 2) {
        if (!strncasecmp(line, "content-length:", 15)) length = atol(line + 15);
        if (!strncasecmp(line, "connection: close", 17)) *closes = true;
        if (!strncasecmp(line, "set-cookie: " COOKIE "=", 12 + sizeof COOKIE)) {
            char *value = line + 12 + sizeof COOKIE, *end = strpbrk(value, ";\r");
            struct session *session = &sessions[connection->session];
            if (end - value < COOKIE_MAX) snprintf(session->cookie, COOKIE_MAX, "%.*s", (int)(end - value), value);
        }
    }
    return connection->have - (size_t)(body - connection->answer) < (size_t)length ? NULL : body;
}

static void finish(struct connection *connection, bool closes) {
    sessions[connection->session].is_busy = false;
    connection->state = IDLE;
    if (!closes) return;
    close_connection(connection);
    open_connection(connection);
}

static void read_answer(struct connection *connection, double began, double rate) {
    for (;;) {
        int count = SSL_read(
            connection->ssl, connection->answer + connection->have, (int)(ANSWER_MAX - 1 - connection->have));
        if (count > 0) {
            connection->have += (size_t)count;
            if (connection->have >= ANSWER_MAX - 1) fail("an answer is too long");
            continue;
        }
        if (SSL_get_error(connection->ssl, count) == SSL_ERROR_WANT_READ) break;
        errno = 0;
        if (connection->state != IDLE) fail("the gateway closed in the middle of a handshake");
        close_connection(connection);
        open_connection(connection);
        return;
    }
    if (connection->state == IDLE) return;
    int status;
    bool closes;
    char *body = whole(connection, &status, &closes);
    if (!body) return;
    if (status != 200) {
        refuse(body);
        return finish(connection, closes);
    }
    if (connection->state == CHALLENGE) {
        static char assertion[REQUEST_MAX];
        const char *challenge;
        int length = member(body, "challenge", &challenge);
        if (length < 0) fail("an answer has no challenge");
        int session = connection->session;
        // A session belongs to the device that it proved first.
        size_t count = answer(
            &devices[session % device_count], challenge, length,
            sessions[session].checks[connection->number / session_count], assertion, sizeof assertion);
        if (closes) {
            close_connection(connection);
            open_connection(connection);
        }
        connection->state = VERDICT;
        return post(connection, "assert", assertion, count);
    }
    times[done_count++] = now() - (began + (double)connection->number / rate);
    finish(connection, closes);
}

static int by_size(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

static double at(double *values, long count, double share) { // milliseconds
    if (!count) return 0;
    long index = (long)((double)count * share);
    return values[index < count ? index : count - 1] * 1000;
}

static void sleep_until(double when) {
    struct timespec time = {.tv_sec = (time_t)when, .tv_nsec = (long)((when - (double)(time_t)when) * 1e9)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR) {}
}

static int run(const char *authorities, const char *state, double rate) {
    read_state(state);
    context = SSL_CTX_new(TLS_client_method());
    if (!context || SSL_CTX_load_verify_locations(context, authorities, NULL) != 1) fail(authorities);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_AUTO_RETRY);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < CONNECTIONS; i++) open_connection(&connections[i]);
    // One check of each session after the other, so that no two of one session are under way together.
    long total = (long)session_count * CHECKS, next = 0;
    times = calloc((size_t)total, sizeof *times);
    late = calloc((size_t)total, sizeof *late);
    double began = now() + 0.5, used = own_seconds(), free_since = began, last = began;
    while (done_count + refused_count < total) {
        double moment = now();
        if (moment > began + (double)total / rate + LATE_MAX_SECONDS) fail("the gateway does not come to an end");
        struct connection *idle = NULL;
        for (int i = 0; i < CONNECTIONS && !idle; i++) if (connections[i].state == IDLE) idle = &connections[i];
        bool is_open = next < total && idle && !sessions[next % session_count].is_busy;
        double due = began + (double)next / rate;
        if (is_open && moment >= due) {
            // Late by this program's own doing: the gateway had left it a way since then.
            late[next] = moment - (due > free_since ? due : free_since);
            idle->number = next;
            idle->session = (int)(next++ % session_count);
            idle->state = CHALLENGE;
            sessions[idle->session].is_busy = true;
            char body[256];
            const char *check = sessions[idle->session].checks[idle->number / session_count];
            int count = snprintf(body, sizeof body, "{\"tx\":\"%s\"}", check);
            post(idle, "challenge", body, (size_t)count);
            continue;
        }
        double pause = is_open ? due - moment : 1;
        struct timespec patience = {.tv_sec = (time_t)pause, .tv_nsec = (long)((pause - (double)(time_t)pause) * 1e9)};
        struct epoll_event events[CONNECTIONS];
        int count = epoll_pwait2(epoll, events, CONNECTIONS, &patience, NULL);
        if (count < 0 && errno != EINTR) fail("epoll_pwait2");
        for (int i = 0; i < count; i++) read_answer(events[i].data.ptr, began, rate);
        // What held the next one back was the gateway until now.
        if (!is_open) free_since = now();
        if (count > 0) last = now();
    }
    qsort(times, (size_t)done_count, sizeof *times, by_size);
    qsort(late, (size_t)total, sizeof *late, by_size);
    printf(
        "HANDSHAKES %ld of %ld, %.0f/s (asked %.0f/s), p50 %.1f ms, p99 %.1f ms, started late p99 %.1f ms, refused %ld",
        done_count, total, (double)done_count / (last - began), rate, at(times, done_count, 0.5),
        at(times, done_count, 0.99), at(late, total, 0.99), refused_count);
    for (int i = 0; i < WORDS_MAX && words[i].count; i++) printf(" %s:%ld", words[i].word, words[i].count);
    printf("\nPLAYER %.0f\n", (own_seconds() - used) / (double)total * 1e6);
    return refused_count > 0;
}

static int busy(double rate, long count, double seconds) {
    unsigned char hash[32];
    double began = now() + 0.5;
    for (long number = 0; number < count; number++) {
        sleep_until(began + (double)number / rate);
        double end = own_seconds() + seconds;
        while (own_seconds() < end) SHA256((const unsigned char *)"as much as a handshake takes", 28, hash);
    }
    return 0;
}

int main(int count, char **arguments) {
    if (count == 6 && !strcmp(arguments[1], "run")) {
        port = atoi(arguments[2]);
        double rate = atof(arguments[5]);
        if (port > 0 && rate > 0) return run(arguments[3], arguments[4], rate);
    }
    if (count == 5 && !strcmp(arguments[1], "busy") && atof(arguments[2]) > 0)
        return busy(atof(arguments[2]), atol(arguments[3]), atof(arguments[4]) / 1e6);
    fprintf(stderr, "handshakes run PORT CA-FILE STATE-FILE RATE | busy RATE COUNT MICROSECONDS\n");
    return 2;
}
