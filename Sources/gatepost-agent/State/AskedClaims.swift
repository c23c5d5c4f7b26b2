import JSON
import Synchronization

/// What a gateway asked for last, kept for the person who wants to know: `gatepost-agent facts` is another
/// process. Written only when the list changes.
final class AskedClaims: Sendable {
    static let fileName = "asked.json"

    private let folder: StateFolder
    private let last: Mutex<[String]?>

    init(folder: StateFolder) {
        self.folder = folder
        last = Mutex(Self.read(folder))
    }

    /// - Parameter names: of a challenge that a pinned key signed.
    func note(_ names: [String]) {
        let isNew = last.withLock { last in
            defer { last = names }
            return last != names
        }
        // A full disk costs nothing but this convenience.
        if isNew { try? folder.write(Self.fileName, JSONValue.array(names.map { .string($0) }).serialized()) }
    }

    /// nil: it has not asked yet.
    static func read(_ folder: StateFolder) -> [String]? {
        guard let bytes = try? folder.read(fileName), let value = try? JSONValue(parsing: bytes) else {
            return nil
        }
        return value.array?.compactMap(\.string)
    }
}
