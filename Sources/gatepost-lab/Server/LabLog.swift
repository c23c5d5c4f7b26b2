/// The lab's log: one JSON object a line on standard output, written whole.

import Glibc
import JSON
import Synchronization

final class LabLog: Sendable {
    private let isSilent: Bool
    private let order = Mutex<Void>(())

    init(isSilent: Bool = false) { self.isSilent = isSilent }

    func write(_ members: [(String, JSONValue)]) {
        guard !isSilent else { return }
        let line = JSONValue.object(JSONObject(members)).serialized() + [10]
        order.withLock { _ in
            // A reader that is gone loses its log, nothing else.
            _ = line.withUnsafeBytes { Glibc.write(1, $0.baseAddress, $0.count) }
        }
    }
}
