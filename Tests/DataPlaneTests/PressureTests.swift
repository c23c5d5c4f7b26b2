import Border
import CLinux
import Glibc
import Testing

@testable import DataPlane

@Suite("What peers do in their own time: say too much, read slowly, wait")
struct PressureTests {
    @Test(arguments: [1, 2])
    func `what an upstream says beyond its answer is nobody's answer, also inside of OpenSSL`(_ records: Int)
        throws
    {
        let origin = TestOrigin { connection in
            guard let peer = try? TLSPeer(connection.socket) else { return }
            while peer.readHead() != nil {
                let start = "HTTP/1.1 200 OK\r\nContent-Length: "
                guard connection.number == 0 else {
                    peer.send(records: [start + "3\r\n\r\nown"])
                    continue
                }
                // As long as the gateway's first look, so that what stands behind is left in OpenSSL: decrypted in the
                // same record, not yet in the next one.
                let padding = 8_192 - start.utf8.count - 8
                let answer = start + "\(padding)\r\n\r\n" + String(repeating: "x", count: padding)
                let surplus = start + "4\r\n\r\nevil"
                peer.send(records: records == 1 ? [answer + surplus] : [answer, surplus])
            }
        }
        var route = Facts.open(origin.port)
        route.upstreams = [
            UpstreamAddress(
                address: "127.0.0.1", port: origin.port, serverName: "wiki.test",
                authoritiesPEM: TestCertificates.shared.authorityPEM)
        ]
        let gateway = try Gateway([route])
        let client = try gateway.client()
        #expect(client.get()?.body.count == 8_192 - 33 - 8)
        #expect(client.get()?.text == "own")
        #expect(origin.connectionCount == 2)
        #expect(gateway.engine.metrics().sum("upstream_reuses") == 0)
    }

    /// An answer of 4 MiB, of which the client has read so much that the gateway is done with it: the rest lies in the
    /// gateway and in the sockets.
    private func finishedButUnread() throws -> (Gateway, TestOrigin, TestClient, read: Int) {
        let total = 4 << 20
        let origin = TestOrigin { connection in
            guard connection.readHead() != nil else { return }
            connection.socket.write("HTTP/1.1 200 OK\r\nContent-Length: \(total)\r\n\r\n")
            connection.socket.write([UInt8](repeating: 122, count: total))
            _ = connection.readSome()
        }
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try #require(try TestClient(port: gateway.port, receiveBuffer: 16_384))
        client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\nConnection: close\r\n\r\n")
        var count = 0
        while gateway.engine.metrics().sum("responses") == 0, let bytes = client.readSome() {
            count += bytes.count
            // The reactor moves on what this read has made room for, before the next one.
            let turns = gateway.engine.metrics().sum("turns")
            _ = client.hasMore(withinMilliseconds: 5)
            if count > 3 << 20 { _ = turn(gateway, after: turns, milliseconds: 2) }
        }
        return (gateway, origin, client, count)
    }

    private func turn(_ gateway: Gateway, after turns: UInt64, milliseconds: UInt64) -> Bool {
        let end = Clock.monotonicNanoseconds() + milliseconds * 1_000_000
        while Clock.monotonicNanoseconds() < end {
            if gateway.engine.metrics().sum("turns") > turns { return true }
        }
        return false
    }

    @Test(arguments: [false, true])
    func `the tail of an answer reaches a client that takes its time after the gateway is done`(
        _ saysGoodbyeFirst: Bool
    ) throws {
        let (gateway, origin, client, read) = try finishedButUnread()
        let turns = gateway.engine.metrics().sum("turns")
        if saysGoodbyeFirst {
            // It will send no more, which is no reason not to read.
            shutdown(client.descriptor, Int32(SHUT_WR))
            #expect(gateway.waitForCounter("turns", atLeast: turns + 1))
        } else {
            // Longer than a refused client may linger.
            let end = Clock.monotonicNanoseconds() + 2_300_000_000
            #expect(gateway.waitUntil { Clock.monotonicNanoseconds() > end ? true : nil } == true)
        }
        var count = read
        while let bytes = client.readSome() { count += bytes.count }
        #expect(count > 4 << 20, "\(read) before, \(count) in all")
        #expect(origin.connectionCount == 1)
    }

    /// An answer without end.
    private static func flood() -> TestOrigin {
        TestOrigin { connection in
            guard connection.readHead() != nil else { return }
            connection.socket.write("HTTP/1.1 200 OK\r\n\r\n")
            let block = [UInt8](repeating: 121, count: 1 << 16)
            while connection.socket.write(block) {}
        }
    }

    @Test func `a client that stops reading is cut at its deadline, however much it sends meanwhile`() throws
    {
        let origin = Self.flood()
        var limits = Limits()
        limits.bodyIdleMilliseconds = 500
        let gateway = try Gateway([Facts.open(origin.port)], limits: limits)
        let client = try #require(try TestClient(port: gateway.port, receiveBuffer: 16_384))
        client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        var read = 0
        while read < 8 << 20, let bytes = client.readSome() { read += bytes.count }
        let isCut: Bool? = gateway.waitUntil {
            client.send([65])
            return gateway.engine.metrics().sum("open_connections") == 0 ? true : nil
        }
        #expect(isCut == true)
        #expect(gateway.engine.metrics().sum("deadlines_passed") == 1)
        // Nor was the kernel left to collect megabytes for it: that it does not read shows up soon.
        let unread = Int(gateway.engine.metrics().sum("bytes_downstream")) - read
        #expect(unread < 1 << 20, "\(unread) bytes taken that nobody read")
    }

    @Test func `a client that reads slowly is not cut while it reads`() throws {
        let first = 600_000
        let isRead = Finish()
        let origin = TestOrigin { connection in
            guard connection.readHead() != nil else { return }
            connection.socket.write("HTTP/1.1 200 OK\r\nContent-Length: \(first + 1)\r\n\r\n")
            connection.socket.write([UInt8](repeating: 121, count: first))
            isRead.wait()
            connection.socket.write("z")
            _ = connection.readSome()
        }
        var limits = Limits()
        limits.bodyIdleMilliseconds = 2_000
        let gateway = try Gateway([Facts.open(origin.port)], limits: limits)
        let client = try #require(try TestClient(port: gateway.port, receiveBuffer: 16_384))
        client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        var last: UInt8?
        var count = 0
        // The last bytes wait in the gateway for the client, and not for the upstream, from the first pause on.
        for target in [200_000, 350_000, 450_000, first] {
            while count < target, let bytes = client.readSome() { count += bytes.count }
            guard target < first else { break }
            let end = Clock.monotonicNanoseconds() + 1_200_000_000
            #expect(gateway.waitUntil { Clock.monotonicNanoseconds() > end ? true : nil } == true)
        }
        isRead.signal()
        while last != 122, let bytes = client.readSome() { last = bytes.last }
        #expect(last == 122, "\(count) bytes")
        #expect(gateway.engine.metrics().sum("deadlines_passed") == 0)
    }

    @Test func `bodies that are collected for the control plane count with the parked requests`() throws {
        var limits = Limits()
        limits.parkedMax = 2
        let gateway = try Gateway([Facts.closed(1)], limits: limits)
        let parked = try gateway.client()
        parked.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\(Facts.cookie(1))\r\n")
        #expect(gateway.waitForCounter("session_pulls", atLeast: 1))
        let upload =
            "POST /.gatepost/x HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        var collecting: TestClient? = try gateway.client()
        collecting?.send(upload)
        // Exactly at the bound: 100 says that its body is wanted.
        #expect(collecting?.receive()?.status == 100)
        let oneTooMany = try gateway.client()
        oneTooMany.send(upload)
        let refused = try #require(oneTooMany.receive())
        #expect(refused.status == 503)
        #expect(refused.field("Gatepost-Reason") == "overloaded")
        // Its place is free when it leaves.
        let before = gateway.engine.metrics().sum("responses")
        collecting = nil
        #expect(gateway.waitForCounter("responses", atLeast: before + 1))
        let next = try gateway.client()
        next.send(upload)
        #expect(next.receive()?.status == 100)
    }
}
