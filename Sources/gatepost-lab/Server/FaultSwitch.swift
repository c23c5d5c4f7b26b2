/// Wilful misbehaviour, switched on by name over `POST /lab/faults`.

import JSON
import Synchronization

/// The faults of one site. `Name` lists all there are, so that an unknown name is refused with the list.
final class FaultSwitch<Name>: Sendable
where Name: RawRepresentable<String> & CaseIterable & Hashable & Sendable {
    struct Setting {
        /// How many more times; nil until switched off.
        var timesLeft: Int?
        var milliseconds: Int
        var retryAfterSeconds: Int
    }

    private let active = Mutex<[Name: Setting]>([:])
    private let happened = Mutex<[Name: Int]>([:])

    func activate(_ name: Name, times: Int? = nil, milliseconds: Int = 3000, retryAfterSeconds: Int = 1) {
        active.withLock {
            $0[name] = Setting(
                timesLeft: times, milliseconds: milliseconds, retryAfterSeconds: retryAfterSeconds)
        }
    }

    func clear() { active.withLock { $0.removeAll() } }

    /// Whether the fault is switched on; does not count.
    func isActive(_ name: Name) -> Bool { active.withLock { $0[name] != nil } }

    /// How often the fault has happened, over everything that was switched: a test that means to see a fault can prove
    /// that there was one.
    func timesHappened(_ name: Name) -> Int { happened.withLock { $0[name] ?? 0 } }

    /// The setting when the fault is to happen now; counts it.
    func fires(_ name: Name) -> Setting? {
        let setting = due(name)
        if setting != nil { happened.withLock { $0[name, default: 0] += 1 } }
        return setting
    }

    private func due(_ name: Name) -> Setting? {
        active.withLock { active in
            guard var setting = active[name] else { return nil }
            if let left = setting.timesLeft {
                setting.timesLeft = left - 1
                active[name] = left > 1 ? setting : nil
            }
            return setting
        }
    }

    /// Answers GET (list), POST (switch on) and DELETE (all off) of `/lab/faults`. `acts` does what a fault
    /// does at once instead of later, and returns true for such a name.
    func answer(_ exchange: Exchange, acts: (Name) -> Bool = { _ in false }) throws -> Response {
        switch exchange.head.method {
        case "GET": return .json(listing)
        case "DELETE":
            clear()
            return .json(listing)
        case "POST":
            guard let value = try? JSONValue(parsing: try exchange.readBody()) else {
                return .json(["error": "the body is not JSON"], status: 400)
            }
            return switchOn(value, acts: acts)
        default: return .json(["error": "GET, POST or DELETE"], status: 405)
        }
    }

    private func switchOn(_ value: JSONValue, acts: (Name) -> Bool) -> Response {
        if value["name"]?.string == "none" {
            clear()
            return .json(listing)
        }
        guard let name = value["name"]?.string.flatMap(Name.init(rawValue:)) else {
            let known = Name.allCases.map { JSONValue.string($0.rawValue) }
            return .json(["error": "unknown fault", "known": .array(known)], status: 400)
        }
        if !acts(name) {
            let milliseconds = min(max(value["milliseconds"]?.integer ?? 3000, 0), 60_000)
            let retryAfter = min(max(value["retryAfter"]?.integer ?? 1, 0), 86_400)
            let times = value["count"]?.integer.map { Int(min(max($0, 1), 1_000_000)) }
            activate(name, times: times, milliseconds: Int(milliseconds), retryAfterSeconds: Int(retryAfter))
        }
        return .json(listing)
    }

    private var listing: JSONValue {
        let names = active.withLock { $0.keys.map(\.rawValue).sorted() }
        return [
            "active": .array(names.map { .string($0) }),
            "known": .array(Name.allCases.map { .string($0.rawValue) }),
        ]
    }
}
