import Foundation
import Testing

// The second half: what reads requests, what answers for itself, and how it is configured.
extension EndToEnd.Attacks.KnownAttackTests {
    @Test(
        "GHSA-68wm-pfjf-wqp6 (Authelia with nginx): a malformed request is refused, never waved through")
    func malformedRequest() throws {
        let lines = [
            "X: \u{0}", " X: y", "X : y", ": y", "Host: python.corp.test", "X", "X: a\rb",
            "X: a\nHost: b", "X(y: 1",
            "Content-Length: 1\r\nContent-Length: 2", "Content-Length: -1",
            "Transfer-Encoding: chunked, chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 3", "Transfer-Encoding: xchunked",
        ]
        try refused(lines.map { .get("/admin", $0) } + lines.map { .get("/public/x", $0) }, 400, 501)
        let heads = [
            "GET /public/x\r\n\r\n", "GET  /public/x HTTP/1.1\r\nHost: closed.corp.test\r\n\r\n",
            "GET /public/x HTTP/1.1\r\n\r\n", "GET public/x HTTP/1.1\r\nHost: closed.corp.test\r\n\r\n",
            "GET /public/x HTTP/2.0\r\nHost: closed.corp.test\r\n\r\n",
            "GET\t/public/x HTTP/1.1\r\nHost: closed.corp.test\r\n\r\n",
            "GET * HTTP/1.1\r\nHost: closed.corp.test\r\n\r\n",
            "GET /public/%zz HTTP/1.1\r\nHost: closed.corp.test\r\n\r\n",
            "CONNECT closed.corp.test:443 HTTP/1.1\r\nHost: closed.corp.test:443\r\n\r\n",
            "TRACE /public/x HTTP/1.1\r\nHost: closed.corp.test\r\n\r\n",
        ]
        try refused(heads.map { Attack($0) }, 400, 501, 505)
    }

    @Test(
        "CVE-2023-33189 (Pomerium): whatever a request says of itself, it is decided as what goes upstream"
    )
    func wrongDecision() throws {
        try refused(
            ["GET", "OPTIONS", "POST", "PROPFIND", "public", "X"].map { .get("/admin", method: $0) }, 401)
        try refused(
            [
                "https://python.corp.test/admin", "http://python.corp.test/",
                "https://user@closed.corp.test/public/x",
                "//closed.corp.test/public/x", "https://closed.corp.test:x/public/",
            ].map { .get($0) }, 400)
        try refused([.get("https://closed.corp.test/admin", named: "python.corp.test")], 400)
        // What hides behind a request is a request of its own, and is decided.
        let hidden = "GET /admin HTTP/1.1\r\nHost: closed.corp.test\r\n\r\n"
        let attacks = [
            Attack("GET /public/x HTTP/1.1\r\nHost: closed.corp.test\r\n\r\n" + hidden, answers: 2),
            Attack(
                "POST /public/x HTTP/1.1\r\nHost: closed.corp.test\r\nContent-Length: 0\r\n\r\n" + hidden,
                answers: 2),
            Attack(
                "POST /public/x HTTP/1.1\r\nHost: closed.corp.test\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "0\r\n\r\n" + hidden, answers: 2),
        ]
        for outcome in try arrives(attacks, as: "/public/x") {
            #expect(outcome.answers.map(\.status) == [200, 401], "\(outcome.said)")
        }
    }

    @Test(
        "CVE-2021-29652 (Pomerium): no reserved address does anything for unsigned parameters, nor goes upstream",
        arguments: Attack.Version.allCases)
    func reservedPaths(over version: Attack.Version) throws {
        let paths = [
            "sign-in?transaction=x&url=https://evil.example/", "callback/staff?code=x&state=y",
            "handoff?code=AAAA&url=https://evil.example/", "posture/start?tx=1", "posture/challenge?tx=1",
            "posture/return?tx=1", "connect/staff?code=x&state=y",
            "backchannel-logout/staff", "signals/x", "enroll", "x", "",
        ]
        let stage = try AttackStage.current()
        for host in [AttackStage.closed, "auth.corp.test"] {
            for outcome in try stage.play(
                paths.map { .get("/.gatepost/\($0)", to: host).over(version) })
            {
                #expect(outcome.reached.isEmpty, "\(outcome.said)")
                #expect(outcome.status.map { (400...499).contains($0) } == true, "\(outcome.said)")
                let fields = outcome.answers.first?.fields ?? []
                #expect(!fields.contains { $0[0] == "set-cookie" && $0[1].contains("__Host-gatepost=") })
                #expect(
                    !fields.contains { $0[0] == "location" && $0[1].contains("evil") }, "\(outcome.said)")
            }
        }
        try refused(
            ["/.GATEPOST/x", "/%2egatepost/x", "/%2Egatepost/x"].map { .get($0) }, 401, 404, over: version)
        try refused(
            ["/.gatepost%2fsign-in", "/.gatepost/../public/x", "/.gatepost//x"].map { .get($0) }, 400,
            over: version)
    }

    @Test(
        "CVE-2022-24797 (Pomerium): no public listener has metrics, profiles or administration",
        arguments: Attack.Version.allCases)
    func debugPages(over version: Attack.Version) throws {
        let paths = [
            "/debug/pprof/", "/debug/vars", "/metrics", "/-/metrics", "/stats", "/server-status",
            "/admin/api",
            "/.gatepost/metrics", "/.gatepost/status", "/.gatepost/debug/pprof", "/.gatepost/admin",
            "/healthz/metrics",
        ]
        for host in [AttackStage.closed, "auth.corp.test"] {
            try refused(paths.map { .get($0, to: host) }, 401, 404, over: version)
        }
    }

    @Test(
        "CVE-2021-29492, CVE-2019-9901 (Envoy), CVE-2026-27587 (Caddy): one reading of an escaped path",
        arguments: Attack.Version.allCases)
    func escapedPaths(over version: Attack.Version) throws {
        try refused(
            [
                "/public%2f..%2fadmin", "/public/..%2fadmin", "/public/%2e%2e/admin",
                "/public/.%2e/admin",
                "/public/../admin", "/public%5c..%5cadmin", "/public/..;/admin", "/public/..%3b/admin",
                "/public%252f..%252fadmin", "/public/%252e%252e/admin", "/public/%c0%ae%c0%ae/admin",
                "//public/x",
                "/admin/%2e%2e/public/x", "/public%00/admin", "/./public/x", "/public/.", "/public%2fx",
                "/public/..",
                "/public\\..\\admin",
            ].map { .get($0) }, 400, over: version)
        try refused(
            ["/publicx", "/PUBLIC/x", "/public%20/x", "/p%75blicx"].map { .get($0) }, 401, over: version)
        _ = try arrives([.get("/%70ubli%63/x"), .get("/public/%78")], as: "/public/x", over: version)
        _ = try arrives([.get("/public/%c3%bc%3a")], as: "/public/%C3%BC%3A", over: version)
    }

    @Test(
        "CVE-2026-27588 (Caddy): hosts match in any case, above a hundred of them too",
        arguments: Attack.Version.allCases)
    func manyHosts(over version: Attack.Version) throws {
        for number in [0, 7, AttackStage.manyCount - 1] {
            let host = "many-\(number).corp.test"
            try refused(
                [host, host.uppercased(), "Many-\(number).Corp.Test", host + ":443"].map {
                    .get("/public/x", to: host, named: $0)
                }, 401, over: version)
        }
        for named in ["python.corp.test", "PYTHON.CORP.TEST", "Python.corp.Test"] {
            let outcome = try arrives(
                [.get("/public/x", to: "python.corp.test", named: named)], as: "/public/x", over: version)
            let hosts = outcome.first?.reached.first?.named.filter { $0.name.lowercased() == "host" }
            #expect(hosts?.map(\.value) == ["python.corp.test"])
        }
        try refused(
            ["evil.test", "[::1]", "127.0.0.1", "closed.corp.test.evil.test", "xclosed.corp.test"].map {
                .get("/public/x", named: $0)
            }, 421, over: version)
        try refused(
            ["closed.corp.test.", "closed.corp.test@evil.test", "closed.corp.test, python.corp.test", ""]
                .map {
                    .get("/public/x", named: $0)
                }, 400, over: version)
    }

    @Test("CVE-2023-27491 (Envoy): a field that is none is refused, not forwarded")
    func invalidFields() throws {
        try refused(
            [
                "X: a\u{b}b", "X: \u{7f}", "X: \u{1}", "X\u{80}: b", ":method: GET", ":path: /admin",
                "X y: 1", "X\"y: 1",
                "X: a\n", "\u{fc}: 1",
            ].map { .get("/public/x", $0) }, 400)
        // HTTP/2 carries any byte in a name or a value, and Envoy handed such fields on.
        try refused(
            [
                "x: a\u{b}b", "x: \u{7f}", "x: \u{1}", "x: a\r\nhost: evil.test", "x: a\n", "x: a\u{0}b",
                "x\u{fc}: b",
                "x y: 1", "x\"y: 1", "x\r\ny: 1", ": 1", "x: 1\t", ":path: /admin", ":method: POST",
                ":status: 200",
                ":authority: python.corp.test", ":other: 1", "connection: x", "transfer-encoding: chunked",
                "te: gzip",
                "host: python.corp.test", "content-length: 1, 1",
            ].map { .get("/public/x", $0) }, 400, over: .http2)
        _ = try arrives([.get("/public/x", "x: \u{fc}")], as: "/public/x", over: .http2)
    }

    @Test("authentik #11620, #6857: a configuration that is wrong opens nothing, nor does a reload of it")
    func wrongConfiguration() throws {
        let stage = try AttackStage.current()
        let good = try String(contentsOfFile: stage.path("gateway.yaml"), encoding: .utf8)
        defer {
            try? stage.write("gateway.yaml", good)
            try? stage.child("gateway").signal(SIGHUP)
        }
        let wrong = [
            good.replacingOccurrences(of: "action: allow", with: "action: permit"), "version: 1\n", "",
            good + "\n  more: [", String(repeating: good + "\n", count: 100),
        ]
        for (number, text) in wrong.enumerated() {
            try stage.write("gateway.yaml", text)
            try stage.child("gateway").signal(SIGHUP)
            try poll("the reload to be refused") {
                let said = try stage.child("gateway").output
                return (said.components(separatedBy: "configuration not taken").count == number + 2)
                    .whenTrue
            }
            try refused([.get("/admin"), .get("/public/../admin")], 400, 401)
            _ = try arrives([.get("/public/x")], as: "/public/x")
        }
    }
}
