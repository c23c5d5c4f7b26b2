import CLinux
import Glibc
import Synchronization

/// Signs of life of data processes, in memory of the supervisor (memfd_create(2)): a process that hangs cannot say so,
/// and one that is stopped says nothing.
///
/// Two words for each life: a count that grows, and where a reactor hangs. The data process writes its own; what the
/// supervisor reads there it compares, and nothing more.
final class Beats: Sendable {
    private static let lives = 256
    private static let bytes = lives * 16
    /// Set in the second word: a reactor hangs. The stage is in the lower half.
    private static let hungFlag: UInt64 = 1 << 32

    let descriptor: Int32

    /// Takes the descriptor over.
    /// - Returns: nil: it is no such memory.
    init?(adopting descriptor: Int32) {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_size >= Self.bytes else { return nil }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    static func make() -> Beats? {
        let descriptor = memfd_create("gatepost-beats", 3)  // MFD_CLOEXEC | MFD_ALLOW_SEALING
        guard descriptor >= 0 else { return nil }
        // F_ADD_SEALS: F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW. A process that was taken over spoils no later one's.
        guard ftruncate(descriptor, bytes) == 0, fcntl(descriptor, 1_033, 0x7 as Int32) == 0,
            let beats = Beats(adopting: descriptor)
        else {
            close(descriptor)
            return nil
        }
        return beats
    }

    /// The next sign of life.
    func beat(_ life: UInt8, _ count: UInt64) { put([count, 0], life) }

    /// No further sign: a reactor hangs there.
    func hang(_ life: UInt8, _ count: UInt64, stage: UInt64) { put([count, Self.hungFlag | stage], life) }

    /// A life begins where another one may have been.
    func clear(_ life: UInt8) { put([0, 0], life) }

    /// How many signs came, and where a reactor hangs; nil: none does, as far as the process knows.
    func read(_ life: UInt8) -> (count: UInt64, hangsAt: UInt64?) {
        var words: [UInt64] = [0, 0]
        guard pread(descriptor, &words, 16, Int(life) * 16) == 16 else { return (0, nil) }
        return (words[0], words[1] & Self.hungFlag == 0 ? nil : words[1] & 0xffff_ffff)
    }

    private func put(_ words: [UInt64], _ life: UInt8) { _ = pwrite(descriptor, words, 16, Int(life) * 16) }
}

/// When a process that gives no sign of life counts as hung: after so many looks, a second apart, that all saw the same
/// count. Looks and not times, so that a host that was suspended, or a clock that jumps, ends nobody.
struct Watch {
    static let lookMilliseconds: Int64 = 1_000
    static let looksMax = 10
    private var count: UInt64 = 0
    private var same = 0

    /// - Returns: whether it has given none for too long.
    mutating func look(_ seen: UInt64) -> Bool {
        same = seen == count ? same + 1 : 0
        count = seen
        return same >= Self.looksMax
    }
}
