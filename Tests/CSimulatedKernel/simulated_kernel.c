#include "simulated_kernel.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>

static _Thread_local const struct simulated_kernel *current;

void simulated_kernel_enter(const struct simulated_kernel *kernel) { current = kernel; }

static int is_simulated(int descriptor) { return current && descriptor >= SIMULATED_DESCRIPTORS_FROM; }

static ssize_t answer(ssize_t result) {
    if (result >= 0) return result;
    errno = (int)-result;
    return -1;
}

// The linker's names for what the calls meant before.
int __real_socket(int, int, int);
int __real_eventfd(unsigned, int);
int __real_epoll_create1(int);
int __real_connect(int, const struct sockaddr *, socklen_t);
int __real_accept4(int, struct sockaddr *, socklen_t *, int);
ssize_t __real_recv(int, void *, size_t, int);
ssize_t __real_send(int, const void *, size_t, int);
ssize_t __real_read(int, void *, size_t);
ssize_t __real_write(int, const void *, size_t);
int __real_shutdown(int, int);
int __real_close(int);
int __real_setsockopt(int, int, int, const void *, socklen_t);
int __real_getsockopt(int, int, int, void *, socklen_t *);
int __real_getsockname(int, struct sockaddr *, socklen_t *);
int __real_bind(int, const struct sockaddr *, socklen_t);
int __real_listen(int, int);
int __real_epoll_ctl(int, int, int, struct epoll_event *);
int __real_epoll_wait(int, struct epoll_event *, int, int);
int __real_clock_gettime(clockid_t, struct timespec *);
long __real_syscall(long, ...);

int __wrap_socket(int family, int type, int protocol) {
    return current ? (int)answer(current->make_socket(current->context)) : __real_socket(family, type, protocol);
}

int __wrap_eventfd(unsigned count, int flags) {
    return current ? (int)answer(current->make_event(current->context)) : __real_eventfd(count, flags);
}

int __wrap_epoll_create1(int flags) {
    return current ? (int)answer(current->make_epoll(current->context)) : __real_epoll_create1(flags);
}

int __wrap_connect(int descriptor, const struct sockaddr *address, socklen_t length) {
    if (!is_simulated(descriptor)) return __real_connect(descriptor, address, length);
    uint16_t port = ntohs(((const struct sockaddr_in *)address)->sin_port);
    return (int)answer(current->connect_to(current->context, descriptor, port));
}

int __wrap_accept4(int descriptor, struct sockaddr *address, socklen_t *length, int flags) {
    if (!is_simulated(descriptor)) return __real_accept4(descriptor, address, length, flags);
    struct sockaddr_in client = {.sin_family = AF_INET, .sin_port = htons(40000)};
    client.sin_addr.s_addr = htonl(0xC0000207);
    if (address && length && *length >= sizeof client) {
        memcpy(address, &client, sizeof client);
        *length = sizeof client;
    }
    return (int)answer(current->accept_on(current->context, descriptor));
}

ssize_t __wrap_recv(int descriptor, void *target, size_t capacity, int flags) {
    if (!is_simulated(descriptor)) return __real_recv(descriptor, target, capacity, flags);
    return answer(current->receive(current->context, descriptor, target, capacity));
}

ssize_t __wrap_send(int descriptor, const void *source, size_t count, int flags) {
    if (!is_simulated(descriptor)) return __real_send(descriptor, source, count, flags);
    return answer(current->transmit(current->context, descriptor, source, count));
}

ssize_t __wrap_read(int descriptor, void *target, size_t capacity) {
    if (!is_simulated(descriptor)) return __real_read(descriptor, target, capacity);
    return answer(current->receive(current->context, descriptor, target, capacity));
}

ssize_t __wrap_write(int descriptor, const void *source, size_t count) {
    if (!is_simulated(descriptor)) return __real_write(descriptor, source, count);
    return answer(current->transmit(current->context, descriptor, source, count));
}

int __wrap_shutdown(int descriptor, int how) {
    if (!is_simulated(descriptor)) return __real_shutdown(descriptor, how);
    return (int)answer(current->end_writing(current->context, descriptor));
}

int __wrap_close(int descriptor) {
    if (!is_simulated(descriptor)) return __real_close(descriptor);
    return (int)answer(current->close_it(current->context, descriptor));
}

int __wrap_setsockopt(int descriptor, int level, int name, const void *value, socklen_t length) {
    return is_simulated(descriptor) ? 0 : __real_setsockopt(descriptor, level, name, value, length);
}

int __wrap_getsockopt(int descriptor, int level, int name, void *value, socklen_t *length) {
    if (!is_simulated(descriptor)) return __real_getsockopt(descriptor, level, name, value, length);
    int error = current->take_error(current->context, descriptor);
    memcpy(value, &error, sizeof error);
    return 0;
}

int __wrap_getsockname(int descriptor, struct sockaddr *address, socklen_t *length) {
    if (!is_simulated(descriptor)) return __real_getsockname(descriptor, address, length);
    struct sockaddr_in bound = {.sin_family = AF_INET, .sin_port = htons(443)};
    memcpy(address, &bound, sizeof bound);
    *length = sizeof bound;
    return 0;
}

int __wrap_bind(int descriptor, const struct sockaddr *address, socklen_t length) {
    return is_simulated(descriptor) ? 0 : __real_bind(descriptor, address, length);
}

int __wrap_listen(int descriptor, int backlog) {
    if (!is_simulated(descriptor)) return __real_listen(descriptor, backlog);
    return (int)answer(current->listen_on(current->context, descriptor));
}

int __wrap_epoll_ctl(int epoll, int operation, int descriptor, struct epoll_event *event) {
    if (!is_simulated(epoll)) return __real_epoll_ctl(epoll, operation, descriptor, event);
    return (int)answer(current->control(
        current->context, operation, descriptor, event ? event->events : 0, event ? event->data.u64 : 0));
}

int __wrap_epoll_wait(int epoll, struct epoll_event *events, int capacity, int milliseconds) {
    if (!is_simulated(epoll)) return __real_epoll_wait(epoll, events, capacity, milliseconds);
    return (int)answer(current->wait(current->context, events, capacity, milliseconds));
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *time) {
    if (!current) return __real_clock_gettime(clock, time);
    uint64_t now = current->nanoseconds(current->context, (int)clock);
    time->tv_sec = (time_t)(now / 1000000000);
    time->tv_nsec = (long)(now % 1000000000);
    return 0;
}

// The calls that the reactor makes by their numbers.
long __wrap_syscall(long number, ...) {
    long given[6];
    va_list list;
    va_start(list, number);
    for (int index = 0; index < 6; index++) given[index] = va_arg(list, long);
    va_end(list);
    switch (number) {
        case SYS_recvfrom: return __wrap_recv((int)given[0], (void *)given[1], (size_t)given[2], (int)given[3]);
        case SYS_sendto: return __wrap_send((int)given[0], (const void *)given[1], (size_t)given[2], (int)given[3]);
#ifdef SYS_epoll_wait
        case SYS_epoll_wait:
#else
        case SYS_epoll_pwait:
#endif
            return __wrap_epoll_wait((int)given[0], (struct epoll_event *)given[1], (int)given[2], (int)given[3]);
        default: return __real_syscall(number, given[0], given[1], given[2], given[3], given[4], given[5]);
    }
}
