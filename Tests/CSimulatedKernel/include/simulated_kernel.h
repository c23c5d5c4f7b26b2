#pragma once
// The seam of the simulation: the linker sends every call below to `__wrap_…` (Package.swift, `--wrap`), which asks the
// simulated kernel of the calling thread, or, where there is none, the real one. The product's sources know nothing of
// it and are the ones that ship.
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

// Descriptors from here on are simulated; a process has none of that number.
#define SIMULATED_DESCRIPTORS_FROM (1 << 24)

// What a simulated kernel answers. Every function gets `context` first; a negative answer is minus errno.
struct simulated_kernel {
    void *context;
    int (*make_socket)(void *context);
    int (*make_event)(void *context);
    int (*make_epoll)(void *context);
    int (*connect_to)(void *context, int descriptor, uint16_t port);
    int (*accept_on)(void *context, int descriptor);
    ssize_t (*receive)(void *context, int descriptor, void *target, size_t capacity);
    ssize_t (*transmit)(void *context, int descriptor, const void *source, size_t count);
    int (*end_writing)(void *context, int descriptor);
    int (*close_it)(void *context, int descriptor);
    int (*take_error)(void *context, int descriptor);
    int (*listen_on)(void *context, int descriptor);
    int (*control)(void *context, int operation, int descriptor, uint32_t events, uint64_t token);
    int (*wait)(void *context, struct epoll_event *events, int capacity, int milliseconds);
    uint64_t (*nanoseconds)(void *context, int clock);
};

// Gives the calling thread a kernel; NULL takes it away again. `kernel` stays the caller's.
void simulated_kernel_enter(const struct simulated_kernel *kernel);

// OpenSSL's random bytes go by way of the seed of the calling thread, where it has one. Install once per process.
void simulated_random_install(void);
void simulated_random_seed(uint64_t seed);
void simulated_random_end(void);
