#pragma once
// What the Glibc module leaves out: GNU and Linux calls.
// _GNU_SOURCE stays undefined: it changes fd_set, and then this module and Foundation's cannot be imported together.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <sched.h>
#include <fcntl.h>
#include <unistd.h>
#include <string.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <sys/random.h>
#include <spawn.h>
#include <linux/capability.h>
#include "calls.h"
#include "confinement.h"

// accept4 is a GNU extension that is declared only under _GNU_SOURCE, which a module may have been built without.
extern int accept4(int descriptor, struct sockaddr *address, socklen_t *length, int flags);

// For running a command with nothing of ours but its arguments (the agent's fact probes).
extern int memfd_create(const char *name, unsigned int flags);
extern void *memmem(const void *in, size_t length, const void *word, size_t size);
extern int pipe2(int ends[2], int flags);
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);
extern int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *actions, const char *folder);

// Exported by glibc, declared only by libcap (capabilities(7)).
extern int capget(struct __user_cap_header_struct *header, struct __user_cap_data_struct *data);
extern int capset(struct __user_cap_header_struct *header, const struct __user_cap_data_struct *data);

// Descriptors that go from one process to another (unix(7), SCM_RIGHTS). The CMSG macros do not import.
#define GATEPOST_DESCRIPTORS_MAX 4

// prctl(2) is variadic, and such functions do not import.
static inline int gatepost_prctl(int option, unsigned long value) { return prctl(option, value, 0UL, 0UL, 0UL); }

// Sends one message with up to GATEPOST_DESCRIPTORS_MAX descriptors; what sendmsg(2) returns.
static inline ssize_t gatepost_send(
    int socket, const void *bytes, size_t length, const int *descriptors, int count) {
    union { char bytes[CMSG_SPACE(sizeof(int) * GATEPOST_DESCRIPTORS_MAX)]; struct cmsghdr align; } room;
    struct iovec part = { (void *)bytes, length };
    struct msghdr message;
    memset(&message, 0, sizeof message);
    memset(&room, 0, sizeof room);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (count > 0 && count <= GATEPOST_DESCRIPTORS_MAX) {
        message.msg_control = room.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
        memcpy(CMSG_DATA(head), descriptors, sizeof(int) * (size_t)count);
    }
    // Never waits: who does not read what it is told must not stop the one who tells it.
    return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

// Receives one message; `count` becomes how many descriptors came with it. What recvmsg(2) returns.
static inline ssize_t gatepost_receive(int socket, void *bytes, size_t length, int *descriptors, int *count) {
    union { char bytes[CMSG_SPACE(sizeof(int) * GATEPOST_DESCRIPTORS_MAX)]; struct cmsghdr align; } room;
    struct iovec part = { bytes, length };
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = room.bytes;
    message.msg_controllen = sizeof room.bytes;
    *count = 0;
    // 0x40000000 is MSG_CMSG_CLOEXEC, which is declared only under _GNU_SOURCE.
    ssize_t received = recvmsg(socket, &message, 0x40000000);
    if (received < 0) return received;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
        int found = (int)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (int index = 0; index < found && *count < GATEPOST_DESCRIPTORS_MAX; index++)
            memcpy(&descriptors[(*count)++], CMSG_DATA(head) + sizeof(int) * (size_t)index, sizeof(int));
    }
    return received;
}
