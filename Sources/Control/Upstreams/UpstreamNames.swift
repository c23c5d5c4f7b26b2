import Foundation
import Glibc
import Synchronization

/// Asks a name server, and may take its time: never called on a thread that others wait for.
///
/// - Returns: numeric addresses in any order; empty when there is none, for whatever cause.
public typealias NameLookup = @Sendable (String) -> [String]

/// What the names of upstreams stand for. Only the last good answer counts: a name server that fails, is slow or has
/// nothing to say takes no application away.
final class UpstreamNames: Sendable {
    /// More addresses of one name are not used; which ones does not change with their order.
    static let addressesMax = 64
    /// How long a start or a reload waits for names that were never asked before.
    static let startSeconds = 5.0
    /// Questions at a time. The system's resolver blocks a thread for each.
    private static let questionsMax = 8
    /// A name that nobody has asked about for so long is forgotten. Not at once: a reload learns its names before it is
    /// in force.
    private static let keptSeconds: Int64 = 60

    /// One name.
    struct State: Sendable, Equatable {
        /// Sorted; empty: there never was an answer.
        var addresses: [String] = []
        /// Since when there has been no good answer; nil: the last one was good.
        var failingSinceSeconds: Int64?
        fileprivate var isAsked = false
        fileprivate var askAgainAtSeconds: Int64 = .min
    }

    private let states = Mutex<[String: State]>([:])
    private let lookup: NameLookup
    private let nowSeconds: @Sendable () -> Int64
    private let queue: OperationQueue

    init(lookup: @escaping NameLookup, nowSeconds: @escaping @Sendable () -> Int64) {
        self.lookup = lookup
        self.nowSeconds = nowSeconds
        queue = OperationQueue()
        queue.qualityOfService = .utility
        queue.maxConcurrentOperationCount = Self.questionsMax
    }

    /// nil: never asked.
    func state(of host: String) -> State? { states.withLock { $0[host] } }

    /// A number stands for itself.
    func addresses(of host: String) -> [String] {
        Self.isNumeric(host) ? [host] : states.withLock { $0[host]?.addresses ?? [] }
    }

    /// Waits until each name was asked once, or for `startSeconds`; the others are used when their answers are there.
    func learn(_ hosts: [String]) {
        let all = DispatchGroup()
        for host in Set(hosts) where !Self.isNumeric(host) && state(of: host) == nil {
            all.enter()
            ask(host, every: 1) { all.leave() }
        }
        _ = all.wait(timeout: .now() + Self.startSeconds)
    }

    /// Asks what is due, beside everything else.
    ///
    /// - Parameter hosts: names, and how many seconds lie between two questions at the least.
    func askDue(_ hosts: [String: Int64]) {
        let now = nowSeconds()
        states.withLock { states in
            states = states.filter { host, state in
                hosts[host] != nil || state.isAsked || now < state.askAgainAtSeconds + Self.keptSeconds
            }
        }
        for (host, seconds) in hosts where !Self.isNumeric(host) {
            let isDue = state(of: host).map { state in
                // A clock that was set back must not make names rest.
                !state.isAsked && (now >= state.askAgainAtSeconds || now < state.askAgainAtSeconds - seconds)
            }
            if isDue ?? true { ask(host, every: seconds) {} }
        }
    }

    private func ask(_ host: String, every seconds: Int64, done: @escaping @Sendable () -> Void) {
        let isMine = states.withLock { states in
            guard states[host]?.isAsked != true else { return false }
            states[host, default: State()].isAsked = true
            return true
        }
        guard isMine else { return done() }
        queue.addOperation { [self] in
            take(Self.usable(lookup(host)), of: host, askAgainAtSeconds: nowSeconds() + max(1, seconds))
            done()
        }
    }

    private func take(_ addresses: [String], of host: String, askAgainAtSeconds: Int64) {
        let now = nowSeconds()
        states.withLock { states in
            // Nobody wants to know any more.
            guard var state = states[host] else { return }
            state.isAsked = false
            state.askAgainAtSeconds = askAgainAtSeconds
            if addresses.isEmpty {
                state.failingSinceSeconds = state.failingSinceSeconds ?? now
            } else {
                state.addresses = addresses
                state.failingSinceSeconds = nil
            }
            states[host] = state
        }
    }

    /// Numeric addresses without doubles and zones, in an order of their own: name servers turn theirs with each
    /// answer.
    static func usable(_ answer: [String]) -> [String] {
        Array(Set(answer.filter(isNumeric)).sorted().prefix(addressesMax))
    }

    static func isNumeric(_ host: String) -> Bool {
        var address = in6_addr()
        return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1
    }

    /// The system's resolver: getaddrinfo(3), with /etc/hosts and whatever else the host is set up with.
    static let system: NameLookup = { host in
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &list) == 0 else { return [] }
        defer { freeaddrinfo(list) }
        var found: [String] = []
        var next = list
        while let entry = next {
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let failed = getnameinfo(
                entry.pointee.ai_addr, entry.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0,
                NI_NUMERICHOST)
            let address = String(
                decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if failed == 0 { found.append(address) }
            next = entry.pointee.ai_next
        }
        return found
    }
}
