import Border
import Glibc
import Synchronization
import Testing

@testable import DataPlane

@Suite("Event streams, long polls and tunnels live while they speak")
struct LiveStreamTests {
    /// Reads a stream's body as it comes.
    private final class Reader {
        private var one: TestClient?
        private var two: HTTP2Client?
        private(set) var text = ""
        private(set) var isOver = false

        init(_ gateway: Gateway, _ version: ClientVersion, _ path: String = "/events") throws {
            switch version {
            case .http1:
                let client = try gateway.client()
                client.send("GET \(path) HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
                one = client
            case .http2:
                let client = try HTTP2Client(gateway)
                client.send(HTTP2Client.headers(1, HTTP2Client.request(path)))
                two = client
            }
        }

        /// Whatever comes next.
        func readOn() {
            if let one {
                guard let more = one.readSome() else { return isOver = true }
                text += String(decoding: more, as: UTF8.self)
            } else if let two {
                isOver = two.next() == nil || two.responses[1]?.resetCode != nil
                text = two.responses[1]?.text ?? ""
            }
        }

        func sees(_ word: String) -> Bool {
            while !isOver, !text.contains(word) { readOn() }
            return text.contains(word)
        }

        /// Whether it ended otherwise than a whole answer does.
        func breaksOff() -> Bool {
            while !isOver { readOn() }
            if let two { return two.responses[1]?.isEnded != true }
            return !text.hasSuffix("0\r\n\r\n")
        }
    }

    private static func route(_ origin: TestOrigin, idle milliseconds: Int) -> ApplicationRoute {
        var route = Facts.open(origin.port)
        route.upstreamRules.idleMilliseconds = milliseconds
        return route
    }

    private static let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

    @Test(arguments: ClientVersion.allCases)
    func `each piece passes before the next one is there`(_ version: ClientVersion) throws {
        let seen = Mutex(0)
        let origin = TestOrigin { connection in
            guard connection.readHead() != nil else { return }
            connection.socket.write(Self.head)
            for number in 1...20 {
                connection.socket.write("data: <\(number)>\n\n")
                let end = Clock.monotonicNanoseconds() + 10_000_000_000
                while seen.withLock({ $0 }) < number, Clock.monotonicNanoseconds() < end { sched_yield() }
            }
        }
        let gateway = try Gateway([Facts.open(origin.port)])
        let reader = try Reader(gateway, version)
        for number in 1...20 {
            #expect(reader.sees("<\(number)>"))
            seen.withLock { $0 = number }
        }
    }

    @Test(arguments: ClientVersion.allCases)
    func `an event stream outlives its idle time several times over, as long as it speaks`(
        _ version: ClientVersion
    ) throws {
        let origin = TestOrigin { connection in
            guard connection.readHead() != nil else { return }
            connection.socket.write(Self.head)
            for number in 1...10 {
                poll(nil, 0, 250)
                guard connection.socket.write("data: <\(number)>\n\n") else { return }
            }
            while connection.readSome() != nil {}
        }
        let gateway = try Gateway([Self.route(origin, idle: 1_000)])
        #expect(try Reader(gateway, version).sees("<10>"))
    }

    @Test(arguments: ClientVersion.allCases)
    func `silence ends an event stream, which does not look whole`(_ version: ClientVersion) throws {
        let isClosed = Finish()
        let origin = TestOrigin { connection in
            guard connection.readHead() != nil else { return }
            connection.socket.write(Self.head + "data: <1>\n\n")
            while connection.readSome() != nil {}
            isClosed.signal()
        }
        let gateway = try Gateway([Self.route(origin, idle: 200)])
        let reader = try Reader(gateway, version)
        #expect(reader.sees("<1>"))
        #expect(reader.breaksOff())
        isClosed.wait()
        // The upstream hears of it in the middle of the turn whose end counts.
        let isOver: Bool? = gateway.waitUntil {
            gateway.engine.metrics().sum("open_exchanges") == 0 ? true : nil
        }
        #expect(isOver == true)
    }

    @Test(arguments: ClientVersion.allCases)
    func `a long poll waits as long as a head may take, and not as short as a body may be silent`(
        _ version: ClientVersion
    ) throws {
        let origin = TestOrigin { connection in
            while let head = connection.readHead() {
                if head.contains("/never") { continue }
                poll(nil, 0, 400)
                connection.answer("<news>")
            }
        }
        var route = Self.route(origin, idle: 100)
        route.upstreamRules.headMilliseconds = 2_000
        let gateway = try Gateway([route])
        #expect(try Reader(gateway, version, "/poll").sees("<news>"))
        #expect(try Reader(gateway, version, "/never").sees("upstream-timeout"))
    }

    @Test(arguments: ClientVersion.allCases)
    func `silence ends a WebSocket with 1001 and a word`(_ version: ClientVersion) throws {
        let origin = HTTP2StreamTests.origin()
        var route = Self.route(origin, idle: 300)
        route.anonymous = Facts.closed(origin.port).anonymous
        let gateway = try Gateway([route], answer: RevocationTests.control)
        let goodbye: [UInt8] = [0x88, 6, 0x03, 0xe9] + Array("idle".utf8)
        switch version {
        case .http1:
            let client = try gateway.client()
            client.send(RevocationTests.webSocket(1))
            #expect(client.receive()?.status == 101)
            #expect(client.readSome() == goodbye)
            #expect(client.readSome() == nil && client.hasEnded)
        case .http2:
            let client = try HTTP2Client(gateway)
            client.send(
                HTTP2Client.headers(1, HTTP2StreamTests.connect + HTTP2Tests.cookie(1), ends: false))
            #expect(client.receive(1)?.body == goodbye)
            #expect(client.responses[1]?.isEnded == true)
        }
    }

    @Test func `inside of a frame nothing is said: the tunnel just ends`() throws {
        let origin = TestOrigin { connection in
            guard connection.readHead() != nil else { return }
            connection.socket.write(RevocationTests.switching)
            connection.socket.write([0x81, 5, 0x68])
            while connection.readSome() != nil {}
        }
        var route = Self.route(origin, idle: 300)
        route.anonymous = Facts.closed(origin.port).anonymous
        let gateway = try Gateway([route], answer: RevocationTests.control)
        let client = try gateway.client()
        client.send(RevocationTests.webSocket(1))
        #expect(client.receive()?.status == 101)
        var bytes: [UInt8] = []
        while let more = client.readSome() { bytes += more }
        #expect(bytes == [0x81, 5, 0x68])
    }
}
