import JSON
import Signatures

// What the agent says, and to whom.
extension ConformanceCheck {
    static let crossOrigin: [ConformanceCheck] = [
        ConformanceCheck("preflight", "8.3", "the gateway's preflight gets exactly what a page needs") {
            subject throws(ConformanceFailure) in
            let reply = preflight(subject)
            guard reply.status == 204 || reply.status == 200 else {
                throw ConformanceFailure("answered \(reply.status.map(String.init) ?? "nothing"), not 204")
            }
            try subject.expectCORS(reply, "the preflight")
            let methods = reply.value("access-control-allow-methods") ?? ""
            guard ConformanceGateway.same(methods, "POST") else {
                throw ConformanceFailure("allowed methods are \"\(methods)\", not POST")
            }
            let fields = reply.value("access-control-allow-headers")?.lowercased() ?? ""
            guard ConformanceGateway.same(fields, "content-type") else {
                throw ConformanceFailure("allowed fields are \"\(fields)\", not content-type")
            }
            guard reply.value("access-control-allow-private-network") == nil else {
                throw ConformanceFailure("private network access is allowed without being asked for")
            }
        },
        ConformanceCheck("preflight-private-network", "8.3", "older Chromium's question is answered") {
            subject throws(ConformanceFailure) in
            let reply = preflight(subject, further: ["Access-Control-Request-Private-Network: true"])
            guard reply.value("access-control-allow-private-network") == "true" else {
                throw ConformanceFailure("Access-Control-Allow-Private-Network is not true")
            }
        },
        stranger("preflight-origin", "a preflight of another site") {
            preflight($0, origin: "https://evil.example")
        },
        stranger("preflight-null", "a preflight of a page without an origin") {
            preflight($0, origin: "null")
        },
        stranger("preflight-method", "a preflight for PUT") { preflight($0, method: "PUT") },
        stranger("preflight-field", "a preflight for another field") {
            preflight($0, fields: "content-type, authorization")
        },
        stranger("preflight-path", "a preflight of another path") { preflight($0, path: "/v1/info") },
    ]

    static let answers: [ConformanceCheck] = [
        ConformanceCheck(
            "answer-fields", "8.2", "the answer carries CORS for one origin, JSON, and no program name"
        ) {
            subject throws(ConformanceFailure) in
            let reply = subject.attest(subject.draft().compact)
            _ = try subject.assertion(in: reply)
            try subject.expectCORS(reply, "the answer")
            let type = reply.value("content-type") ?? ""
            guard type.lowercased().hasPrefix("application/json") else {
                throw ConformanceFailure("content type \"\(type)\"")
            }
            guard reply.values("server").isEmpty, reply.values("set-cookie").isEmpty else {
                throw ConformanceFailure("Server or Set-Cookie is sent")
            }
        },
        statement("assertion", "every member has its form and binds this challenge") {
            (_, _) throws(ConformanceFailure) in
        },
        ConformanceCheck("assertion-fresh", "9", "two answers have different jti and a growing counter") {
            subject throws(ConformanceFailure) in
            let first = try StatementReader.ask(subject, subject.draft())
            let second = try StatementReader.ask(subject, subject.draft())
            guard first["jti"]?.string != nil, first["jti"] != second["jti"] else {
                throw ConformanceFailure("jti is missing or comes twice")
            }
            guard let before = first["counter"]?.integer, let after = second["counter"]?.integer,
                after > before
            else { throw ConformanceFailure("the counter does not grow") }
        },
        statement("assertion-device", "the device is the one that enrolled") {
            (subject, payload) throws(ConformanceFailure) in
            guard let device = subject.gateway.device, payload["sub"] == .string(device.id),
                payload["cnf"]?["jkt"] == .string(device.thumbprint)
            else { throw ConformanceFailure("sub or cnf.jkt is not the enrolled device's") }
        },
        statement("assertion-last-seen", "last_seen is not in the future") {
            (subject, payload) throws(ConformanceFailure) in
            guard let seen = payload["last_seen"]?.integer else { return }
            guard seen >= 0, seen <= subject.clock.nowSeconds() + 5 else {
                throw ConformanceFailure("last_seen \(seen) is in the future")
            }
        },
    ]

    static let privacy: [ConformanceCheck] = [
        facts("facts-asked", ["platform", "os-name"], "only facts that were asked for are told"),
        facts("facts-none", [], "nobody asked for facts: none are told"),
        facts("facts-one", ["platform"], "one was asked for: no other is told"),
        ConformanceCheck("facts-unknown", "12", "facts that nobody knows are left out and do no harm") {
            subject throws(ConformanceFailure) in
            var draft = subject.draft()
            let odd = ["no-such-fact", "", "../etc/passwd", "platform"]
            draft.payload["req"] = .array(odd.map { .string($0) } + [1, nil])
            let payload = try StatementReader.ask(subject, draft)
            guard let posture = payload["posture"]?.object else { throw ConformanceFailure("no posture") }
            for name in posture.names where name != "platform" {
                throw ConformanceFailure("\(name.prefix(40)) is told")
            }
        },
        statement("user-hidden", "no name and no number of a local user is told") {
            (_, payload) throws(ConformanceFailure) in
            for name in ["user", "username", "uid", "email"] where payload[name] != nil {
                throw ConformanceFailure("member \(name)")
            }
            if let user = payload["os_user"] {
                guard let text = user.string, text.utf8.count >= 16, Int(text) == nil else {
                    throw ConformanceFailure("os_user is no hash of at least 16 characters")
                }
            }
        },
    ]

    static func preflight(
        _ subject: ConformanceSubject, origin: String? = nil, method: String = "POST",
        fields: String = "content-type", path: String = "/v1/attest", further: [String] = []
    ) -> ProbeReply {
        var lines = [
            "OPTIONS \(path) HTTP/1.1", "Host: \(subject.host)", "Origin: \(origin ?? subject.origin)",
            "Access-Control-Request-Method: \(method)", "Access-Control-Request-Headers: \(fields)",
        ]
        lines += further
        return subject.exchange([Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)])
    }

    private static func stranger(
        _ name: String, _ what: String, _ send: @escaping @Sendable (ConformanceSubject) -> ProbeReply
    ) -> ConformanceCheck {
        ConformanceCheck(name, "8.3", "gets the silent refusal: \(what)") {
            subject throws(ConformanceFailure) in try subject.expectSilent(send(subject), what)
        }
    }

    private static func statement(
        _ name: String, _ guarantee: String,
        _ judge: @escaping @Sendable (ConformanceSubject, JSONObject) throws(ConformanceFailure) -> Void
    ) -> ConformanceCheck {
        ConformanceCheck(name, "9", guarantee) { subject throws(ConformanceFailure) in
            try judge(subject, try StatementReader.ask(subject, subject.draft()))
        }
    }

    private static func facts(_ name: String, _ asked: [String], _ guarantee: String) -> ConformanceCheck {
        ConformanceCheck(name, "12", guarantee) { subject throws(ConformanceFailure) in
            var draft = subject.draft()
            draft.payload["req"] = .array(asked.map { .string($0) })
            let payload = try StatementReader.ask(subject, draft)
            guard let posture = payload["posture"]?.object else { throw ConformanceFailure("no posture") }
            let allowed = Set(asked.map { String($0.map { $0 == "-" ? "_" : $0 }) })
            for told in posture.names where !allowed.contains(told) {
                throw ConformanceFailure("\(told.prefix(40)) is told although nobody asked")
            }
        }
    }
}
