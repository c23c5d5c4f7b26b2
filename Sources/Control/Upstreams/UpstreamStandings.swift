import Border
import JSON
import Synchronization

/// How the applications' endpoints fare, as the reactors have told; what nobody has told of is well.
final class UpstreamStandings: Sendable {
    private struct Entry {
        var byReactor: [UInt16: UpstreamNews] = [:]
        /// What the event log says.
        var logged = UpstreamNews.Standing.healthy
    }
    private struct Name: Hashable {
        var application: String
        var endpoint: String
    }
    private let entries = Mutex<[Name: Entry]>([:])

    /// Takes what a reactor tells.
    ///
    /// - Returns: whether the endpoint's standing is new; all reactors find out about the same thing, one event tells
    ///   it.
    func take(_ news: UpstreamNews) -> Bool {
        entries.withLock { entries in
            let name = Name(application: news.application, endpoint: news.endpoint)
            var entry = entries[name] ?? Entry()
            guard news.standing != .removed else {
                entry.byReactor[news.reactor] = nil
                entries[name] = entry.byReactor.isEmpty ? nil : entry
                return false
            }
            entry.byReactor[news.reactor] = news
            // That a check is about to be made is no news.
            guard news.standing != .probing else {
                entries[name] = entry
                return false
            }
            let isNew = entry.logged != news.standing
            entry.logged = news.standing
            entries[name] = entry
            return isNew
        }
    }

    /// The gravest standing that any reactor has told, and how many reactors told it.
    func standing(_ application: String, _ endpoint: String) -> (news: UpstreamNews, reactors: Int)? {
        let all = entries.withLock { $0[Name(application: application, endpoint: endpoint)]?.byReactor }
        guard let all, let gravest = all.values.max(by: { Self.gravity($0) < Self.gravity($1) }) else {
            return nil
        }
        return (gravest, all.values.count { $0.standing == gravest.standing })
    }

    private static func gravity(_ news: UpstreamNews) -> Int {
        switch news.standing {
        case .healthy, .removed: 0
        case .probing: 1
        case .ejected: 2
        case .unhealthy: 3
        }
    }
}

extension UpstreamAddress {
    /// As reactors name it: `address:port`, IPv6 in brackets.
    var text: String { address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)" }
}

extension ControlPlane {
    /// An endpoint's standing has changed at one reactor.
    func take(_ news: UpstreamNews) {
        guard upstreamStandings.take(news) else { return }
        var members: [(String, JSONValue)] = [
            ("application", .string(news.application)), ("endpoint", .string(news.endpoint)),
            ("standing", .string(news.standing.rawValue)),
        ]
        if let why = news.why { members.append(("why", .string(why))) }
        if let until = news.untilSeconds { members.append(("until", .integer(until))) }
        EventLog.write("upstream", members)
    }
}
