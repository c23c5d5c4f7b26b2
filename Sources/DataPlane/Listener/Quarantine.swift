import Border
import CLinux
import Glibc
import HTTP

/// Heads that a process died of, in memory that outlives it: whoever sends one again is refused by its successor.
///
/// The memory is the supervisor's (memfd_create(2)): two words of key, one that counts, then pairs of a digest and the
/// second until which it counts. A digest is keyed (SipHash-2-4), so nobody can make one that is somebody else's head.
/// What is covered: a request whose head waits in a connection while its reactor traps, at any step up to its
/// forwarding. Not covered: bodies, frames, answers of upstreams, a kill from outside, and a stack that is used up.
public struct Quarantine: @unchecked Sendable {
    // Unchecked because the words are raw shared memory: written in a dying process, read by the next one.
    private let words: UnsafeMutablePointer<UInt64>
    static let entriesMax = 32
    static let seconds: Int64 = 600
    /// Of the memory.
    public static let bytes = (3 + 2 * entriesMax) * 8

    /// A signal handler is given nothing: what it needs is found here. Set once, before reactors are started.
    nonisolated(unsafe) private(set) static var current: Quarantine?

    /// - Returns: a descriptor of new memory with a key of its own; nil: the system has none left.
    public static func makeMemory() -> Int32? {
        let descriptor = memfd_create("gatepost-quarantine", 3)  // MFD_CLOEXEC | MFD_ALLOW_SEALING
        guard descriptor >= 0 else { return nil }
        var random = SystemRandomNumberGenerator()
        let key = [random.next(), random.next()] as [UInt64]
        // F_ADD_SEALS: F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW. Whoever maps it never loses it.
        guard ftruncate(descriptor, bytes) == 0, pwrite(descriptor, key, 16, 0) == 16,
            fcntl(descriptor, 1_033, 0x7 as Int32) == 0
        else {
            close(descriptor)
            return nil
        }
        return descriptor
    }

    /// Uses the memory behind a descriptor, for every reactor of this process, and notes in it what they die of.
    ///
    /// - Returns: how many heads are refused at this moment; nil: it is no such memory.
    public static func use(_ descriptor: Int32) -> Int? {
        guard let found = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0),
            found != MAP_FAILED
        else { return nil }
        let quarantine = Quarantine(words: found.bindMemory(to: UInt64.self, capacity: bytes / 8))
        current = quarantine
        var action = sigaction()
        // Once: on its return the instruction traps again, and then the process ends by that signal.
        action.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND)) | SA_NODEFER
        action.__sigaction_handler.sa_handler = { _ in CrashNotes.note() }
        for number in [SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGABRT] { sigaction(number, &action, nil) }
        return quarantine.count(nowSeconds: Int64(time(nil)))
    }

    func count(nowSeconds: Int64) -> Int {
        (0..<Self.entriesMax).count { Int64(bitPattern: words[4 + 2 * $0]) > nowSeconds }
    }

    func add(_ digest: UInt64, nowSeconds: Int64) {
        let index = Int(words[2] % UInt64(Self.entriesMax))
        words[2] &+= 1
        words[3 + 2 * index] = digest
        words[4 + 2 * index] = UInt64(bitPattern: nowSeconds + Self.seconds)
    }

    func holds(_ digest: UInt64, nowSeconds: Int64) -> Bool {
        for index in 0..<Self.entriesMax where words[3 + 2 * index] == digest {
            if Int64(bitPattern: words[4 + 2 * index]) > nowSeconds { return true }
        }
        return false
    }

    /// Of the head at the start of `bytes`, with its empty line; of all of them while that has not come.
    func digest(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt64 {
        var end = bytes.count
        var index = 0
        while index + 3 < bytes.count {
            if bytes[index] == 13, bytes[index + 1] == 10, bytes[index + 2] == 13, bytes[index + 3] == 10 {
                end = index + 4
                break
            }
            index += 1
        }
        var hash = SipHash(words[0], words[1])
        hash.add(UnsafeBufferPointer(rebasing: bytes[..<end]))
        return hash.finish(count: end)
    }
}

/// SipHash-2-4 (Aumasson and Bernstein, 2012), without an allocation: it runs in a dying process.
struct SipHash {
    private var v0, v1, v2, v3: UInt64
    private var tail: UInt64 = 0

    init(_ k0: UInt64, _ k1: UInt64) {
        v0 = k0 ^ 0x736f_6d65_7073_6575
        v1 = k1 ^ 0x646f_7261_6e64_6f6d
        v2 = k0 ^ 0x6c79_6765_6e65_7261
        v3 = k1 ^ 0x7465_6462_7974_6573
    }

    /// Adds everything. Call once.
    mutating func add(_ bytes: UnsafeBufferPointer<UInt8>) {
        var word: UInt64 = 0
        var filled: UInt64 = 0
        for byte in bytes {
            word |= UInt64(byte) << (8 * filled)
            filled += 1
            guard filled == 8 else { continue }
            compress(word)
            word = 0
            filled = 0
        }
        tail = word
    }

    mutating func finish(count: Int) -> UInt64 {
        compress(tail | UInt64(count & 0xff) << 56)
        v2 ^= 0xff
        for _ in 0..<4 { round() }
        return v0 ^ v1 ^ v2 ^ v3
    }

    private mutating func compress(_ word: UInt64) {
        v3 ^= word
        round()
        round()
        v0 ^= word
    }

    private mutating func round() {
        func turned(_ value: UInt64, _ bits: UInt64) -> UInt64 { value << bits | value >> (64 - bits) }
        v0 &+= v1
        v1 = turned(v1, 13) ^ v0
        v0 = turned(v0, 32)
        v2 &+= v3
        v3 = turned(v3, 16) ^ v2
        v0 &+= v3
        v3 = turned(v3, 21) ^ v0
        v2 &+= v1
        v1 = turned(v1, 17) ^ v2
        v2 = turned(v2, 32)
    }
}

/// Which reactor runs in which thread, for the handler of a trap.
enum CrashNotes {
    private struct Entry {
        var thread: pthread_t
        var reactor: UnsafeRawPointer?
    }
    private static let entriesMax = 256
    // Each reactor's thread writes its own entry, before it serves anybody and after it served everybody.
    nonisolated(unsafe) private static let entries: UnsafeMutablePointer<Entry> = {
        let entries = UnsafeMutablePointer<Entry>.allocate(capacity: entriesMax)
        entries.initialize(repeating: Entry(thread: pthread_self(), reactor: nil), count: entriesMax)
        return entries
    }()

    static func enter(_ reactor: Reactor) {
        guard let quarantine = Quarantine.current else { return }
        entries[Int(reactor.number)] = Entry(
            thread: pthread_self(), reactor: UnsafeRawPointer(Unmanaged.passUnretained(reactor).toOpaque()))
        reactor.state.pointee.hasQuarantine = quarantine.count(nowSeconds: reactor.nowSeconds) > 0
    }

    static func leave(_ number: UInt16) { entries[Int(number)].reactor = nil }

    /// In the handler: no allocation, no lock.
    static func note() { current?._withUnsafeGuaranteedRef { $0.noteHead() } }

    /// The reactor of this thread.
    static var current: Unmanaged<Reactor>? {
        let thread = pthread_self()
        for index in 0..<entriesMax where pthread_equal(entries[index].thread, thread) != 0 {
            if let reactor = entries[index].reactor { return Unmanaged<Reactor>.fromOpaque(reactor) }
        }
        return nil
    }

    static func thread(of number: Int) -> pthread_t? {
        (0..<entriesMax).contains(number) && entries[number].reactor != nil ? entries[number].thread : nil
    }
}

extension Reactor {
    /// Keeps the digest of the head that was being worked on.
    fileprivate func noteHead() {
        let slot = state.pointee.served
        guard let quarantine = Quarantine.current, slot >= 0, downstreams.isInUse(slot) else { return }
        let connection = downstreams[slot]
        guard connection.pointee.phase == .head || connection.pointee.phase == .collecting,
            !connection.pointee.input.isEmpty
        else { return }
        quarantine.add(quarantine.digest(connection.pointee.input.bytes), nowSeconds: Int64(time(nil)))
    }

    /// Whether a process died of the head at the start of what was read. Asked only where one died of any.
    func isQuarantined(_ slot: Int32) -> Bool {
        guard let quarantine = Quarantine.current else { return false }
        return quarantine.holds(
            quarantine.digest(downstreams[slot].pointee.input.bytes), nowSeconds: nowSeconds)
    }

    #if DEBUG
        /// For tests of what happens then: traps at a head with this word in it.
        nonisolated(unsafe) private static let trapWord = getenv("GATEPOST_TRAP_AT")
        func trapWhereAsked(_ slot: Int32) {
            hangWhereAsked(slot)
            guard let word = Self.trapWord else { return }
            let bytes = downstreams[slot].pointee.input.bytes
            guard memmem(bytes.baseAddress, bytes.count, word, strlen(word)) == nil else {
                preconditionFailure("asked to trap")
            }
        }
    #endif
}
