#pragma once
// The three calls of every turn, by their numbers. libc makes each of them a point at which a thread may be cancelled,
// which costs a program with threads some forty instructions around the call; reactors are never cancelled.
// Results and errno are those of recv(2), send(2) and epoll_wait(2).
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static inline ssize_t gatepost_socket_receive(int descriptor, void *target, size_t capacity) {
    return syscall(SYS_recvfrom, (long)descriptor, target, capacity, 0L, NULL, NULL);
}

static inline ssize_t gatepost_socket_send(int descriptor, const void *bytes, size_t count, int flags) {
    return syscall(SYS_sendto, (long)descriptor, bytes, count, (long)flags, NULL, 0L);
}

static inline int gatepost_epoll_wait(int epoll, struct epoll_event *events, int capacity, int milliseconds) {
#ifdef SYS_epoll_wait
    return (int)syscall(SYS_epoll_wait, (long)epoll, events, (long)capacity, (long)milliseconds, 0L, 0L);
#else
    return (int)syscall(SYS_epoll_pwait, (long)epoll, events, (long)capacity, (long)milliseconds, NULL, 0L);
#endif
}
