import CLinux
import Control
import Foundation
import Glibc

/// What a process of the gateway does to itself, and how its main thread reaches the control plane.
enum GatewayProcess {
    /// How much the control plane gives way to the reactors where both want a core (nice(2)).
    static let controlPlaneNiceness: Int32 = 5

    /// What ends the gateway. SIGINT only where whoever started it did not ignore it: such a script stops in its own
    /// order. It has to be left out, because an ignored signal that is blocked waits all the same (sigprocmask(2)).
    static let endingSignals: [Int32] = {
        var action = sigaction()
        let isKnown = sigaction(SIGINT, nil, &action) == 0
        let isIgnored = isKnown && unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
        return isIgnored ? [SIGTERM] : [SIGINT, SIGTERM]
    }()

    /// Blocks the signals in every thread that is started later, so that only `sigwait` gets them.
    static func blockSignals() {
        var set = sigset_t()
        sigemptyset(&set)
        for number in endingSignals + [SIGHUP] { sigaddset(&set, number) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    /// Two descriptors per proxied connection: the soft limit of most systems (1,024) would be the first bound met.
    static func raiseDescriptorLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    /// Every thread takes the niceness of the one that made it, so all that is made from here on gives way: the pool
    /// of the control plane, libcurl's and SQLite's threads. A big synchronisation then costs the requests nothing.
    static func stepBack() {
        setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, controlPlaneNiceness)
        forgoRaisingPriority()
    }

    /// Takes the right to a higher priority (capabilities(7), CAP_SYS_NICE) from this thread and all that come from it.
    /// libdispatch gives its threads a niceness by their quality of service: as root it would put the store's threads
    /// four steps above the reactors. Without root there is nothing to take.
    static func forgoRaisingPriority() {
        var header = __user_cap_header_struct(version: UInt32(_LINUX_CAPABILITY_VERSION_3), pid: 0)
        var sets = [__user_cap_data_struct](repeating: .init(), count: Int(_LINUX_CAPABILITY_U32S_3))
        guard capget(&header, &sets) == 0 else { return }
        sets[0].effective &= ~(1 << UInt32(CAP_SYS_NICE))
        sets[0].permitted &= ~(1 << UInt32(CAP_SYS_NICE))
        _ = capset(&header, &sets)
    }

    /// Runs control-plane work from this thread, which belongs to no pool.
    static func wait(_ work: @escaping @Sendable () async throws -> Void) throws {
        let done = DispatchSemaphore(value: 0)
        let outcome = Outcome()
        Task.detached {
            do { try await work() } catch { outcome.set(error) }
            done.signal()
        }
        done.wait()
        if let error = outcome.error { throw error }
    }

    /// Reads the configuration again and says what came of it.
    static func reload(_ control: ControlPlane) {
        do {
            try wait {
                let outcome = try await control.reload()
                let held = outcome.remark.map { "; \($0)" } ?? ""
                let changes = outcome.changes.map { "\n  \($0)" }.joined()
                ConfigurationFile.report("gatepost: configuration reloaded\(held)\(changes)")
            }
        } catch {
            ConfigurationFile.report("gatepost: configuration not taken:\n\(error)")
        }
    }
}

/// The error of one piece of work, handed from its task to the waiting thread.
private final class Outcome: Sendable {
    private let value = LockedValue<(any Error)?>(nil)
    var error: (any Error)? { value.get() }
    func set(_ error: any Error) { value.set(error) }
}
