import Access
import Border
import Foundation
import Synchronization
import Testing

@testable import Config
@testable import Control

/// A name server that says what the test says.
private final class NameServer: Sendable {
    private let answers = Mutex<[String: [String]]>([:])
    let asked = Mutex<[String]>([])
    func set(_ host: String, _ addresses: [String]) { answers.withLock { $0[host] = addresses } }
    func answer(_ host: String) -> [String] {
        asked.withLock { $0.append(host) }
        return answers.withLock { $0[host] ?? [] }
    }
}

@Suite("What names of upstreams stand for")
struct UpstreamNamesTests {
    private let server = NameServer()

    private func names() -> UpstreamNames { timed().0 }

    /// With a clock of its own.
    private final class Hands: Sendable {
        let seconds = Mutex<Int64>(1_000)
        func advance(_ by: Int64) { seconds.withLock { $0 += by } }
    }

    private func timed() -> (UpstreamNames, Hands) {
        let (server, hands) = (server, Hands())
        return (
            UpstreamNames(lookup: { server.answer($0) }, nowSeconds: { hands.seconds.withLock { $0 } }), hands
        )
    }

    /// Asks, and waits until the answers are taken.
    private func ask(_ names: UpstreamNames, _ hosts: [String: Int64], until isTaken: () -> Bool) {
        names.askDue(hosts)
        for _ in 0..<5_000 where !isTaken() { usleep(1_000) }
    }

    @Test func `a number stands for itself and is never asked for`() {
        let names = names()
        names.learn(["10.0.0.1", "::1"])
        names.askDue(["10.0.0.1": 1])
        #expect(names.addresses(of: "10.0.0.1") == ["10.0.0.1"] && names.addresses(of: "::1") == ["::1"])
        #expect(server.asked.withLock { $0.isEmpty })
    }

    @Test func `all addresses count, in one order, without doubles, zones and words`() {
        server.set(
            "app.test", ["10.0.0.2", "fd00::1", "10.0.0.1", "10.0.0.2", "fe80::1%eth0", "nonsense", ""])
        let names = names()
        names.learn(["app.test"])
        #expect(names.addresses(of: "app.test") == ["10.0.0.1", "10.0.0.2", "fd00::1"])
    }

    @Test(arguments: [64, 65, 5_000]) func `a huge answer is bounded, the same ones each time`(_ count: Int) {
        let all = (0..<count).map { "10.\($0 >> 16).\($0 >> 8 & 255).\($0 & 255)" }
        let usable = UpstreamNames.usable(all)
        #expect(usable.count == 64 && usable == UpstreamNames.usable(all.shuffled()))
    }

    @Test func `an answer that fails or is empty changes nothing, and is known to`() {
        server.set("app.test", ["10.0.0.1"])
        let (names, hands) = timed()
        names.learn(["app.test"])
        server.set("app.test", [])
        hands.advance(30)
        ask(names, ["app.test": 30]) { names.state(of: "app.test")?.failingSinceSeconds != nil }
        #expect(names.addresses(of: "app.test") == ["10.0.0.1"])
        #expect(names.state(of: "app.test")?.failingSinceSeconds == 1_030)
        server.set("app.test", ["10.0.0.9"])
        hands.advance(30)
        ask(names, ["app.test": 30]) { names.state(of: "app.test")?.failingSinceSeconds == nil }
        #expect(names.addresses(of: "app.test") == ["10.0.0.9"])
    }

    @Test func `a name rests for its interval, exactly`() {
        server.set("app.test", ["10.0.0.1"])
        let (names, hands) = timed()
        ask(names, ["app.test": 30]) { !names.addresses(of: "app.test").isEmpty }
        for _ in 0..<29 {
            hands.advance(1)
            names.askDue(["app.test": 30])
        }
        #expect(server.asked.withLock { $0.count } == 1)
        hands.advance(1)
        ask(names, ["app.test": 30]) { server.asked.withLock { $0.count } == 2 }
        #expect(server.asked.withLock { $0.count } == 2)
    }

    @Test func `a name that nobody names any more is forgotten`() {
        server.set("app.test", ["10.0.0.1"])
        let (names, hands) = timed()
        names.learn(["app.test"])
        // It rests for a second, and is kept for a minute more: a reload that learnt it may not be in force yet.
        hands.advance(60)
        names.askDue([:])
        #expect(names.state(of: "app.test") != nil)
        hands.advance(1)
        names.askDue([:])
        #expect(names.state(of: "app.test") == nil)
    }
}

@Suite("Addresses that are the gateway's own")
struct OwnListenersTests {
    private static func own(_ addresses: (String, UInt16)...) -> OwnListeners {
        OwnListeners(
            addresses.map { ListenerSettings(address: $0.0, port: $0.1, certificates: []) },
            hosts: ["10.1.1.1", "fd00::5"])
    }

    @Test(arguments: [
        "127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "10.1.1.1", "::ffff:10.1.1.1", "::ffff:127.0.0.1",
        "fd00::5",
    ])
    func `a listener on every address is all of the host's`(_ address: String) {
        for every in ["0.0.0.0", "::"] {
            #expect(Self.own((every, 443)).include(address, port: 443))
            #expect(!Self.own((every, 443)).include(address, port: 444))
        }
    }

    @Test func `a listener on one address is that one`() {
        let own = Self.own(("10.1.1.1", 443), ("127.0.0.1", 8443))
        #expect(own.include("10.1.1.1", port: 443) && own.include("::ffff:10.1.1.1", port: 443))
        #expect(!own.include("127.0.0.1", port: 443) && !own.include("10.1.1.2", port: 443))
        #expect(own.include("127.0.0.1", port: 8443) && own.include("0.0.0.0", port: 8443))
        #expect(!own.include("app.test", port: 443))
    }

    @Test func `the machine's own interfaces are found`() {
        #expect(OwnListeners.interfaces().contains("127.0.0.1"))
    }
}

@Suite("How endpoints fare, as status and events tell")
struct UpstreamStandingsTests {
    private func news(_ reactor: UInt16, _ standing: UpstreamNews.Standing) -> UpstreamNews {
        UpstreamNews(
            reactor: reactor, application: "wiki", endpoint: "10.0.0.1:80", standing: standing, why: "x")
    }

    @Test func `all reactors find out about the same thing, and one event tells it`() {
        let standings = UpstreamStandings()
        #expect(!standings.take(news(0, .probing)))
        #expect(!standings.take(news(0, .healthy)))
        #expect(standings.take(news(0, .ejected)) && !standings.take(news(1, .ejected)))
        #expect(standings.standing("wiki", "10.0.0.1:80")?.reactors == 2)
        #expect(standings.take(news(0, .healthy)) && !standings.take(news(1, .healthy)))
    }

    @Test func `the gravest standing is shown, and what is removed is forgotten`() {
        let standings = UpstreamStandings()
        _ = standings.take(news(0, .unhealthy))
        _ = standings.take(news(1, .ejected))
        #expect(standings.standing("wiki", "10.0.0.1:80")?.news.standing == .unhealthy)
        _ = standings.take(news(0, .removed))
        #expect(standings.standing("wiki", "10.0.0.1:80")?.news.standing == .ejected)
        _ = standings.take(news(1, .removed))
        #expect(standings.standing("wiki", "10.0.0.1:80") == nil)
    }

    @Test func `status says what is, for how long, and why`() {
        let rows = [
            UpstreamStatusText.Row(
                application: "wiki", endpoint: "10.0.0.1:80", state: "ejected", untilSeconds: 1_090,
                why: "connect: refused",
                reactors: 2),
            UpstreamStatusText.Row(
                application: "wiki", endpoint: "10.0.0.2:80", state: "healthy", reactors: 0),
        ]
        let text = UpstreamStatusText(rows: rows, nowSeconds: 1_000).lines.joined(separator: "\n")
        #expect(text.contains("ejected for \(Age(seconds: 90)) (2 reactors)"), "\(text)")
        #expect(text.contains("connect: refused") && text.contains("healthy"))
        #expect(UpstreamStatusText(rows: [], nowSeconds: 0).lines.isEmpty)
    }
}
