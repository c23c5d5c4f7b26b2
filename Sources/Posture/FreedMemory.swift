import Glibc

/// Memory that is free, but that the allocator keeps for the thread that freed it.
enum FreedMemory {
    private typealias Trim = @convention(c) (Int) -> CInt

    /// malloc_trim(3). By name: Swift's module of the C library leaves it out, and libraries other than glibc have
    /// none.
    private static let trim: Trim? = dlsym(nil, "malloc_trim").map { unsafeBitCast($0, to: Trim.self) }

    /// Gives it to the operating system. Takes some milliseconds with hundreds of megabytes.
    static func giveBack() { _ = trim?(0) }
}
