import CLinux
import Glibc
import Synchronization

/// An eventfd that many may signal and one waits on; signals before the wait are collected into one.
final class Wake: Sendable {
    let descriptor: Int32
    private let isSignalled = Atomic<Bool>(false)

    init() throws {
        descriptor = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
        guard descriptor >= 0 else { throw ListenError(what: "eventfd: \(String(cString: strerror(errno)))") }
    }

    deinit { _ = close(descriptor) }

    /// Whether somebody signalled since the last `clear`. A look costs one load.
    var hasSignal: Bool { isSignalled.load(ordering: .acquiring) }

    /// Signals unless a signal is already on its way.
    func signal() {
        guard !isSignalled.exchange(true, ordering: .acquiringAndReleasing) else { return }
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }

    /// Takes the signal back. Call before looking into the queue, or an element that arrives in between is
    /// missed.
    func clear() {
        // Read even when no signal is noted: its writer may have been between noting and writing, and an
        // unread count would keep the descriptor readable for ever.
        var count: UInt64 = 0
        _ = read(descriptor, &count, 8)
        isSignalled.store(false, ordering: .sequentiallyConsistent)
    }
}
