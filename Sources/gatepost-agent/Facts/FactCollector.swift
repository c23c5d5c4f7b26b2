import Glibc
import JSON
import Synchronization

/// Every fact of the machine, read at most once a minute, so that a handshake costs one signature.
final class FactCollector: Sendable {
    static let cacheSeconds: Int64 = 60

    private struct Cached {
        var facts: JSONObject
        var collectedAtSeconds: Int64
    }

    private let root: HostRoot
    private let probes: [any FactProbe]
    private let cached = Mutex<Cached?>(nil)

    init(root: HostRoot, probes: [any FactProbe]) {
        self.root = root
        self.probes = probes
    }

    /// The `posture` object and when it was collected.
    func facts(nowSeconds: Int64) -> (facts: JSONObject, collectedAtSeconds: Int64) {
        cached.withLock { cached in
            if let cached, nowSeconds >= cached.collectedAtSeconds,
                nowSeconds - cached.collectedAtSeconds < Self.cacheSeconds
            {
                return (cached.facts, cached.collectedAtSeconds)
            }
            let facts = collect(nowSeconds: nowSeconds)
            cached = Cached(facts: facts, collectedAtSeconds: nowSeconds)
            return (facts, nowSeconds)
        }
    }

    /// Reads everything now.
    func collect(nowSeconds: Int64) -> JSONObject {
        var facts = JSONObject()
        for probe in probes {
            for (name, value) in probe.read(root, nowSeconds: nowSeconds) where facts[name] == nil {
                facts[name] = value
            }
        }
        return facts
    }
}
