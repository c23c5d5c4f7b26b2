import Foundation
import Testing

extension EndToEnd.Attacks {
    /// One test for each published flaw of another gateway; docs/known-attacks.md says what each was.
    @Suite("Published flaws of other gateways")
    struct KnownAttackTests {
        /// Nothing arrives upstream, and the answer is one of these.
        private func refused(_ attacks: [Attack], _ statuses: Int...) throws {
            for outcome in try AttackStage.current().play(attacks) {
                #expect(outcome.answers.count == 1, "\(outcome.said)")
                #expect(outcome.status.map(statuses.contains) == true, "\(outcome.said)")
                #expect(outcome.answers.first?.reason != nil, "\(outcome.said)")
                #expect(outcome.reached.isEmpty, "\(outcome.said)")
            }
        }

        /// Exactly this target arrives, once.
        private func arrives(_ attacks: [Attack], as target: String) throws -> [Outcome] {
            let outcomes = try AttackStage.current().play(attacks)
            for outcome in outcomes {
                #expect(outcome.status == 200, "\(outcome.said)")
                #expect(outcome.reached.map(\.target) == [target], "\(outcome.said)")
            }
            return outcomes
        }

        @Test("CVE-2026-40575 (oauth2-proxy): a path in a field decides nothing")
        func pathInField() throws {
            let names = [
                "X-Forwarded-Uri", "X-Forwarded-Path", "X-Original-URL", "X-Original-URI", "X-Rewrite-URL",
                "X-Forwarded-Prefix", "X-Envoy-Original-Path", "X-Auth-Request-Redirect",
            ]
            try refused(names.map { .get("/admin", "\($0): /public/x") }, 401)
            try refused(
                ["X-Forwarded-Method", "X-HTTP-Method-Override", "X-Original-Method"].map {
                    .get("/admin", "\($0): OPTIONS")
                }, 401)
        }

        @Test(
            "oauth2-proxy #3506: no peer is trusted to name the client, and the upstream hears our word alone"
        )
        func trustedByDefault() throws {
            try refused(
                [
                    .get("/admin", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Uri: /public/x"),
                    .get("/admin", "Forwarded: for=127.0.0.1;host=python.corp.test;proto=https"),
                    .get("/admin", "X-Forwarded-Host: python.corp.test"),
                ], 401)
            let forged = [
                "X-Forwarded-For", "X-Real-IP", "Forwarded", "x_forwarded_for", "X-Forwarded-Host",
                "True-Client-IP",
                "X-Forwarded-Proto",
            ]
            let attack = Attack(
                "GET /public/x HTTP/1.1\r\nHost: closed.corp.test\r\n"
                    + forged.map { "\($0): 10.9.9.9\r\n" }.joined() + "\r\n")
            let outcome = try #require(try arrives([attack], as: "/public/x").first)
            for field in outcome.reached.first?.named ?? [] {
                #expect(!field.value.contains("10.9.9.9"), "\(field.name)")
            }
            let client = outcome.reached.first?.named.filter { $0.name.lowercased() == "x-forwarded-for" }
            #expect(client?.map(\.value) == ["127.0.0.1"])
        }

        @Test("GHSA-7rh7-c77v-6434 (oauth2-proxy): the query is no part of the path that a rule sees")
        func pathAndQuery() throws {
            try refused(
                [
                    "/admin?/public/x", "/admin?x=/public/", "/?/public", "/admin%3f/public",
                    "/admin%3F/public/",
                    "/admin?/../public", "/admin;/public/x", "/?", "/publicx?/public/",
                ].map { .get($0) }, 401)
            _ = try arrives([.get("/public/x?/admin")], as: "/public/x?/admin")
        }

        @Test(
            "CVE-2026-41059 (oauth2-proxy), CVE-2021-32777 (Envoy), CVE-2021-39206 (Pomerium): no fragment is read"
        )
        func fragment() throws {
            try refused(
                [
                    "/admin#/public/x", "/public/#/../admin", "/public/x#", "/#/public/", "/public/x?a#b",
                    "https://closed.corp.test/admin#/public",
                ].map { .get($0) }, 400)
            try refused([.get("/admin%23/public/x")], 401)
        }

        @Test(
            "CVE-2026-34457 (oauth2-proxy): a health check's User-Agent opens no path, nor does its path another"
        )
        func healthCheck() throws {
            let agents = ["GoogleHC/1.0", "kube-probe/1.28", "ELB-HealthChecker/2.0", "Consul Health Check"]
            try refused(agents.map { .get("/admin", "User-Agent: \($0)") }, 401)
            try refused(
                ["/healthz/", "/healthz;x", "/Healthz", "/healthzz", "/ping", "/ready", "/oauth2/auth"].map {
                    .get($0, "User-Agent: GoogleHC/1.0")
                }, 401)
            try refused(
                ["/healthz/../admin", "/healthz%2f..%2fadmin", "/healthz/%2e%2e/admin"].map { .get($0) }, 400)
            _ = try arrives([.get("/healthz")], as: "/healthz")
        }

        @Test("CVE-2025-64484 (oauth2-proxy): no spelling of an identity field survives")
        func identityFields() throws {
            let names = [
                "X-Remote-User", "x-remote-user", "X_Remote_User", "X-Remote_User", "x_REMOTE_user",
                "X.Remote.User",
                "X~Remote~User", "XRemoteUser", "X--Remote--User", "Gatepost-Assertion", "gatepost_assertion",
                "GATEPOST.ASSERTION", "Gatepost-Request-Id",
            ]
            for name in names {
                let outcome = try #require(
                    try arrives([.get("/public/x", "\(name): root@evil.example")], as: "/public/x").first)
                let values = outcome.reached.first?.named ?? []
                #expect(!values.contains { $0.value.contains("evil.example") }, "\(name)")
            }
            // Nor may the client have ours removed on the way.
            try refused(
                ["X-Remote-User", "x_remote_user", "Gatepost-Assertion"].map {
                    .get("/public/x", "Connection: close, \($0)")
                }, 400)
            try refused(
                ["X-Remote-User :", " X-Remote-User:", "X-Remote-User\t:"].map {
                    .get("/public/x", "\($0) r")
                }, 400)
        }

        @Test("GHSA-c5c4-8r6x-56w3 (oauth2-proxy): an e-mail domain is compared whole")
        func emailDomain() throws {
            let stack = try Stack.current()
            // carol@partner.example: neither a domain that ends so nor one that hers ends with lets her in.
            let domains = [
                "artner.example", "example", "www.partner.example", "partner.example.corp.example",
            ]
            let policies = domains.map {
                "{ name: p\($0.count), action: allow, include: [ { email-domain: \($0) } ] }"
            }
            try """
            version: 1
            applications:
              ledger:
                host: ledger.corp.test
                upstreams: [ "http://127.0.0.1:\(Stack.echoPort)" ]
                identity-providers: [ hr-staff ]
                policies: [ \(policies.joined(separator: ", ")) ]

            """.write(toFile: stack.path("domains.yaml"), atomically: true, encoding: .utf8)
            defer {
                try? FileManager.default.removeItem(atPath: stack.path("domains.yaml"))
                try? stack.child("gateway").signal(SIGHUP)
            }
            try stack.child("gateway").signal(SIGHUP)
            let host = "https://ledger.corp.test/"
            try poll("the application", seconds: 15) {
                (try Client(stack).fetch(host).status == 401).whenTrue
            }
            let carol = Client(stack)
            let page = try carol.follow(try carol.get(host)).answer
            _ = try carol.follow(try carol.answer(page, user: "carol"))
            let answer = try carol.fetch(host)
            #expect(answer.status == 403)
            #expect(answer.field("gatepost-reason") == "no-policy-matches")
        }

        @Test("CVE-2026-25748 (authentik): a malformed session cookie is no session")
        func malformedCookie() throws {
            let whole = String(repeating: "A", count: 57)
            let values = [
                "", "%00", "AAAA", whole, whole + "=", "\"\"", "\"\(whole)\"", "undefined", "null", "{}",
                "\u{e9}", "a b",
                String(repeating: "A", count: 9_000), "\(whole); __Host-gatepost=x",
                "x; __Host-gatepost=\(whole)",
            ]
            try refused(values.map { .get("/admin", "Cookie: __Host-gatepost=\($0)") }, 401)
            try refused(
                [
                    "__Host-gatepost", "=__Host-gatepost=\(whole)", "__host-gatepost=\(whole)", ";;;",
                    "$Version=1",
                ].map {
                    .get("/admin", "Cookie: \($0)")
                }, 401)
            // As many as fit, and the one that matters in two lines.
            try refused([.get("/admin", "Cookie: __Host-gatepost=a", "Cookie: __Host-gatepost=b")], 401)
        }

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
            "CVE-2021-29652 (Pomerium): no reserved address does anything for unsigned parameters, nor goes upstream"
        )
        func reservedPaths() throws {
            let paths = [
                "sign-in?transaction=x&url=https://evil.example/", "callback/staff?code=x&state=y",
                "handoff?code=AAAA&url=https://evil.example/", "posture/start?tx=1", "posture/challenge?tx=1",
                "posture/return?tx=1", "connect/staff?code=x&state=y",
                "backchannel-logout/staff", "signals/x", "enroll", "x", "",
            ]
            let stage = try AttackStage.current()
            for host in [AttackStage.closed, "auth.corp.test"] {
                for outcome in try stage.play(paths.map { .get("/.gatepost/\($0)", to: host) }) {
                    #expect(outcome.reached.isEmpty, "\(outcome.said)")
                    #expect(outcome.status.map { (400...499).contains($0) } == true, "\(outcome.said)")
                    let fields = outcome.answers.first?.fields ?? []
                    #expect(!fields.contains { $0[0] == "set-cookie" && $0[1].contains("__Host-gatepost=") })
                    #expect(
                        !fields.contains { $0[0] == "location" && $0[1].contains("evil") }, "\(outcome.said)")
                }
            }
            try refused(["/.GATEPOST/x", "/%2egatepost/x", "/%2Egatepost/x"].map { .get($0) }, 401, 404)
            try refused(
                ["/.gatepost%2fsign-in", "/.gatepost/../public/x", "/.gatepost//x"].map { .get($0) }, 400)
        }

        @Test("CVE-2022-24797 (Pomerium): no public listener has metrics, profiles or administration")
        func debugPages() throws {
            let paths = [
                "/debug/pprof/", "/debug/vars", "/metrics", "/-/metrics", "/stats", "/server-status",
                "/admin/api",
                "/.gatepost/metrics", "/.gatepost/status", "/.gatepost/debug/pprof", "/.gatepost/admin",
                "/healthz/metrics",
            ]
            for host in [AttackStage.closed, "auth.corp.test"] {
                try refused(paths.map { .get($0, to: host) }, 401, 404)
            }
        }

        @Test("CVE-2021-29492, CVE-2019-9901 (Envoy), CVE-2026-27587 (Caddy): one reading of an escaped path")
        func escapedPaths() throws {
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
                ].map { .get($0) }, 400)
            try refused(["/publicx", "/PUBLIC/x", "/public%20/x", "/p%75blicx"].map { .get($0) }, 401)
            _ = try arrives([.get("/%70ubli%63/x"), .get("/public/%78")], as: "/public/x")
            _ = try arrives([.get("/public/%c3%bc%3a")], as: "/public/%C3%BC%3A")
        }

        @Test("CVE-2026-27588 (Caddy): hosts match in any case, above a hundred of them too")
        func manyHosts() throws {
            for number in [0, 7, AttackStage.manyCount - 1] {
                let host = "many-\(number).corp.test"
                try refused(
                    [host, host.uppercased(), "Many-\(number).Corp.Test", host + ":443"].map {
                        .get("/public/x", to: host, named: $0)
                    }, 401)
            }
            for named in ["python.corp.test", "PYTHON.CORP.TEST", "Python.corp.Test"] {
                let outcome = try arrives(
                    [.get("/public/x", to: "python.corp.test", named: named)], as: "/public/x")
                let hosts = outcome.first?.reached.first?.named.filter { $0.name.lowercased() == "host" }
                #expect(hosts?.map(\.value) == ["python.corp.test"])
            }
            try refused(
                ["evil.test", "[::1]", "127.0.0.1", "closed.corp.test.evil.test", "xclosed.corp.test"].map {
                    .get("/public/x", named: $0)
                }, 421)
            try refused(
                ["closed.corp.test.", "closed.corp.test@evil.test", "closed.corp.test, python.corp.test", ""]
                    .map {
                        .get("/public/x", named: $0)
                    }, 400)
        }

        @Test("CVE-2023-27491 (Envoy): a field that is none is refused, not forwarded")
        func invalidFields() throws {
            try refused(
                [
                    "X: a\u{b}b", "X: \u{7f}", "X: \u{1}", "X\u{80}: b", ":method: GET", ":path: /admin",
                    "X y: 1", "X\"y: 1",
                    "X: a\n", "\u{fc}: 1",
                ].map { .get("/public/x", $0) }, 400)
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
                try poll("the reload to be refused", seconds: 20) {
                    let said = try stage.child("gateway").output
                    return (said.components(separatedBy: "configuration not taken").count == number + 2)
                        .whenTrue
                }
                try refused([.get("/admin"), .get("/public/../admin")], 400, 401)
                _ = try arrives([.get("/public/x")], as: "/public/x")
            }
        }
    }
}
