public import Border
import Glibc
import Synchronization

/// The reactors as the control plane sees them. `DataPlane` is behind it; tests use a recorder.
public protocol Reactors: Sendable {
    /// The ordinary lane of one reactor; waits while it is full, up to the reactor's own deadline.
    func send(_ message: ToReactor, to reactor: Int)
    /// The lane that never drops, to every reactor.
    func revoke(_ revocation: Revocation)
    /// A new configuration for every reactor.
    func configure(_ snapshot: GatewaySnapshot)
}

/// Numbers revocations. A session record carries the number it was loaded at; a reactor uses it only after it has
/// applied every later one, so a load that raced with a revocation cannot bring a session back.
final class Revocations: Sendable {
    private let last = Mutex<UInt64>(0)
    private let reactors: any Reactors

    init(reactors: any Reactors) { self.reactors = reactors }

    /// The sequence that a record must carry when its loading begins now.
    var sequence: UInt64 { last.withLock { $0 } }

    /// Sends under the lock, so that every reactor's lane sees the numbers in order.
    func send(_ effects: [Revocation.Effect], eventNanoseconds: UInt64 = monotonicNanoseconds()) {
        last.withLock { last in
            for effect in effects {
                last += 1
                reactors.revoke(
                    Revocation(sequence: last, eventNanoseconds: eventNanoseconds, effect: effect))
            }
        }
    }
}

/// Nanoseconds of the host's monotonic clock.
public func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
