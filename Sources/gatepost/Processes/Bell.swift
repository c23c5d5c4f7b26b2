import CLinux
import Glibc

/// Wakes a thread that polls its descriptor (eventfd(2)); rings that come before it looks are one.
final class Bell: Sendable {
    let descriptor: Int32

    /// - Returns: nil: the process has no descriptor left.
    init?() {
        descriptor = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
        guard descriptor >= 0 else { return nil }
    }

    deinit { close(descriptor) }

    func ring() {
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }

    /// Call before looking at what the bell was rung for.
    func clear() {
        var count: UInt64 = 0
        _ = read(descriptor, &count, 8)
    }
}
