import CLinux
import Glibc
import Synchronization

/// Whether reactors still make turns, and where one is that does not.
///
/// A reactor in an endless loop can say nothing by itself: it is interrupted by a signal to its thread, whose handler
/// notes what it works on.
public enum Liveness {
    /// Where a reactor may hang, by the number that stands for it in memory that two programs share. Never renumbered.
    static let stages: [String] = [
        "unknown", "proxy-header", "handshake", "http2", "request-head", "parked", "request-body",
        "upstream-connect", "forwarding", "tunnel", "lingering", "upstream-or-timers",
    ]
    /// What the handler noted last, plus one; 0: nothing yet.
    private static let noted = Atomic<UInt64>(0)

    /// The name of a stage; what is no stage's number is unknown.
    public static func name(ofStage number: UInt64) -> String {
        number < UInt64(stages.count) ? stages[Int(number)] : stages[0]
    }

    /// Lets reactors of this process be interrupted. Call before they start.
    public static func prepare() {
        var action = sigaction()
        action.sa_flags = SA_RESTART
        action.__sigaction_handler.sa_handler = { _ in Liveness.note() }
        sigaction(SIGUSR2, &action, nil)
    }

    /// On a reactor's own thread: whoever made it may have blocked every signal, as the queues of libdispatch do.
    static func enter() {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGUSR2)
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
    }

    /// In the handler: no allocation, no lock.
    private static func note() {
        let problem = errno
        let stage = CrashNotes.current.map { $0._withUnsafeGuaranteedRef { $0.stageNumber } } ?? 0
        // A head that a reactor never ends with is refused by the next process, like one that it traps at.
        CrashNotes.note()
        noted.store(stage + 1, ordering: .releasing)
        errno = problem
    }

    /// Interrupts the thread of a reactor that hangs, and waits until it has said where.
    ///
    /// - Parameter milliseconds: at most so long.
    static func interrupt(_ thread: pthread_t, milliseconds: Int) -> UInt64 {
        noted.store(0, ordering: .releasing)
        guard pthread_kill(thread, SIGUSR2) == 0 else { return 0 }
        for _ in 0..<milliseconds {
            let number = noted.load(ordering: .acquiring)
            if number > 0 { return number - 1 }
            // Once in the life of a process: nothing could wake whoever waits for a handler but a second signal.
            usleep(1_000)
        }
        return 0
    }
}

extension DataPlaneEngine {
    /// A reactor that has been in one turn for longer than it may.
    public struct Hung: Sendable {
        /// Its number.
        public var reactor: Int
        /// How long its turn lasts.
        public var milliseconds: Int64
        /// When it began, on the monotonic clock.
        public var beganNanoseconds: UInt64
    }

    /// The reactor that has been in one turn for longest, when that is too long; nil: all of them go on, or wait.
    public func hung(afterMilliseconds bound: Int64) -> Hung? {
        let now = Clock.monotonicNanoseconds()
        var found: Hung?
        for (number, mark) in marks.enumerated() {
            let began = mark.beganNanoseconds
            guard began != 0, now > began else { continue }
            let milliseconds = Int64((now - began) / 1_000_000)
            guard milliseconds >= bound, milliseconds > found?.milliseconds ?? 0 else { continue }
            found = Hung(reactor: number, milliseconds: milliseconds, beganNanoseconds: UInt64(began))
        }
        return found
    }

    /// Where a reactor that hangs is, by number; see `Liveness.name(ofStage:)`. A request head that it works on is
    /// refused by this process's successors from then on.
    public func stage(of reactor: Int) -> UInt64 {
        guard let thread = CrashNotes.thread(of: reactor) else { return 0 }
        return Liveness.interrupt(thread, milliseconds: 200)
    }
}

extension Reactor {
    /// In a signal's handler on the reactor's own thread.
    fileprivate var stageNumber: UInt64 {
        let slot = state.pointee.served
        guard slot >= 0, downstreams.isInUse(slot) else { return 11 }
        switch downstreams[slot].pointee.phase {
        case .proxyHeader: return 1
        case .handshaking: return 2
        case .multiplexing: return 3
        case .head: return 4
        case .parked: return 5
        case .collecting: return 6
        case .connecting: return 7
        case .forwarding: return 8
        case .tunnel: return 9
        case .lingering: return 10
        }
    }

    #if DEBUG
        /// For tests of what happens then: never ends with a head that has this word in it.
        nonisolated(unsafe) private static let hangWord = getenv("GATEPOST_HANG_AT")
        func hangWhereAsked(_ slot: Int32) {
            guard let word = Self.hangWord else { return }
            let bytes = downstreams[slot].pointee.input.bytes
            guard memmem(bytes.baseAddress, bytes.count, word, strlen(word)) != nil else { return }
            while !state.pointee.isEnded {}
        }
    #endif
}
