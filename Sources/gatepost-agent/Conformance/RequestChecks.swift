import JSON

// Who may ask, and how: everything that an agent judges before it looks at a challenge.
extension ConformanceCheck {
    static let hosts: [ConformanceCheck] = [
        ConformanceCheck("answers-its-gateway", "8.2", "a good challenge from the gateway's page is answered")
        {
            subject throws(ConformanceFailure) in
            _ = try subject.assertion(in: subject.attest(subject.draft().compact))
        },
        ConformanceCheck("loopback-only", "2", "nothing listens on another address than loopback") {
            subject throws(ConformanceFailure) in
            let addresses = subject.outwardAddresses
            guard !addresses.isEmpty else { throw .notJudged("this machine has loopback addresses only") }
            for address in addresses
            where AgentProbe(address: address, port: subject.probe.port, clock: subject.clock).isListening {
                throw ConformanceFailure(
                    "port \(subject.probe.port) is open on \(LocalAddresses.text(address))")
            }
        },
        misdirected("host-other", "evil.example") { "evil.example:\($0.probe.port)" },
        misdirected("host-suffix", "127.0.0.1.evil.example") { "127.0.0.1.evil.example:\($0.probe.port)" },
        misdirected("host-port", "another port") { "127.0.0.1:\($0.probe.port ^ 1)" },
        misdirected("host-without-port", "no port") { _ in "127.0.0.1" },
        misdirected("host-unspecified", "0.0.0.0") { "0.0.0.0:\($0.probe.port)" },
        accepted("host-localhost", "8.1", "Host localhost:PORT is as good as 127.0.0.1:PORT") {
            (request, subject) in request.host = "localhost:\(subject.probe.port)"
        },
    ]

    static let origins: [ConformanceCheck] = [
        origin("origin-other", "another site") { _ in ["https://evil.example"] },
        origin("origin-suffix", "one that begins with the gateway's") { [$0.origin + ".evil.example"] },
        origin("origin-prefix", "one that ends with the gateway's") {
            ["https://evil" + $0.origin.dropFirst("https://".count)]
        },
        origin("origin-userinfo", "the gateway's as user information") {
            [$0.origin + "@evil.example"]
        },
        origin("origin-case", "another case") { [$0.origin.uppercased()] },
        origin("origin-scheme-case", "another case of the scheme") {
            ["HTTPS" + $0.origin.dropFirst("https".count)]
        },
        origin("origin-port", "another port") { [$0.origin + "0"] },
        origin("origin-http", "http instead of https") { ["http" + $0.origin.dropFirst("https".count)] },
        origin("origin-slash", "a slash at the end") { [$0.origin + "/"] },
        origin("origin-null", "null") { _ in ["null"] },
        origin("origin-empty", "an empty one") { _ in [""] },
        origin("origin-absent", "none") { _ in [] },
        origin("origin-twice", "two") { [$0.origin, $0.origin] },
        origin("origin-list", "a list") { [$0.origin + " https://evil.example"] },
    ]

    static let requests: [ConformanceCheck] = [
        ConformanceCheck("refusal-bare", "8.1", "the refusal of strangers has no body and names no program") {
            subject throws(ConformanceFailure) in
            let reply = try subject.refusal()
            guard reply.body.isEmpty else { throw ConformanceFailure("the refusal has a body") }
            for name in ["server", "x-powered-by", "via", "www-authenticate"]
            where !reply.values(name).isEmpty {
                throw ConformanceFailure("the refusal carries \(name)")
            }
        },
        ConformanceCheck("refusal-alike", "8.1", "every path and method is refused with the same bytes") {
            subject throws(ConformanceFailure) in
            let targets = [
                "/v1/attest", "/v1/", "/info", "/favicon.ico", "/.well-known/x", "/%2e%2e/etc", "/v2/attest",
            ]
            for target in targets {
                try subject.expectSilent(
                    subject.exchange([
                        Array("GET \(target) HTTP/1.1\r\nHost: \(subject.host)\r\n\r\n".utf8)
                    ]), "GET \(target)")
            }
            for method in ["PUT", "DELETE", "PATCH", "TRACE", "NONSENSE"] {
                try subject.expectSilent(
                    subject.exchange([
                        Array("\(method) /v1/attest HTTP/1.1\r\nHost: \(subject.host)\r\n\r\n".utf8)
                    ]), method)
            }
        },
        silent("path-other", "another path with the gateway's origin") { request, _ in
            request.target = "/v1/info"
        },
        silent("path-query", "a query behind the path") { request, _ in request.target = "/v1/attest?x=1" },
        silent("method-put", "PUT with the gateway's origin") { request, _ in request.method = "PUT" },
        silent("type-text", "text/plain: a form can send that without a preflight") { request, _ in
            request.contentType = "text/plain"
        },
        silent("type-form", "a form") { request, _ in
            request.contentType = "application/x-www-form-urlencoded"
        },
        silent("type-multipart", "a multipart form") { request, _ in
            request.contentType = "multipart/form-data; boundary=x"
        },
        silent("type-alike", "a type that begins like JSON's") { request, _ in
            request.contentType = "application/jsonp"
        },
        silent("type-absent", "no content type") { request, _ in request.contentType = nil },
        silent("body-too-large", "a body of 8,193 bytes") { request, _ in
            request.body += [UInt8](repeating: 0x20, count: 8_193 - request.body.count)
        },
        silent("body-absent", "a length of 0") { request, _ in request.body = [] },
        silent("body-chunked", "chunks instead of a length") { request, _ in
            request.sendsLength = false
            request.further.append("Transfer-Encoding: chunked")
            let size = String(request.body.count, radix: 16)
            request.body = Array("\(size)\r\n".utf8) + request.body + Array("\r\n0\r\n\r\n".utf8)
        },
        silent("length-twice", "two different lengths") { request, _ in
            request.further.append("Content-Length: 1")
        },
        silent("length-and-chunked", "a length and chunks") { request, _ in
            request.further.append("Transfer-Encoding: chunked")
        },
        silent("head-folded", "a folded field") { request, _ in request.further.append("X-A: b\r\n c") },
        silent("head-nul", "a NUL in a field") { request, _ in request.further.append("X-A: b\u{0}c") },
        silent("head-large", "a head of more than 8 KiB") { request, _ in
            request.further.append("X-A: " + String(repeating: "a", count: 9_000))
        },
        accepted("body-at-limit", "11", "a body of exactly 8,192 bytes is read") { request, _ in
            request.body += [UInt8](repeating: 0x20, count: 8_192 - request.body.count)
        },
        accepted("type-charset", "8.2", "application/json; charset=utf-8 is JSON") { request, _ in
            request.contentType = "application/json; charset=utf-8"
        },
    ]

    private static func misdirected(
        _ name: String, _ what: String, _ host: @escaping @Sendable (ConformanceSubject) -> String
    ) -> ConformanceCheck {
        ConformanceCheck(name, "8.1", "Host with \(what) is answered 421 (DNS rebinding)") {
            subject throws(ConformanceFailure) in
            var request = subject.request(subject.draft().compact)
            request.host = host(subject)
            let reply = subject.send(request)
            guard reply.status == 421, reply.body.isEmpty else {
                throw ConformanceFailure("answered \(reply.status.map(String.init) ?? "nothing"), not 421")
            }
            guard reply.value("access-control-allow-origin") == nil else {
                throw ConformanceFailure("Access-Control-Allow-Origin is sent")
            }
        }
    }

    private static func origin(
        _ name: String, _ what: String, _ origins: @escaping @Sendable (ConformanceSubject) -> [String]
    ) -> ConformanceCheck {
        ConformanceCheck(name, "7.4", "a good challenge with this Origin gets the silent refusal: \(what)") {
            subject throws(ConformanceFailure) in
            var request = subject.request(subject.draft().compact)
            request.origins = origins(subject)
            try subject.expectSilent(subject.send(request), "Origin: \(what)")
        }
    }

    private static func silent(
        _ name: String, _ what: String,
        _ edit: @escaping @Sendable (inout ConformanceSubject.Request, ConformanceSubject) -> Void
    ) -> ConformanceCheck {
        ConformanceCheck(name, "7.3", "gets the silent refusal: \(what)") {
            subject throws(ConformanceFailure) in
            var request = subject.request(subject.draft().compact)
            edit(&request, subject)
            try subject.expectSilent(subject.send(request), what)
        }
    }

    private static func accepted(
        _ name: String, _ section: String, _ guarantee: String,
        _ edit: @escaping @Sendable (inout ConformanceSubject.Request, ConformanceSubject) -> Void
    ) -> ConformanceCheck {
        ConformanceCheck(name, section, guarantee) { subject throws(ConformanceFailure) in
            var request = subject.request(subject.draft().compact)
            edit(&request, subject)
            _ = try subject.assertion(in: subject.attest(request), "the request")
        }
    }
}
