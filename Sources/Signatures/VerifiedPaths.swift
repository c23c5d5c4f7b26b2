import Synchronization

/// Paths up to one authority that were verified lately: a device that proves itself again sends the same certificates,
/// and reading and verifying them costs more than its own signature does.
///
/// An authority keeps its own, so another authority, or the same one configured anew, knows none of them. Only what was
/// verified is kept, so nobody without a device's certificate can fill this; and nothing of it is about revocation,
/// which is asked of every path that is handed out.
final class VerifiedPaths: Sendable {
    /// Paths are kept in two halves of this many together; a few kilobytes each.
    static let pathsMax = 4_096

    /// A path and the seconds at which every certificate of it is valid, the authority's own included.
    struct Entry: Sendable {
        var path: VerifiedPath
        var validSeconds: Range<Int64>
    }

    private struct State {
        var young: [[UInt8]: Entry] = [:]
        /// What was young before; what is asked for again becomes young again, the rest goes.
        var old: [[UInt8]: Entry] = [:]

        mutating func keep(_ entry: Entry, as name: [UInt8]) {
            if young.count >= VerifiedPaths.pathsMax / 2 { (old, young) = (young, [:]) }
            young[name] = entry
        }
    }

    private let state = Mutex(State())

    /// How many are kept.
    var count: Int { state.withLock { $0.young.count + $0.old.count } }

    /// The digest of certificates in their order. Each after its length: other certificates of the same bytes in a row
    /// are others.
    static func name(of chainDER: [[UInt8]]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(chainDER.reduce(0) { $0 + 4 + $1.count })
        for der in chainDER {
            for shift in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: der.count >> shift)) }
            bytes += der
        }
        return Digest.sha256(bytes)
    }

    /// nil: not known, or not at that moment.
    func path(_ name: [UInt8], nowSeconds: Int64) -> VerifiedPath? {
        state.withLock { state in
            if let entry = state.young[name] {
                return entry.validSeconds.contains(nowSeconds) ? entry.path : nil
            }
            guard let entry = state.old.removeValue(forKey: name) else { return nil }
            state.keep(entry, as: name)
            return entry.validSeconds.contains(nowSeconds) ? entry.path : nil
        }
    }

    /// Keeps what was just verified; a window that is empty is kept nowhere.
    func keep(_ entry: Entry, as name: [UInt8]) {
        guard !entry.validSeconds.isEmpty else { return }
        state.withLock { state in
            state.old[name] = nil
            state.keep(entry, as: name)
        }
    }
}
