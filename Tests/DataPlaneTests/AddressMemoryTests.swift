import Access
import Border
import Synchronization
import Testing

@testable import DataPlane

@Suite("What the connections of one address hold together")
struct AddressMemoryTests {
    /// What a load balancer says in front of the connections of 203.0.113.`last`.
    private static func from(_ last: UInt8) -> [UInt8] {
        var body = ProxyHeaderTests.v4
        body[3] = last
        return ProxyHeaderTests.header(body)
    }

    /// Of a subscriber's network 2001:db8:0:`network`::/64.
    private static func from(network: UInt8, host: UInt8) -> [UInt8] {
        var body = ProxyHeaderTests.v6
        body[7] = network
        body[15] = host
        return ProxyHeaderTests.header(family: 0x21, body)
    }

    private static let peers = NetworkRange(base: NetworkAddress(v4: 0xC000_0200), prefixLength: 120)

    private static func snapshot(_ most: Int, _ trust: ClientAddressTrust) -> GatewaySnapshot {
        var limits = Limits()
        limits.memoryPerAddressBytesMax = most
        return Gateway.snapshot([Facts.open(8_001)], limits: limits, addresses: trust)
    }

    private static let balanced = ClientAddressTrust(proxyProtocolFrom: [peers])

    private static func answer(_ head: String) -> [UInt8]? {
        let size = head.hasPrefix("GET /large") ? 400_000 : 2
        return Array("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n".utf8)
            + [UInt8](repeating: 120, count: size)
    }

    /// Asks for much and reads nothing of it.
    private static func greedy(_ world: ScriptedReactor, preamble: [UInt8], fields: String = "") {
        let client = ScriptedClient(world, preamble: preamble) {
            $0.link.pause(3_600_000_000_000)
            $0.send("GET /large HTTP/1.1\r\nHost: wiki.test\r\n\(fields)\r\n")
        }
        client.begin()
    }

    struct Outcome {
        /// The most that one address held after any turn.
        var most = 0
        /// The most that all buffers took.
        var mostInUse = 0
        var addresses = 0
        var shed: UInt64 = 0
        var open = 0
    }

    /// Runs for less time than a client that does not read is given.
    private static func run(
        _ most: Int, _ trust: ClientAddressTrust = balanced, _ script: (ScriptedReactor) -> Void
    ) throws -> Outcome {
        var outcome = Outcome()
        let problems = try ScriptedReactor.run(
            seconds: 15, snapshot: snapshot(most, trust), upstream: answer
        ) { world in
            world.afterTurn = { [unowned world] in
                guard let reactor = world.reactor else { return }
                let holdings = reactor.state.pointee.holdings
                for holding in holdings.values {
                    outcome.most = max(outcome.most, holding.pointee.total)
                }
                outcome.mostInUse = max(outcome.mostInUse, reactor.pool.pointee.bytesInUse)
                outcome.addresses = max(outcome.addresses, holdings.count)
            }
            script(world)
            world.kernel.after(14_000_000_000) {
                outcome.shed = world.counters.value(.addressConnectionsShed)
                outcome.open = Int(world.reactor?.downstreams.count ?? 0)
            }
        }
        #expect(problems.isEmpty, "\(problems)")
        return outcome
    }

    @Test("0 is no bound: forty that read nothing hold megabytes, and nobody is cut")
    func unbounded() throws {
        let outcome = try Self.run(0) { world in
            for _ in 0..<40 { Self.greedy(world, preamble: Self.from(7)) }
        }
        #expect(outcome.most > 3 << 20, "\(outcome)")
        #expect(outcome.shed == 0 && outcome.open == 40)
    }

    @Test("the same forty stay below 1 MiB by being sent less, and nobody is cut")
    func backpressure() throws {
        let outcome = try Self.run(1 << 20) { world in
            for _ in 0..<40 { Self.greedy(world, preamble: Self.from(7)) }
        }
        #expect(outcome.most > 512 << 10 && outcome.most <= 1 << 20, "\(outcome)")
        #expect(outcome.shed == 0 && outcome.open == 40)
    }

    @Test("where that is not enough those that do not read are cut, and no other address feels it")
    func shedding() throws {
        var modest: [ScriptedClient] = []
        let outcome = try Self.run(128 << 10) { world in
            for _ in 0..<60 { Self.greedy(world, preamble: Self.from(7)) }
            // One of the same address that reads what it asks for, and two of another.
            for (address, path) in [(7, "/"), (8, "/"), (8, "/large")] as [(UInt8, String)] {
                let client = ScriptedClient(world, preamble: Self.from(address)) { client in
                    let get = "GET \(path) HTTP/1.1\r\nHost: wiki.test\r\n\r\n"
                    client.send(get)
                    client.world.kernel.after(8_000_000_000) { client.send(get) }
                }
                modest.append(client)
                client.begin()
            }
        }
        // The account knows of a change once it is as large as `toldBytes`.
        #expect(outcome.most <= 128 << 10 + ClientHolding.toldBytes, "\(outcome)")
        #expect(outcome.shed > 0 && outcome.shed < 60, "\(outcome)")
        #expect(outcome.open > 3, "not more than is needed is cut: \(outcome)")
        let sizes = modest.map(\.plain.count)
        #expect(sizes[0] > 2 * 2 && sizes[1] == sizes[0] && sizes[2] > 800_000, "\(sizes)")
    }

    @Test("HTTP/2: streams count where their connection does")
    func streams() throws {
        let ids = stride(from: UInt32(1), to: 101, by: 2)
        let outcome = try Self.run(512 << 10) { world in
            for _ in 0..<6 {
                let client = ScriptedClient(world, .http2, preamble: Self.from(7)) { client in
                    // No window for any answer (RFC 9113 §6.5.2).
                    let none = HTTP2Frame.bytes(.settings, 0, 0, [0, 4] + HTTP2Frame.big(0))
                    client.send(
                        HTTP2Client.preface + none
                            + ids.flatMap { HTTP2Client.headers($0, HTTP2Client.request("/large")) })
                }
                client.begin()
            }
        }
        // A flush moves bytes from streams to their connection after the turn's account was made.
        #expect(outcome.most <= 512 << 10 + 2 * ClientHolding.toldBytes, "\(outcome)")
        #expect(outcome.shed > 0 && outcome.shed < 6, "\(outcome)")
        #expect(outcome.addresses == 1)
    }

    @Test(
        "HTTP/2: an answer that nobody takes counts with the records of its request",
        arguments: ["/", "/large"])
    func unreadStreams(_ path: String) throws {
        let ids = stride(from: UInt32(1), to: 201, by: 2)
        // As little of an answer as possible waits where memory is tight.
        let outcome = try Self.run(path == "/" ? 0 : 1 << 20) { world in
            let client = ScriptedClient(world, .http2, preamble: Self.from(7)) { client in
                let none = HTTP2Frame.bytes(.settings, 0, 0, [0, 4] + HTTP2Frame.big(0))
                client.send(
                    HTTP2Client.preface + none
                        + ids.flatMap { HTTP2Client.headers($0, HTTP2Client.request(path)) })
            }
            client.begin()
        }
        let waiting = BufferPool.blockBytes(holding: path == "/" ? 2 : 4_096)
        #expect(outcome.most > 100 * (Reactor.unreadStreamBytes + waiting), "\(outcome)")
        #expect(outcome.shed == 0, "one connection of a hundred streams is within the bound: \(outcome)")
    }

    @Test("an IPv6 subscriber is one address, two are two")
    func subscribers() throws {
        let outcome = try Self.run(0) { world in
            for host in UInt8(1)...4 {
                Self.greedy(world, preamble: Self.from(network: 1, host: host))
                Self.greedy(world, preamble: Self.from(network: 2, host: host))
            }
        }
        #expect(outcome.addresses == 2)
        #expect(outcome.most > 256 << 10, "\(outcome)")
    }

    @Test("a listed peer that names the clients of its requests has no bound of its own")
    func listedPeer() throws {
        let trust = ClientAddressTrust(forwardedFrom: [Self.peers])
        let outcome = try Self.run(256 << 10, trust) { world in
            for _ in 0..<40 {
                Self.greedy(world, preamble: [], fields: "X-Forwarded-For: 203.0.113.7\r\n")
            }
        }
        #expect(outcome.mostInUse > 2 << 20, "\(outcome)")
        #expect(outcome.shed == 0 && outcome.open == 40)
    }

    @Test("a peer that is not listed is bounded, whatever it names")
    func strangerThatNames() throws {
        let trust = ClientAddressTrust(
            forwardedFrom: [NetworkRange(base: NetworkAddress(v4: 0x0A00_0000), prefixLength: 104)])
        let outcome = try Self.run(128 << 10, trust) { world in
            for number in 0..<60 {
                Self.greedy(world, preamble: [], fields: "X-Forwarded-For: 203.0.113.\(number)\r\n")
            }
        }
        #expect(outcome.shed > 0 && outcome.addresses == 1, "\(outcome)")
    }

    @Test("accounts of several reactors are one: told in steps, and given back to the byte")
    func accounts() {
        let memory = ClientMemory()
        let client = ClientTable.Client(NetworkAddress(v4: 1))
        var first = ClientHolding(client, memory)
        var second = ClientHolding(client, memory)
        let step = ClientHolding.toldBytes
        let isToldBelow = first.add(step - 1)
        let unknown = second.total
        #expect(!isToldBelow && first.total == step - 1 && unknown == 0)
        let isToldAt = first.add(1)
        #expect(isToldAt && second.total == step)
        _ = second.add(3 * step + 5)
        #expect(first.total == 4 * step + 5)
        _ = first.add(-step)
        #expect(second.total == 3 * step + 5)
        _ = second.add(-3 * step - 5)
        second.end()
        #expect(first.total == 0)
        first.end()
        #expect(memory.bytes.load(ordering: .relaxed) == 0)
    }

    // MARK: Nobody who reads waits for ever

    /// A gateway of whose memory an address holds more than half all the time: requests that wait for the control
    /// plane, with 30 KB each.
    private static func tight(_ route: ApplicationRoute) throws -> (Gateway, [TestClient]) {
        var limits = Limits()
        limits.memoryPerAddressBytesMax = 640 << 10
        limits.parkedMilliseconds = 600_000
        let gateway = try Gateway([route], limits: limits)
        let body = String(repeating: "z", count: 30_000)
        let holders = try (0..<12).map { _ in try gateway.client() }
        for holder in holders {
            holder.send(
                "POST /.gatepost/x HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 30000\r\n\r\n\(body)")
        }
        let isHeld: Bool? = gateway.waitUntil { gateway.engine.metrics().sum("parked") == 12 ? true : nil }
        try #require(isHeld == true)
        return (gateway, holders)
    }

    private static let size = 1_200_000

    /// Head and body in records of their own: what is left in OpenSSL no edge will tell of.
    private static func origin(isTLS: Bool) -> TestOrigin {
        TestOrigin { connection in
            let head = "HTTP/1.1 200 OK\r\nContent-Length: \(Self.size)\r\n\r\n"
            let part = String(repeating: "x", count: 12_000)
            guard isTLS else {
                while connection.readHead() != nil {
                    connection.socket.write(head)
                    for _ in 0..<(Self.size / 12_000) { connection.socket.write(part) }
                }
                return
            }
            guard let peer = try? TLSPeer(connection.socket) else { return }
            while peer.readHead() != nil {
                peer.send(records: [head] + (0..<(Self.size / 12_000)).map { _ in part })
            }
        }
    }

    @Test("a large answer comes whole to who reads it, however tight memory is", arguments: [false, true])
    func download(_ isTLS: Bool) throws {
        let origin = Self.origin(isTLS: isTLS)
        var route = Facts.open(origin.port)
        if isTLS {
            route.upstreams = [
                UpstreamAddress(
                    address: "127.0.0.1", port: origin.port, serverName: "wiki.test",
                    authoritiesPEM: TestCertificates.shared.authorityPEM)
            ]
        }
        let (gateway, holders) = try Self.tight(route)
        defer { withExtendedLifetime(holders) {} }
        for _ in 0..<2 { #expect(try gateway.client().get()?.body.count == Self.size) }
        let client = try HTTP2Client(gateway)
        for id in [1, 3] as [UInt32] { client.send(HTTP2Client.headers(id, HTTP2Client.request())) }
        for id in [1, 3] as [UInt32] { #expect(client.receive(id)?.body.count == Self.size) }
        #expect(gateway.engine.metrics().sum("address_connections_shed") == 0)
        #expect(gateway.engine.metrics().sum("parked") == 12, "they held what they held all the time")
    }

    @Test("an upload goes whole to who takes it, however tight memory is", arguments: [false, true])
    func upload(_ isHTTP2: Bool) throws {
        let sink = TestOrigin { connection in
            while let head = connection.readHead() {
                let isSmall = head.lowercased().contains("content-length: 60000\r\n")
                guard connection.read(isSmall ? 60_000 : 300_000) != nil else { return }
                connection.answer("all")
            }
        }
        let origin = isHTTP2 ? HTTP2Origin.echo() : sink
        let (gateway, holders) = try Self.tight(
            isHTTP2 ? HTTP2Origin.route(origin.port) : Facts.open(origin.port))
        defer { withExtendedLifetime(holders) {} }
        let body = String(repeating: "y", count: 300_000)
        let client = try gateway.client()
        for _ in 0..<2 {
            client.send("POST / HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 300000\r\n\r\n\(body)")
            let answer = try #require(client.receive())
            #expect(answer.status == 200 && answer.isComplete)
        }
        let other = try HTTP2Client(gateway)
        let fields = HTTP2Client.request("/", method: "POST", [("content-length", "60000")])
        other.send(HTTP2Client.headers(1, fields, ends: false))
        for part in 0..<6 {
            other.send(HTTP2Client.data(1, [UInt8](repeating: 121, count: 10_000), ends: part == 5))
        }
        #expect(other.receive(1)?.status == 200)
        #expect(gateway.engine.metrics().sum("address_connections_shed") == 0)
    }
}
