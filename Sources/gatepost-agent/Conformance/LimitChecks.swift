import Glibc
import JSON
import Signatures
import Synchronization

// Navigation, popup and probe image where they are offered; and what a flood does.
extension ConformanceCheck {
    static let transports: [ConformanceCheck] = [
        unsigned("nav-unsigned", "/v1/nav"), unsigned("popup-unsigned", "/v1/popup"),
        unsigned("probe-unsigned", "/v1/p.gif"),
        ConformanceCheck(
            "nav", "8.4", "a navigation leads back to the signed address, with a bound assertion"
        ) {
            subject throws(ConformanceFailure) in
            let draft = subject.draft()
            let challenge = draft.compact
            let reply = try navigate(subject, "/v1/nav", challenge)
            guard reply.status == 303, let location = reply.value("location") else {
                throw ConformanceFailure("answered \(reply.status ?? 0), not 303 with a Location")
            }
            let back = draft.payload["rtn"]?.string ?? ""
            guard location.utf8.starts(with: Array((back + (back.contains("?") ? "&" : "?")).utf8)) else {
                throw ConformanceFailure("Location does not begin with the signed rtn")
            }
            guard let assertion = parameter("a", in: location) else {
                throw ConformanceFailure("Location carries no assertion")
            }
            _ = try StatementReader(
                subject: subject, draft: draft, challenge: challenge, transport: "navigation", origin: nil
            ).read(assertion)
        },
        ConformanceCheck("nav-elsewhere", "8.4", "a signed way back to another site is never followed") {
            subject throws(ConformanceFailure) in
            var draft = subject.draft()
            draft.payload["rtn"] = "https://evil.example/"
            let reply = try navigate(subject, "/v1/nav", draft.compact)
            guard reply.values("location").isEmpty else {
                throw ConformanceFailure("Location: \(reply.value("location")?.prefix(80) ?? "")")
            }
        },
        ConformanceCheck("nav-origin", "8.4", "a navigation with an Origin field is refused") {
            subject throws(ConformanceFailure) in
            let reply = try navigate(
                subject, "/v1/nav", subject.draft().compact, further: ["Origin: https://evil.example"])
            guard parameter("a", in: reply.value("location") ?? "") == nil else {
                throw ConformanceFailure("an assertion is handed out")
            }
        },
        ConformanceCheck("nav-embedded", "8.4", "a frame or an image is no navigation") {
            subject throws(ConformanceFailure) in
            let reply = try navigate(
                subject, "/v1/nav", subject.draft().compact,
                fetchMetadata: ["Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"])
            guard parameter("a", in: reply.value("location") ?? "") == nil else {
                throw ConformanceFailure("an assertion is handed out")
            }
        },
    ]

    static let limits: [ConformanceCheck] = [
        ConformanceCheck("pieces", "11", "a request that comes in pieces is answered") {
            subject throws(ConformanceFailure) in
            let bytes = subject.request(subject.draft().compact).bytes
            let middle = bytes.count / 2
            subject.pace()
            let reply = subject.exchange(
                [Array(bytes[..<20]), Array(bytes[20..<middle]), Array(bytes[middle...])],
                pauseMilliseconds: 50)
            _ = try subject.assertion(in: reply, "three pieces")
        },
        ConformanceCheck(
            "one-answer", "11", "what follows a request on the same connection is not answered twice"
        ) {
            subject throws(ConformanceFailure) in
            let bytes = subject.request(subject.draft().compact).bytes
            subject.pace()
            let reply = subject.exchange([bytes + bytes])
            guard reply.status != nil else { throw ConformanceFailure("no answer at all") }
            guard reply.text.components(of: "\"assertion\"") <= 1 else {
                throw ConformanceFailure("one challenge was answered twice")
            }
        },
        ConformanceCheck(
            "parallel-replay", "7.10", "of 20 equal challenges at the same moment one is answered"
        ) {
            subject throws(ConformanceFailure) in
            subject.recover()
            let challenge = subject.draft().compact
            let replies = Crowd.send(20) { _ in subject.send(subject.request(challenge)) }
            let answered = replies.count { $0.status == 200 }
            guard answered == 1 else { throw ConformanceFailure("\(answered) were answered") }
        },
        ConformanceCheck(
            "rate", "11", "more than the rate is refused with 429 rate-limited, and then forgiven"
        ) {
            subject throws(ConformanceFailure) in
            let refused = try refusedForRate(subject)
            try subject.settle()
            try subject.expectError(refused, 429, ["rate-limited"], "the crowd")
            subject.recover()
            _ = try subject.assertion(in: subject.attest(subject.draft().compact), "afterwards")
        },
        ConformanceCheck("slow-head", "11", "a head that never ends is given up within 5 s", isSlow: true) {
            subject throws(ConformanceFailure) in
            let head = Array("POST /v1/attest HTTP/1.1\r\nHost: \(subject.host)\r\n".utf8)
            try subject.promptly(within: 5_000) { subject.probe.exchange([head]) }
        },
        ConformanceCheck(
            "dripped-head", "11", "a head that comes drop by drop is given up as a whole", isSlow: true
        ) {
            subject throws(ConformanceFailure) in
            let head = Array("POST /v1/attest HTTP/1.1\r\nHost: \(subject.host)\r\nX-A: ".utf8)
            // An agent that begins to wait anew with each drop waits as long as they come.
            let reply = subject.probe.drip(head, UInt8(ascii: "a"))
            guard reply.isConnected, reply.isClosed, reply.status != 200 else {
                throw ConformanceFailure("still open after \(reply.milliseconds) ms")
            }
        },
        ConformanceCheck("slow-body", "11", "a body that never comes is given up within 7 s", isSlow: true) {
            subject throws(ConformanceFailure) in
            let request = subject.request(subject.draft().compact)
            try subject.promptly(within: 7_000) { subject.probe.exchange([request.head]) }
        },
        ConformanceCheck(
            "crowd", "11", "200 idle connections do not keep the gateway's page out for long", isSlow: true
        ) { subject throws(ConformanceFailure) in
            let held = (0..<200).map { _ in subject.probe.hold() }
            defer { for descriptor in held where descriptor >= 0 { close(descriptor) } }
            let until = subject.clock.nowMilliseconds() + subject.patienceMilliseconds
            while subject.clock.nowMilliseconds() < until {
                if subject.attest(subject.draft().compact).status == 200 { return }
                poll(nil, 0, 250)
            }
            throw ConformanceFailure(
                "no answer within \(subject.patienceMilliseconds) ms beside 200 idle connections")
        },
    ]

    static let last: [ConformanceCheck] = [
        ConformanceCheck("still-answers", "11", "after all of this a good challenge is answered") {
            subject throws(ConformanceFailure) in
            try subject.settle()
            _ = try subject.assertion(in: subject.attest(subject.draft().compact))
        }
    ]

    /// One of those that a crowd is refused for the rate: crowds come until one of them is quick enough to be one.
    private static func refusedForRate(_ subject: ConformanceSubject) throws(ConformanceFailure) -> ProbeReply
    {
        let until = subject.clock.nowMilliseconds() + subject.patienceMilliseconds
        while true {
            subject.recover()
            let began = subject.clock.nowMilliseconds()
            let replies = Crowd.send(60) { _ in subject.send(subject.request(subject.draft().compact)) }
            let seconds = Double(subject.clock.nowMilliseconds() - began) / 1_000
            if let refused = replies.first(where: { $0.status == 429 }) { return refused }
            let answered = replies.count { $0.status == 200 }
            guard Double(answered) <= subject.rate.burst + subject.rate.perSecond * seconds else {
                throw ConformanceFailure(
                    "\(answered) of 60 at once were answered and none refused for the rate")
            }
            guard subject.clock.nowMilliseconds() < until else {
                throw .notJudged("this machine is too busy for as many requests at once")
            }
        }
    }

    private static func unsigned(_ name: String, _ path: String) -> ConformanceCheck {
        ConformanceCheck(name, "8.4", "\(path) tells strangers nothing: no challenge, or one by another key")
        {
            subject throws(ConformanceFailure) in
            var forged = subject.draft()
            forged.signer = subject.gateway.stranger
            let replies = ["", "?c=x", "?c=" + forged.compact].map { query in
                subject.exchange([
                    Array("GET \(path)\(query) HTTP/1.1\r\nHost: \(subject.host)\r\n\r\n".utf8)
                ])
            }
            for reply in replies {
                guard reply.values("location").isEmpty else {
                    throw ConformanceFailure("\(path) leads strangers somewhere")
                }
                try subject.expectSilent(reply, path)
            }
        }
    }

    private static func navigate(
        _ subject: ConformanceSubject, _ path: String, _ challenge: String, further: [String] = [],
        fetchMetadata: [String] = ["Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"]
    ) throws(ConformanceFailure) -> ProbeReply {
        func get(_ challenge: String, _ fields: [String]) -> ProbeReply {
            let lines = ["GET \(path)?c=\(challenge) HTTP/1.1", "Host: \(subject.host)"] + fields
            subject.pace()
            return subject.exchange([Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)])
        }
        let good = get(
            subject.draft().compact, ["Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"])
        if good.comparable == (try subject.refusal()).comparable {
            throw .notOffered("\(path) is not offered")
        }
        return get(challenge, fetchMetadata + further)
    }

    private static func parameter(_ name: String, in url: String) -> String? {
        guard let question = url.firstIndex(of: "?") else { return nil }
        for pair in url[url.index(after: question)...].split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1)
            if parts.count == 2, parts[0] == name { return String(parts[1]) }
        }
        return nil
    }
}

extension String {
    /// How often a text occurs.
    fileprivate func components(of text: String) -> Int {
        var count = 0
        var rest = self[...]
        while let range = rest.firstRange(of: text) {
            count += 1
            rest = rest[range.upperBound...]
        }
        return count
    }
}
