#pragma once
// What a process gives up for good: system calls (seccomp(2)), files (landlock(7)) and capabilities (capabilities(7)).
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#if __has_include(<linux/landlock.h>)
#include <linux/landlock.h>
#endif

#if defined(__x86_64__)
#define GATEPOST_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define GATEPOST_ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#define GATEPOST_DENY(number) \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), \
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)

// What no program that this process might become can have (capabilities(7)). Without CAP_SETPCAP nothing changes: who
// is no root has `no_new_privs` for it.
static inline void gatepost_drop_capability_bounds(void) {
    for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0UL, 0UL, 0UL) >= 0; capability++)
        (void)prctl(PR_CAPBSET_DROP, capability, 0UL, 0UL, 0UL);
}

// All capabilities of this thread and of those that it makes; root's are no more than anybody's then. Returns 0, or the
// errno of what failed.
static inline int gatepost_drop_capabilities(void) {
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0, 0, 0 }, { 0, 0, 0 } };
    // A kernel without ambient ones has none to give up.
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0UL, 0UL, 0UL);
    return capset(&header, none) == 0 ? 0 : errno;
}

// For all threads at once (SECCOMP_FILTER_FLAG_TSYNC). Returns 0, or the errno of what failed.
static inline int gatepost_install_filter(struct sock_filter *filter, size_t count) {
    struct sock_fprog program = { (unsigned short)count, filter };
    long result = syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
    return result == 0 ? 0 : (result > 0 ? EBUSY : errno);
}

// Refuses what neither plane ever asks for and what a break-in would ask for first: other programs and processes,
// other processes' memory, mounts, modules, other users, tracing, io_uring. A list of what is refused and not of what
// is allowed: libc, OpenSSL and libcurl change their calls with every version.
// Returns 0, or the errno of what failed.
static inline int gatepost_filter_system_calls(void) {
#ifdef GATEPOST_ARCHITECTURE
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, GATEPOST_ARCHITECTURE, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, nr)),
#if defined(__x86_64__)
        // The x32 numbers are a second set of the same calls.
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        GATEPOST_DENY(__NR_fork),
        GATEPOST_DENY(__NR_vfork),
        GATEPOST_DENY(__NR_modify_ldt),
        GATEPOST_DENY(__NR_iopl),
        GATEPOST_DENY(__NR_ioperm),
#endif
        GATEPOST_DENY(__NR_execve),
        GATEPOST_DENY(__NR_execveat),
        GATEPOST_DENY(__NR_ptrace),
        GATEPOST_DENY(__NR_process_vm_readv),
        GATEPOST_DENY(__NR_process_vm_writev),
        GATEPOST_DENY(__NR_kcmp),
        GATEPOST_DENY(__NR_pidfd_getfd),
        GATEPOST_DENY(__NR_setuid),
        GATEPOST_DENY(__NR_setgid),
        GATEPOST_DENY(__NR_setreuid),
        GATEPOST_DENY(__NR_setregid),
        GATEPOST_DENY(__NR_setresuid),
        GATEPOST_DENY(__NR_setresgid),
        GATEPOST_DENY(__NR_setgroups),
        GATEPOST_DENY(__NR_setns),
        GATEPOST_DENY(__NR_unshare),
        GATEPOST_DENY(__NR_chroot),
        GATEPOST_DENY(__NR_pivot_root),
        GATEPOST_DENY(__NR_mount),
        GATEPOST_DENY(__NR_umount2),
        GATEPOST_DENY(__NR_move_mount),
        GATEPOST_DENY(__NR_open_tree),
        GATEPOST_DENY(__NR_fsopen),
        GATEPOST_DENY(__NR_fsmount),
        GATEPOST_DENY(__NR_open_by_handle_at),
        GATEPOST_DENY(__NR_init_module),
        GATEPOST_DENY(__NR_finit_module),
        GATEPOST_DENY(__NR_delete_module),
        GATEPOST_DENY(__NR_kexec_load),
        GATEPOST_DENY(__NR_reboot),
        GATEPOST_DENY(__NR_swapon),
        GATEPOST_DENY(__NR_swapoff),
        GATEPOST_DENY(__NR_settimeofday),
        GATEPOST_DENY(__NR_clock_settime),
        GATEPOST_DENY(__NR_bpf),
        GATEPOST_DENY(__NR_perf_event_open),
        GATEPOST_DENY(__NR_userfaultfd),
        GATEPOST_DENY(__NR_io_uring_setup),
        GATEPOST_DENY(__NR_add_key),
        GATEPOST_DENY(__NR_request_key),
        GATEPOST_DENY(__NR_keyctl),
        GATEPOST_DENY(__NR_personality),
        GATEPOST_DENY(__NR_syslog),
        GATEPOST_DENY(__NR_acct),
        // clone3's flags lie in memory, where a filter cannot look: ENOSYS sends libc to clone(2).
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone3, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        // Threads may be made, processes may not (CLONE_THREAD is 0x10000).
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x10000, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    return gatepost_install_filter(filter, sizeof filter / sizeof filter[0]);
#else
    return ENOSYS;
#endif
}

// Besides, for what faces the network: no socket of this machine's own programs, the gateway's administration among
// them, and no signal to another process. Behind `gatepost_filter_system_calls`, which looks at the architecture.
// Returns 0, or the errno of what failed.
static inline int gatepost_filter_neighbours(void) {
#ifdef GATEPOST_ARCHITECTURE
    uint32_t self = (uint32_t)getpid();
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, nr)),
        GATEPOST_DENY(__NR_kill),
        GATEPOST_DENY(__NR_tkill),
        GATEPOST_DENY(__NR_pidfd_open),
        GATEPOST_DENY(__NR_pidfd_send_signal),
        GATEPOST_DENY(__NR_rt_sigqueueinfo),
        GATEPOST_DENY(__NR_rt_tgsigqueueinfo),
        GATEPOST_DENY(__NR_socketpair),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_tgkill, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, self, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        // IPv4 (2) and IPv6 (10) lead to upstreams; all other families are none of ours.
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 2, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 10, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    return gatepost_install_filter(filter, sizeof filter / sizeof filter[0]);
#else
    return ENOSYS;
#endif
}

// From here on this thread, and all that it makes, writes, makes and removes no file, runs none, and reads only below
// `folders`. What is open stays open. Returns 0, or the errno of what failed; ENOSYS and EOPNOTSUPP: not in this kernel.
static inline int gatepost_close_file_system(const char *const *folders, int count) {
#if defined(LANDLOCK_ACCESS_FS_READ_FILE) && defined(__NR_landlock_create_ruleset)
    struct landlock_ruleset_attr handled = { .handled_access_fs = (1ULL << 13) - 1 };
    int rules = (int)syscall(__NR_landlock_create_ruleset, &handled, sizeof handled, 0);
    if (rules < 0) return errno;
    for (int index = 0; index < count; index++) {
        struct landlock_path_beneath_attr below = {
            .allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
            .parent_fd = open(folders[index], 010000000 | O_CLOEXEC), // O_PATH
        };
        if (below.parent_fd < 0) continue;
        (void)syscall(__NR_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &below, 0);
        close(below.parent_fd);
    }
    int failure = syscall(__NR_landlock_restrict_self, rules, 0) == 0 ? 0 : errno;
    close(rules);
    return failure;
#else
    (void)folders; (void)count;
    return ENOSYS;
#endif
}
