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
        /// Only calls of these paths: segments and `*` for any run of characters; nil: every path.
        var path: String?
        /// Of a fault that answers whatever it is told to.
        var status = 500
        /// What such a fault answers with, byte for byte.
        var body: [UInt8] = []
        var contentType = "application/json"
    }

    private let active = Mutex<[Name: Setting]>([:])
    private let happened = Mutex<[Name: Int]>([:])

    func activate(
        _ name: Name, times: Int? = nil, milliseconds: Int = 3000, retryAfterSeconds: Int = 1,
        path: String? = nil
    ) {
        activate(
            name,
            Setting(
                timesLeft: times, milliseconds: milliseconds, retryAfterSeconds: retryAfterSeconds, path: path
            ))
    }

    func activate(_ name: Name, _ setting: Setting) { active.withLock { $0[name] = setting } }

    func clear() { active.withLock { $0.removeAll() } }

    /// Whether the fault is switched on; does not count.
    func isActive(_ name: Name) -> Bool { active.withLock { $0[name] != nil } }

    /// How often the fault has happened, over everything that was switched: a test that means to see a fault can prove
    /// that there was one.
    func timesHappened(_ name: Name) -> Int { happened.withLock { $0[name] ?? 0 } }

    /// The setting when the fault is to happen now; counts it.
    ///
    /// - Parameter path: of the call; nil where a fault is about no call, which those that name paths pass over.
    func fires(_ name: Name, at path: String? = nil) -> Setting? {
        let setting = due(name, path)
        if setting != nil { happened.withLock { $0[name, default: 0] += 1 } }
        return setting
    }

    private func due(_ name: Name, _ path: String?) -> Setting? {
        active.withLock { active in
            guard var setting = active[name] else { return nil }
            if let glob = setting.path, !(path.map { PathGlob.matches(glob, $0) } ?? false) { return nil }
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
            var setting = Setting(
                timesLeft: times, milliseconds: Int(milliseconds), retryAfterSeconds: Int(retryAfter))
            setting.path = value["path"]?.string
            setting.status = Int(min(max(value["status"]?.integer ?? 500, 200), 599))
            setting.body = Array((value["body"]?.string ?? "").utf8)
            setting.contentType = Self.fieldText(value["contentType"]?.string) ?? setting.contentType
            activate(name, setting)
        }
        return .json(listing)
    }

    /// nil for what would write further field lines.
    private static func fieldText(_ text: String?) -> String? {
        text.flatMap { $0.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f } ? $0 : nil }
    }

    private var listing: JSONValue {
        let names = active.withLock { $0.keys.map(\.rawValue).sorted() }
        return [
            "active": .array(names.map { .string($0) }),
            "known": .array(Name.allCases.map { .string($0.rawValue) }),
        ]
    }
}

/// `*` stands for any run of characters, all else for itself.
enum PathGlob {
    static func matches(_ glob: String, _ path: String) -> Bool {
        let parts = glob.split(separator: "*", omittingEmptySubsequences: false).map { Array($0.utf8) }
        let bytes = Array(path.utf8)
        guard parts.count > 1 else { return parts[0] == bytes }
        guard bytes.starts(with: parts[0]) else { return false }
        var place = parts[0].count
        for part in parts[1..<(parts.count - 1)] {
            guard let found = (place...bytes.count).first(where: { bytes[$0...].starts(with: part) }) else {
                return false
            }
            place = found + part.count
        }
        let last = parts[parts.count - 1]
        return bytes.count - place >= last.count && bytes.suffix(last.count).elementsEqual(last)
    }
}
