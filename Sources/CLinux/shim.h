#pragma once
// What the Glibc module leaves out: GNU and Linux calls.
// _GNU_SOURCE stays undefined: it changes fd_set, and then this module and Foundation's cannot be imported together.
#include <sys/epoll.h>
#include <sys/eventfd.h>
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

// accept4 is a GNU extension that is declared only under _GNU_SOURCE, which a module may have been built without.
extern int accept4(int descriptor, struct sockaddr *address, socklen_t *length, int flags);

// For running a command with nothing of ours but its arguments (the agent's fact probes).
extern int pipe2(int ends[2], int flags);
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);
extern int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *actions, const char *folder);

// Exported by glibc, declared only by libcap (capabilities(7)).
extern int capget(struct __user_cap_header_struct *header, struct __user_cap_data_struct *data);
extern int capset(struct __user_cap_header_struct *header, const struct __user_cap_data_struct *data);
