import Access
import Border
import CLinux
import Glibc
import JSON
import Testing

@testable import DataPlane

@Suite("The access log and the metrics")
struct LogTests {
    private func line(_ gateway: Gateway) throws -> JSONValue {
        try JSONValue(parsing: Array(try #require(gateway.logLine()).utf8))
    }

    @Test func `every request is one line of JSON with its names, its outcome and its times`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)], accessLog: true)
        let client = try gateway.client()
        let response = try #require(client.get("/a%20b?secret=1", fields: "User-Agent: \"x\"\r\n"))
        let first = try line(gateway)
        #expect(first["request_id"]?.string == response.field("Gatepost-Request-Id"))
        #expect(first["trace_id"]?.string?.count == 32)
        #expect(first["host"]?.string == "wiki.test")
        #expect(first["application"]?.string == "wiki")
        #expect(first["method"]?.string == "GET")
        #expect(first["path"]?.string == "/a%20b")
        #expect(first["status"]?.integer == 200)
        #expect(first["reason"]?.string == "policy-bypasses")
        #expect(first["client"]?.string == "127.0.0.1")
        #expect(first["upstream_us"]?.integer != nil)
        #expect(first["time"]?.string?.count == 24)
        _ = client.get(host: "unknown.test")
        let second = try line(gateway)
        #expect(second["status"]?.integer == 421)
        #expect(second["reason"]?.string == "route-not-found")
    }

    @Test func `a log line names the session and its device and never the cookie`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.closed(origin.port)], accessLog: true, answer: SessionTests.control)
        _ = try gateway.client().get(fields: Facts.cookie(1))
        let text = try #require(gateway.logLine())
        #expect(text.contains("\"session\":\"session-1\"") && text.contains("\"device\":\"device-1\""))
        #expect(!text.contains("__Host"))
        // A record that names no decision has none in the line either.
        #expect(!text.contains("\"decision\""))
    }

    @Test("004.3 the way back of a device check: the answer in its address is in no line of the log")
    func deviceReturn() throws {
        let gateway = try Gateway([Facts.open(1)], accessLog: true, answer: SessionTests.control)
        let answer = String(repeating: "eyJhbGciOiJFUzI1NiJ9.", count: 700)
        let client = try gateway.client()
        let response = client.get("/.gatepost/posture/return?tx=check-1&a=\(answer)")
        #expect(response?.text == "reserved /.gatepost/posture/return 0")
        let text = try #require(gateway.logLine())
        #expect(text.contains("\"path\":\"/.gatepost/posture/return\""))
        #expect(!text.contains("eyJ") && !text.contains("check-1") && !text.contains("?"))
    }

    @Test("002.1 every line names the decision that decided the request, or the policy that is nobody's")
    func decision() throws {
        let origin = TestOrigin.echo()
        let id = DecisionID(high: 0x0123_4567_89ab_cdef, low: 0xfedc)
        let gateway = try Gateway(
            [Facts.closed(origin.port), Facts.open(origin.port, host: "open.test", name: "open")],
            accessLog: true
        ) { message, gateway in
            guard case .pullSession(let ticket, let digest, _) = message else { return }
            // The second session is refused by its decision.
            var record = Facts.record(1, allowed: digest == Facts.digest(1))
            record.tokenDigest = digest
            record.decision = id
            gateway.send(.session(ticket, record))
        }
        let client = try gateway.client()
        _ = client.get(fields: Facts.cookie(1))
        #expect(try line(gateway)["decision"]?.string == id.text)
        _ = client.get(fields: Facts.cookie(2))
        let refused = try line(gateway)
        #expect(refused["status"] == 403 && refused["decision"]?.string == id.text)
        _ = client.get()
        #expect(try line(gateway)["decision"] == "policy-test")
        _ = try gateway.client().get(host: "open.test")
        #expect(try line(gateway)["decision"] == "policy-test")
        _ = try gateway.client().get(host: "unknown.test")
        #expect(try line(gateway)["decision"] == nil)
    }

    @Test(
        arguments: [
            (nil, "/.gatepost/page", "reserved-path"), (.nonceUsed, "/.gatepost/page", "nonce-used"),
            (nil, "/document", "sign-in-required"),
            (.identityProviderUnavailable, "/document", "identity-provider-unavailable"),
        ] as [(Reason?, String, String)])
    func `what the control plane answers is logged with its reason, never as allowed by policy`(
        _ reason: Reason?, _ path: String, _ expected: String
    ) throws {
        let gateway = try Gateway([Facts.closed(1)], accessLog: true) { message, gateway in
            guard case .request(let request) = message else { return }
            gateway.send(
                .response(
                    ControlResponse(ticket: request.ticket, status: 200, fields: [], body: [], reason: reason)
                ))
        }
        #expect(try gateway.client().get(path, fields: "Sec-Fetch-Mode: navigate\r\n")?.status == 200)
        #expect(try line(gateway)["reason"]?.string == expected)
    }

    @Test func `a client that leaves before anything was decided is logged as undecided`() throws {
        let gateway = try Gateway([Facts.closed(1)], accessLog: true)
        var client: TestClient? = try gateway.client()
        client?.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\(Facts.cookie(1))\r\n")
        #expect(gateway.waitForCounter("session_pulls", atLeast: 1))
        client = nil
        #expect(try line(gateway)["reason"]?.string == "undecided")
    }

    @Test func `with the log off nothing is written`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)])
        #expect(try gateway.client().get()?.status == 200)
        gateway.engine.drain(deadlineMilliseconds: 0)
        gateway.engine.join()
        #expect(!gateway.logReader.waitReadable(0))
    }

    @Test func `a ring that is full drops whole lines and keeps the others whole`() {
        let ring = LogRing(capacity: 16)
        var taken: [Bool] = []
        for count in [10, 7, 6, 1] {
            let line = [UInt8](repeating: 1, count: count)
            taken.append(ring.write(line.span))
        }
        #expect(taken == [true, false, true, false])
    }

    @Test func `a turn longer than 250 ms is reported by the log thread, once`() throws {
        var pipes: [Int32] = [0, 0]
        pipe(&pipes)
        let mark = TurnMark()
        let counters = ReactorCounters()
        mark.begin(Clock.monotonicNanoseconds() - LogThread.stallNanoseconds - 5_000_000)
        let thread = try LogThread(
            [LogThread.Source(ring: LogRing(), mark: mark, counters: counters)], descriptor: pipes[1])
        let threads = Threads()
        threads.startLog(thread)
        let reader = TestSocket(descriptor: pipes[0])
        let text = String(decoding: reader.read() ?? [], as: UTF8.self)
        #expect(text.contains("\"event\":\"reactor-stalled\""))
        thread.end()
        threads.joinLog()
        #expect(counters.value(.stalls) == 1)
        reader.close()
        _ = close(pipes[1])
    }

    @Test func `every value falls into a bucket whose bound is at most a quarter above it`() {
        var value: UInt64 = 1
        while value < 1 << 38 {
            for number in [value - 1, value, value + value / 3] {
                let bound = ReactorCounters.upperBound(ofBucket: ReactorCounters.bucket(of: number))
                #expect(bound >= number && bound <= number + number / 4 + 1, "\(number): \(bound)")
            }
            value *= 2
        }
    }

    @Test func `quantiles come from the counts`() {
        let counters = ReactorCounters()
        for _ in 0..<99 { counters.record(.walk, 1_000) }
        counters.record(.walk, 1_000_000)
        let histogram = ReactorMetrics(counters).stages["walk"]
        #expect(histogram?.total == 100)
        #expect((1_000...1_280).contains(histogram?.quantileNanoseconds(0.5) ?? 0))
        #expect((1_000_000...1_280_000).contains(histogram?.quantileNanoseconds(1) ?? 0))
    }
}
