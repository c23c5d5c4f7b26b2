import Glibc
import JSON
import Signatures
import Synchronization

/// The agent under test together with the gateway that it is enrolled with.
final class ConformanceSubject: Sendable {
    let gateway: ConformanceGateway
    let probe: AgentProbe
    let clock: AgentClock
    /// Between two requests that count for the agent's rate.
    private let paceMilliseconds: Int64
    /// The management server's statement that the agent was given; nil: none.
    let statement: String?
    /// Ends the agent without warning and starts it again; nil: the runner cannot. False: it does not come back.
    let restart: (@Sendable () -> Bool)?
    /// How long an agent may take to ask for newer keys.
    let renewalMilliseconds: Int64
    /// What the agent answers of one origin (PROTOCOL.md 11).
    let rate: Rate
    private let paid = Mutex<Int64?>(nil)

    struct Rate: Sendable {
        var perSecond: Double = 5
        var burst: Double = 10
    }

    /// This machine's addresses outside loopback, in host byte order.
    let outwardAddresses: [UInt32]
    /// A limit for what is waited for, not a time that anything should take.
    let patienceMilliseconds: Int64
    static let standardPatienceMilliseconds: Int64 = 60_000
    /// The shortest time that agents give a head or a body (PROTOCOL.md 11).
    static let agentPatienceMilliseconds: Int64 = 2_000

    init(
        gateway: ConformanceGateway, probe: AgentProbe, clock: AgentClock, paceMilliseconds: Int64 = 250,
        renewalMilliseconds: Int64 = 60_000, rate: Rate = Rate(), statement: String? = nil,
        outwardAddresses: [UInt32] = LocalAddresses.outward(),
        patienceMilliseconds: Int64 = standardPatienceMilliseconds,
        restart: (@Sendable () -> Bool)? = nil
    ) {
        self.renewalMilliseconds = renewalMilliseconds
        self.gateway = gateway
        self.rate = rate
        self.statement = statement
        self.restart = restart
        self.probe = probe
        self.clock = clock
        self.paceMilliseconds = paceMilliseconds
        self.outwardAddresses = outwardAddresses
        self.patienceMilliseconds = patienceMilliseconds
    }

    var origin: String { gateway.origin }
    var host: String { "127.0.0.1:\(probe.port)" }

    func draft() -> ChallengeDraft { ChallengeDraft(gateway, nowSeconds: clock.nowSeconds()) }

    /// A request for an answer, every part of which can be replaced; a nil field is left out.
    struct Request: Sendable {
        var method = "POST"
        var target = "/v1/attest"
        var host: String?
        var origins: [String]
        var contentType: String? = "application/json"
        var further: [String] = []
        var body: [UInt8]
        /// nil: the body's own.
        var length: String?
        var sendsLength = true

        var head: [UInt8] {
            var lines = ["\(method) \(target) HTTP/1.1"]
            if let host { lines.append("Host: \(host)") }
            lines += origins.map { "Origin: \($0)" }
            if let contentType { lines.append("Content-Type: \(contentType)") }
            lines += further
            if sendsLength { lines.append("Content-Length: \(length ?? String(body.count))") }
            return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
        }

        var bytes: [UInt8] { head + body }
    }

    /// A good request with this challenge.
    func request(_ challenge: String) -> Request {
        Request(
            host: host, origins: [origin],
            body: JSONObject([("challenge", .string(challenge))]).serialized())
    }

    func send(_ request: Request) -> ProbeReply { exchange([request.bytes]) }

    /// Sends a whole request. Where this machine let more time pass than the agent gives before it came to read, the
    /// agent closed without an answer: that says nothing about it, and the request is sent again.
    func exchange(_ pieces: [[UInt8]], pauseMilliseconds: Int32 = 0) -> ProbeReply {
        let until = clock.nowMilliseconds() + patienceMilliseconds
        while true {
            let reply = probe.exchange(pieces, pauseMilliseconds: pauseMilliseconds)
            let isGivenUp =
                reply.bytes.isEmpty && reply.isClosed && reply.milliseconds >= Self.agentPatienceMilliseconds
            guard isGivenUp, clock.nowMilliseconds() < until else { return reply }
        }
    }

    /// Sends what costs the agent's rate, not faster than it allows; a refusal for the rate, or because the agent has
    /// too much to do, is waited out.
    func attest(_ request: Request) -> ProbeReply {
        let until = clock.nowMilliseconds() + patienceMilliseconds
        while true {
            pace()
            let reply = send(request)
            guard reply.status == 429 || reply.status == 503, clock.nowMilliseconds() < until else {
                return reply
            }
            poll(nil, 0, 400)
        }
    }

    /// Waits until the agent has closed what a crowd left open: it takes 32 connections and closes others unread.
    func settle() throws(ConformanceFailure) {
        let until = clock.nowMilliseconds() + patienceMilliseconds
        while (try? refusal()) == nil {
            guard clock.nowMilliseconds() < until else {
                throw ConformanceFailure(
                    "strangers get no answer \(patienceMilliseconds) ms after a crowd has gone")
            }
            poll(nil, 0, 100)
        }
    }

    /// Whether something came to its end in time, where this machine can tell.
    ///
    /// - Throws: a failure when it did not, although programs run here when they want to; "not judged" where every
    ///   attempt was disturbed.
    func promptly(
        within milliseconds: Int64, _ attempt: () -> ProbeReply
    ) throws(ConformanceFailure) {
        for _ in 0..<5 {
            let (reply, late) = MachineWitness.watch(clock, attempt)
            if reply.isConnected, reply.isClosed, reply.milliseconds <= milliseconds { return }
            guard reply.isConnected, reply.isClosed, late >= MachineWitness.busyMilliseconds else {
                throw ConformanceFailure("still open after \(reply.milliseconds) ms")
            }
        }
        throw .notJudged("this machine is too busy to tell what \(milliseconds) ms are")
    }

    func attest(_ challenge: String) -> ProbeReply { attest(request(challenge)) }

    /// Before whatever costs the agent's rate.
    func pace() {
        guard paceMilliseconds > 0 else { return }
        let wait = paid.withLock { last in
            let now = clock.nowMilliseconds()
            let next = max(now, (last ?? now - paceMilliseconds) + paceMilliseconds)
            last = next
            return next - now
        }
        if wait > 0 { poll(nil, 0, CInt(wait)) }
    }

    /// Lets the agent's rate recover after it was exhausted on purpose.
    func recover() { if paceMilliseconds > 0 { poll(nil, 0, 2_500) } }

    /// What strangers get: the answer to a plain GET.
    func refusal() throws(ConformanceFailure) -> ProbeReply {
        let reply = exchange([Array("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n".utf8)])
        guard reply.isConnected else { throw ConformanceFailure("nothing listens at \(host)") }
        guard reply.status == 403 else {
            throw ConformanceFailure(
                "GET / is answered \(reply.status.map(String.init) ?? "nothing"), not 403")
        }
        return reply
    }

    /// The one refusal of strangers, byte for byte.
    func expectSilent(_ reply: ProbeReply, _ what: String) throws(ConformanceFailure) {
        guard reply.value("access-control-allow-origin") == nil else {
            throw ConformanceFailure("\(what): Access-Control-Allow-Origin is sent")
        }
        guard reply.comparable == (try refusal()).comparable else {
            let status = reply.status.map(String.init) ?? "nothing"
            throw ConformanceFailure("\(what): answered \(status), other bytes than the silent refusal")
        }
    }

    /// An error that the gateway's page may read: status, word, the agent's time, CORS.
    func expectError(
        _ reply: ProbeReply, _ status: Int, _ words: [String], _ what: String = "the challenge"
    ) throws(ConformanceFailure) {
        guard let body = try? JSONValue(parsing: reply.body), let word = body["error"]?.string else {
            let got = reply.status.map(String.init) ?? "nothing"
            throw ConformanceFailure("\(what): answered \(got) without an error word")
        }
        guard reply.status == status, words.contains(where: { ConformanceGateway.same($0, word) }) else {
            let expected = words.joined(separator: " or ")
            throw ConformanceFailure(
                "\(what): answered \(reply.status ?? 0) \(word.prefix(40)), not \(status) \(expected)")
        }
        // Said somewhere between the request and now, which may be far apart on a machine that is busy.
        guard let now = body["now"]?.integer,
            (reply.beganAtSeconds - 5...max(reply.beganAtSeconds, clock.nowSeconds()) + 5).contains(now)
        else {
            throw ConformanceFailure("\(what): the error does not carry the agent's time in \"now\"")
        }
        try expectCORS(reply, what)
    }

    func expectCORS(_ reply: ProbeReply, _ what: String) throws(ConformanceFailure) {
        guard reply.value("access-control-allow-origin").map({ ConformanceGateway.same($0, origin) }) == true
        else { throw ConformanceFailure("\(what): Access-Control-Allow-Origin is not exactly \(origin)") }
        guard reply.values("vary").contains(where: { $0.lowercased().contains("origin") }) else {
            throw ConformanceFailure("\(what): Vary does not name Origin")
        }
        guard reply.value("access-control-allow-credentials") == nil else {
            throw ConformanceFailure("\(what): credentials are allowed")
        }
        guard reply.value("cache-control")?.lowercased().contains("no-store") == true else {
            throw ConformanceFailure("\(what): may be stored by caches")
        }
    }

    /// The assertion of a good answer.
    func assertion(in reply: ProbeReply, _ what: String = "a good challenge") throws(ConformanceFailure)
        -> String
    {
        guard reply.status == 200, let body = try? JSONValue(parsing: reply.body),
            let assertion = body["assertion"]?.string
        else {
            let got = reply.status.map(String.init) ?? (reply.isConnected ? "nothing" : "no connection")
            let word =
                (try? JSONValue(parsing: reply.body))?["error"]?.string.map { " " + $0.prefix(40) } ?? ""
            throw ConformanceFailure("\(what): answered \(got)\(word), not 200 with an assertion")
        }
        return assertion
    }
}
