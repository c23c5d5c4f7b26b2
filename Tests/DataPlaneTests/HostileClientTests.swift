import Access
import Border
import CLinux
import Foundation
import Testing

@testable import DataPlane

@Suite("What one client may take: connections, handshakes, time and memory")
struct HostileClientTests {
    @Test func `as many connections as an address may have are served, one more is closed and said so`()
        throws
    {
        let origin = TestOrigin.echo()
        var limits = Limits()
        limits.connectionsPerAddressMax = 3
        let gateway = try Gateway([Facts.open(origin.port)], limits: limits, workers: 2)
        var clients = try (0..<3).map { _ in try gateway.client() }
        for client in clients { #expect(client.get()?.status == 200) }
        #expect(throws: Gateway.NoHandshake.self) { try gateway.client() }
        #expect(gateway.engine.metrics().sum("address_connections_refused") == 1)
        #expect(gateway.engine.metrics().sum("accepted") == 4)
        let line = try #require(gateway.logLine())
        #expect(line.contains("\"event\":\"address-connections-refused\""))
        #expect(line.contains("\"client\":\"127.0.0.1\""))
        // The others are none the worse for it, and a place that is left is a place.
        for client in clients { #expect(client.get()?.status == 200) }
        clients.removeLast()
        let next: TestClient? = gateway.waitUntil { try? gateway.client() }
        #expect(next?.get()?.status == 200)
    }

    @Test func `an address that opens connections too fast is refused, and taken again later`() throws {
        let origin = TestOrigin.echo()
        var limits = Limits()
        limits.handshakesPerAddressPerSecondMax = 1
        let gateway = try Gateway([Facts.open(origin.port)], limits: limits)
        // Both within the same second, however slow the machine is: no handshake lies in between.
        let first = TestSocket.connected(gateway.port)
        let second = TestSocket.connected(gateway.port)
        #expect(second.read() == nil)
        #expect(gateway.engine.metrics().sum("address_handshakes_refused") == 1)
        first.close()
        second.close()
        let later: TestClient? = gateway.waitUntil { try? gateway.client() }
        #expect(later?.get()?.status == 200)
    }

    @Test func `what is too much for the whole gateway waits and is served`() throws {
        let origin = TestOrigin.echo()
        var limits = Limits()
        limits.handshakesPerSecondMax = 2
        let gateway = try Gateway([Facts.open(origin.port)], limits: limits)
        let begun = Clock.monotonicNanoseconds()
        let sockets = (0..<4).map { _ in TestSocket.connected(gateway.port) }
        let last = try gateway.client()
        #expect(last.get()?.status == 200)
        // Two at once, then one each half second; the fifth of them cannot have come sooner.
        #expect(Clock.monotonicNanoseconds() - begun > 1_000_000_000)
        #expect(gateway.engine.metrics().sum("accept_pauses") >= 1)
        #expect(gateway.engine.metrics().sum("address_handshakes_refused") == 0)
        #expect(gateway.engine.metrics().sum("turns") < 500)
        for socket in sockets { socket.close() }
    }

    @Test func `who connects and says nothing is gone sooner than who rests between two requests`() throws {
        let origin = TestOrigin.echo()
        var limits = Limits()
        limits.firstRequestMilliseconds = 50
        let gateway = try Gateway([Facts.open(origin.port)], limits: limits)
        let resting = try gateway.client()
        #expect(resting.get()?.status == 200)
        let silent = try gateway.client()
        #expect(silent.receive() == nil)
        #expect(gateway.engine.metrics().sum("deadlines_passed") == 1)
        #expect(resting.get()?.status == 200)
    }

    // MARK: Time

    @Test(
        "an upload that dribbles is cut, and the upstream is free again; its type is only the client's word",
        arguments: ["text/plain", "application/grpc"])
    func dribble(_ type: String) throws {
        let isUpstreamLeft = Finish()
        let origin = TestOrigin { connection in
            _ = connection.readHead()
            while connection.readSome() != nil {}
            isUpstreamLeft.signal()
        }
        var limits = Limits()
        limits.bodyPatienceMilliseconds = 1_000
        let gateway = try Gateway([Facts.open(origin.port)], limits: limits)
        let client = try gateway.client()
        client.send(
            "POST /up HTTP/1.1\r\nHost: wiki.test\r\nContent-Type: \(type)\r\n"
                + "Content-Length: 1000000\r\n\r\n")
        let end = Clock.monotonicNanoseconds() + 20_000_000_000
        while !client.hasMore(withinMilliseconds: 50), Clock.monotonicNanoseconds() < end { client.send("x") }
        let answer = try #require(client.receive())
        #expect(answer.status == (type == "text/plain" ? 408 : 200), "a call is answered in its own words")
        #expect(answer.field("Gatepost-Reason") == "request-timeout")
        isUpstreamLeft.wait()
        #expect(gateway.engine.metrics().sum("slow_clients_cut") == 1)
    }

    @Test func `an upload that the upstream does not take is not the client's slowness`() throws {
        let isEnough = Finish()
        let origin = TestOrigin { connection in
            _ = connection.readHead()
            isEnough.wait()
            var count = 0
            while count < 4 << 20, let more = connection.readSome() { count += more }
            connection.answer("\(count)")
        }
        var limits = Limits()
        limits.bodyPatienceMilliseconds = 1_000
        let gateway = try Gateway([Facts.open(origin.port)], limits: limits)
        let client = try gateway.client()
        client.send("POST /up HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: \(4 << 20)\r\n\r\n")
        let sender = Finish()
        let body = [UInt8](repeating: 120, count: 4 << 20)
        let unshared = Unshared(client)
        Thread.detachNewThread {
            unshared.value.send(body)
            sender.signal()
        }
        // Two looks more than patience goes.
        let end = Clock.monotonicNanoseconds() + 4_000_000_000
        #expect(gateway.waitUntil { Clock.monotonicNanoseconds() > end ? true : nil } == true)
        #expect(gateway.engine.metrics().sum("slow_clients_cut") == 0)
        isEnough.signal()
        sender.wait()
        #expect(client.receive()?.text == "\(4 << 20)")
    }

    @Test func `who reads nothing of a large answer is cut after its patience, not after the idle time`()
        throws
    {
        let origin = Self.flood()
        var limits = Limits()
        limits.bodyPatienceMilliseconds = 1_000
        let gateway = try Gateway([Facts.open(origin.port)], limits: limits)
        let client = try #require(try TestClient(port: gateway.port, receiveBuffer: 16_384))
        client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        #expect(gateway.waitForCounter("slow_clients_cut", atLeast: 1))
        #expect(
            gateway.waitUntil { gateway.engine.metrics().sum("open_connections") == 0 ? true : nil } == true)
    }

    // MARK: Memory

    private static func flood() -> TestOrigin {
        TestOrigin { connection in
            guard connection.readHead() != nil else { return }
            connection.socket.write("HTTP/1.1 200 OK\r\n\r\n")
            let block = [UInt8](repeating: 121, count: 1 << 16)
            while connection.socket.write(block) {}
        }
    }

    @Test func `a connection that holds more than one may is cut, and no other`() throws {
        let origin = Self.flood()
        var limits = Limits()
        limits.connectionMemoryBytesMax = 65_536
        let gateway = try Gateway([Facts.open(origin.port)], limits: limits, accessLog: true)
        let modest = try gateway.client()
        modest.send("GET / HTTP/1.1\r\nHost: wiki.test\r\nX: y")
        let greedy = try #require(try TestClient(port: gateway.port, receiveBuffer: 16_384))
        greedy.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        #expect(gateway.waitForCounter("connection_memory_exceeded", atLeast: 1))
        let line = try #require(gateway.logLine())
        #expect(line.contains("\"event\":\"connection-memory-exceeded\""))
        #expect(line.contains("\"bytes\":"))
        #expect(gateway.logLine()?.contains("\"reason\":\"overloaded\"") == true)
        // Levels are told at the turn's end, after the line.
        #expect(
            gateway.waitUntil { gateway.engine.metrics().sum("open_connections") == 1 ? true : nil } == true)
        modest.send("\r\n\r\n")
        #expect(modest.readSome() != nil)
    }

    @Test func `TLS buffers are given back before anybody is cut for them`() throws {
        let echo = TestOrigin.echo()
        var limits = Limits()
        // Ten busy connections have 340 KiB of TLS buffers, and nothing else to speak of.
        limits.memoryBytesMax = 256 << 10
        let gateway = try Gateway([Facts.open(echo.port)], limits: limits)
        let clients = try (0..<10).map { _ in try gateway.client() }
        for _ in 0..<3 {
            for client in clients { #expect(client.get()?.status == 200) }
        }
        #expect(gateway.engine.metrics().sum("connections_shed") == 0)
        #expect(gateway.engine.metrics().sum("buffer_holders") < 10)
        #expect(gateway.engine.metrics().sum("open_connections") == 10)
    }

    @Test func `when all hold too much the costliest go first and the others stay`() throws {
        let origin = Self.flood()
        let echo = TestOrigin.echo()
        var limits = Limits()
        // One that reads nothing holds some 200 KiB with its upstream: three of them are too many.
        limits.memoryBytesMax = 512 << 10
        let gateway = try Gateway(
            [Facts.open(origin.port), Facts.open(echo.port, host: "echo.test", name: "echo")], limits: limits)
        let modest = try (0..<3).map { _ in try gateway.client() }
        for client in modest { #expect(client.get(host: "echo.test")?.status == 200) }
        let greedy = try (0..<4).map { _ in
            try #require(try TestClient(port: gateway.port, receiveBuffer: 16_384))
        }
        for client in greedy { client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n") }
        #expect(gateway.waitForCounter("connections_shed", atLeast: 1))
        #expect(gateway.logLine()?.contains("\"event\":\"connection-shed\"") == true)
        for client in modest { #expect(client.get(host: "echo.test")?.status == 200) }
        #expect(gateway.engine.metrics().sum("open_connections") >= 3)
    }
}

/// A value that one thread hands to another and does not touch meanwhile.
private struct Unshared<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}
