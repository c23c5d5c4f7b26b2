import Foundation
import Glibc
import Synchronization

/// What the agent tells the journal: one line when something happens for the first time, then at most one a
/// minute for each gateway and reason, with a count. A page that asks in a loop, or a stranger who scans
/// ports, fills no disk.
final class EventLog: Sendable {
    static let quietMilliseconds: Int64 = 60_000

    /// The closed set of outcomes; the words of refusals are the product's reasons.
    enum Event: Sendable, Hashable {
        case answered
        /// Refused with its reason, to an enrolled gateway's page or for want of room.
        case refused(String)
        /// Refused without a word.
        case stranger

        /// syslog(3): notice for what somebody may want to look at.
        var level: Int {
            switch self {
            case .answered: 6
            case .refused, .stranger: 5
            }
        }
    }

    private struct Key: Hashable {
        var event: Event
        var gateway: String?
    }

    private struct Tally {
        var count = 0
        var spokenAtMilliseconds: Int64
    }

    private let tallies = Mutex<[Key: Tally]>([:])
    private let write: @Sendable (String) -> Void
    private let hasPrefix: Bool

    /// - Parameters:
    ///   - hasPrefix: lines begin with `<level>`, which systemd's journal reads (sd-daemon(3)).
    ///   - write: takes one line without its end.
    init(hasPrefix: Bool, write: @escaping @Sendable (String) -> Void) {
        self.hasPrefix = hasPrefix
        self.write = write
    }

    /// To standard error, for the journal when that is what stands behind it.
    static let standard = EventLog(
        hasPrefix: ProcessInfo.processInfo.environment["JOURNAL_STREAM"] != nil,
        write: { FileHandle.standardError.write(Data(($0 + "\n").utf8)) })

    /// - Parameter gateway: the origin of the enrolled gateway; nil for strangers.
    func note(_ event: Event, gateway: String?, nowMilliseconds: Int64) {
        let key = Key(event: event, gateway: gateway)
        let count: Int? = tallies.withLock { tallies in
            guard var tally = tallies[key] else {
                tallies[key] = Tally(spokenAtMilliseconds: nowMilliseconds)
                return 1
            }
            tally.count += 1
            defer { tallies[key] = tally }
            guard nowMilliseconds - tally.spokenAtMilliseconds >= Self.quietMilliseconds else { return nil }
            let count = tally.count
            tally.count = 0
            tally.spokenAtMilliseconds = nowMilliseconds
            return count
        }
        if let count { speak(key, count) }
    }

    /// Says what was only counted: each minute, and at the end with `isLast`.
    func flush(nowMilliseconds: Int64, isLast: Bool = false) {
        let due: [(Key, Int)] = tallies.withLock { tallies in
            let due = tallies.filter { key, tally in
                tally.count > 0
                    && (isLast || nowMilliseconds - tally.spokenAtMilliseconds >= Self.quietMilliseconds)
            }
            for key in due.keys { tallies[key] = Tally(spokenAtMilliseconds: nowMilliseconds) }
            return due.map { ($0.key, $0.value.count) }
        }
        for (key, count) in due.sorted(by: { Self.text($0.0, $0.1) < Self.text($1.0, $1.1) }) {
            speak(key, count)
        }
    }

    /// A line about the agent itself, never counted.
    func say(_ text: String, level: Int = 6) {
        // One event is one line, whatever a gateway or a file put into the words of an error.
        let line = String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 ? " " : $0 }))
        write((hasPrefix ? "<\(level)>" : "") + "gatepost-agent: " + line)
    }

    private func speak(_ key: Key, _ count: Int) { say(Self.text(key, count), level: key.event.level) }

    private static func text(_ key: Key, _ count: Int) -> String {
        let event =
            switch key.event {
            case .answered: "event=answered"
            case .refused(let reason): "event=refused reason=\(reason)"
            case .stranger: "event=refused reason=stranger"
            }
        return event + (key.gateway.map { " gateway=\($0)" } ?? "") + " count=\(count)"
    }
}

extension AttestAnswer {
    /// How the log counts this answer; nil for a preflight, which decides nothing.
    var event: EventLog.Event? {
        if let refusal { return .refused(refusal.rawValue) }
        return switch status {
        case 204: nil
        // 303: a navigation goes back to its gateway with the answer.
        case 200, 303: .answered
        default: .stranger
        }
    }
}
