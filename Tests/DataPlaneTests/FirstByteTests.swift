import Border
import Testing

@testable import DataPlane

@Suite("What a connection costs that has said nothing yet")
struct FirstByteTests {
    private static let clients = 40

    struct Outcome {
        /// At most at once: connections, and how many of them OpenSSL had a part in.
        var open = 0
        var secured = 0
        /// When each connection was over, in seconds since the start.
        var ends: [Double?] = []
    }

    private static func run(
        whenReady: @escaping (ScriptedClient) -> Void = { _ in }, _ script: (ScriptedClient) -> Void
    ) throws -> Outcome {
        var outcome = Outcome()
        let problems = try ScriptedReactor.run(
            seconds: 60, snapshot: Gateway.snapshot([Facts.open(8_001)]),
            upstream: { _ in Array("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi".utf8) }
        ) { world in
            let start = world.kernel.nowNanoseconds
            let all = (0..<clients).map { _ in ScriptedClient(world, whenReady: whenReady) }
            for client in all { script(client) }
            world.afterTurn = { [unowned world] in
                guard let reactor = world.reactor else { return }
                let slots = reactor.downstreams.everUsed.filter { reactor.downstreams.isInUse($0) }
                outcome.open = max(outcome.open, slots.count)
                outcome.secured = max(
                    outcome.secured, slots.count { reactor.transports[Int($0)].ssl != nil })
                outcome.ends = all.map { $0.endedNanoseconds.map { Double($0 - start) / 1e9 } }
            }
        }
        #expect(problems.isEmpty, "\(problems)")
        return outcome
    }

    @Test func `who says nothing has no part of OpenSSL, and is gone after the time of a handshake`() throws {
        let outcome = try Self.run { _ in }
        #expect(outcome.open == Self.clients)
        #expect(outcome.secured == 0)
        let deadline = Double(Limits().handshakeMilliseconds) / 1_000
        #expect(outcome.ends.allSatisfy { $0.map { $0 >= deadline && $0 < deadline + 2 } ?? false })
    }

    @Test func `the first byte begins it, with the same deadline`() throws {
        let outcome = try Self.run { $0.link.send([22]) }
        #expect(outcome.secured == Self.clients)
        let deadline = Double(Limits().handshakeMilliseconds) / 1_000
        #expect(outcome.ends.allSatisfy { $0.map { $0 >= deadline && $0 < deadline + 2 } ?? false })
    }

    @Test func `an end without a byte is answered at once`() throws {
        let outcome = try Self.run { $0.link.end() }
        #expect(outcome.open > 0)
        #expect(outcome.ends.allSatisfy { $0.map { $0 < 2 } ?? false })
    }

    @Test func `whoever begins is served`() throws {
        var served = 0
        let outcome = try Self.run { client in
            client.whenTold = { told in
                if String(decoding: told, as: UTF8.self).hasPrefix("HTTP/1.1 200 ") { served += 1 }
            }
            client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        } _: {
            $0.begin()
        }
        #expect(outcome.secured == Self.clients)
        #expect(served == Self.clients)
    }
}
