import Foundation
import Testing

extension EndToEnd.Attacks {
    /// One test for each published flaw of another gateway; docs/known-attacks.md says what each was.
    @Suite("Published flaws of other gateways")
    struct KnownAttackTests {
        /// Nothing arrives upstream, and the answer is one of these.
        func refused(_ attacks: [Attack], _ statuses: Int..., over version: Attack.Version = .http1) throws {
            for outcome in try AttackStage.current().play(attacks.map { $0.over(version) }) {
                if outcome.isReset, statuses.contains(400) {
                    #expect(outcome.reached.isEmpty, "\(outcome.said)")
                    continue
                }
                #expect(outcome.answers.count == 1, "\(outcome.said)")
                #expect(outcome.status.map(statuses.contains) == true, "\(outcome.said)")
                #expect(outcome.answers.first?.reason != nil, "\(outcome.said)")
                #expect(outcome.reached.isEmpty, "\(outcome.said)")
            }
        }

        /// Exactly this target arrives, once.
        func arrives(_ attacks: [Attack], as target: String, over version: Attack.Version = .http1) throws
            -> [Outcome]
        {
            let outcomes = try AttackStage.current().play(attacks.map { $0.over(version) })
            for outcome in outcomes {
                #expect(outcome.status == 200, "\(outcome.said)")
                #expect(outcome.reached.map(\.target) == [target], "\(outcome.said)")
            }
            return outcomes
        }

        @Test(
            "CVE-2026-40575 (oauth2-proxy): a path in a field decides nothing",
            arguments: Attack.Version.allCases)
        func pathInField(over version: Attack.Version) throws {
            let names = [
                "X-Forwarded-Uri", "X-Forwarded-Path", "X-Original-URL", "X-Original-URI", "X-Rewrite-URL",
                "X-Forwarded-Prefix", "X-Envoy-Original-Path", "X-Auth-Request-Redirect",
            ]
            try refused(names.map { .get("/admin", "\($0): /public/x") }, 401, over: version)
            try refused(
                ["X-Forwarded-Method", "X-HTTP-Method-Override", "X-Original-Method"].map {
                    .get("/admin", "\($0): OPTIONS")
                }, 401, over: version)
        }

        @Test(
            "oauth2-proxy #3506: no peer is trusted to name the client, and the upstream hears our word alone",
            arguments: Attack.Version.allCases)
        func trustedByDefault(over version: Attack.Version) throws {
            try refused(
                [
                    .get("/admin", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Uri: /public/x"),
                    .get("/admin", "Forwarded: for=127.0.0.1;host=python.corp.test;proto=https"),
                    .get("/admin", "X-Forwarded-Host: python.corp.test"),
                ], 401, over: version)
            let forged = [
                "X-Forwarded-For", "X-Real-IP", "Forwarded", "x_forwarded_for", "X-Forwarded-Host",
                "True-Client-IP",
                "X-Forwarded-Proto",
            ]
            let attack = Attack.get("/public/x", lines: forged.map { "\($0): 10.9.9.9" })
            let outcome = try #require(try arrives([attack], as: "/public/x", over: version).first)
            for field in outcome.reached.first?.named ?? [] {
                #expect(!field.value.contains("10.9.9.9"), "\(field.name)")
            }
            let client = outcome.reached.first?.named.filter { $0.name.lowercased() == "x-forwarded-for" }
            #expect(client?.map(\.value) == [outcome.source])
        }

        @Test(
            "GHSA-7rh7-c77v-6434 (oauth2-proxy): the query is no part of the path that a rule sees",
            arguments: Attack.Version.allCases)
        func pathAndQuery(over version: Attack.Version) throws {
            try refused(
                [
                    "/admin?/public/x", "/admin?x=/public/", "/?/public", "/admin%3f/public",
                    "/admin%3F/public/",
                    "/admin?/../public", "/admin;/public/x", "/?", "/publicx?/public/",
                ].map { .get($0) }, 401, over: version)
            _ = try arrives([.get("/public/x?/admin")], as: "/public/x?/admin", over: version)
        }

        @Test(
            "CVE-2026-41059 (oauth2-proxy), CVE-2021-32777 (Envoy), CVE-2021-39206 (Pomerium): no fragment is read",
            arguments: Attack.Version.allCases)
        func fragment(over version: Attack.Version) throws {
            try refused(
                [
                    "/admin#/public/x", "/public/#/../admin", "/public/x#", "/#/public/", "/public/x?a#b",
                    "https://closed.corp.test/admin#/public",
                ].map { .get($0) }, 400, over: version)
            try refused([.get("/admin%23/public/x")], 401, over: version)
        }

        @Test(
            "CVE-2026-34457 (oauth2-proxy): a health check's User-Agent opens no path, nor does its path another",
            arguments: Attack.Version.allCases)
        func healthCheck(over version: Attack.Version) throws {
            let agents = ["GoogleHC/1.0", "kube-probe/1.28", "ELB-HealthChecker/2.0", "Consul Health Check"]
            try refused(agents.map { .get("/admin", "User-Agent: \($0)") }, 401, over: version)
            try refused(
                ["/healthz/", "/healthz;x", "/Healthz", "/healthzz", "/ping", "/ready", "/oauth2/auth"].map {
                    .get($0, "User-Agent: GoogleHC/1.0")
                }, 401, over: version)
            try refused(
                ["/healthz/../admin", "/healthz%2f..%2fadmin", "/healthz/%2e%2e/admin"].map { .get($0) }, 400,
                over: version)
            _ = try arrives([.get("/healthz")], as: "/healthz", over: version)
        }

        @Test(
            "CVE-2025-64484 (oauth2-proxy): no spelling of an identity field survives",
            arguments: Attack.Version.allCases)
        func identityFields(over version: Attack.Version) throws {
            let names = [
                "X-Remote-User", "x-remote-user", "X_Remote_User", "X-Remote_User", "x_REMOTE_user",
                "X.Remote.User",
                "X~Remote~User", "XRemoteUser", "X--Remote--User", "Gatepost-Assertion", "gatepost_assertion",
                "GATEPOST.ASSERTION", "Gatepost-Request-Id",
            ]
            for name in names {
                let outcome = try #require(
                    try arrives(
                        [.get("/public/x", "\(name): root@evil.example")], as: "/public/x", over: version
                    ).first)
                let values = outcome.reached.first?.named ?? []
                #expect(!values.contains { $0.value.contains("evil.example") }, "\(name)")
            }
            // Nor may the client have ours removed on the way.
            try refused(
                ["X-Remote-User", "x_remote_user", "Gatepost-Assertion"].map {
                    .get("/public/x", "Connection: close, \($0)")
                }, 400, over: version)
            try refused(
                ["X-Remote-User :", " X-Remote-User:", "X-Remote-User\t:"].map {
                    .get("/public/x", "\($0) r")
                }, 400, over: version)
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
            try poll("the application") {
                (try Client(stack).fetch(host).status == 401).whenTrue
            }
            let carol = Client(stack)
            let page = try carol.follow(try carol.get(host)).answer
            _ = try carol.follow(try carol.answer(page, user: "carol"))
            let answer = try carol.fetch(host)
            #expect(answer.status == 403)
            #expect(answer.field("gatepost-reason") == "no-policy-matches")
        }

        @Test(
            "CVE-2026-25748 (authentik): a malformed session cookie is no session",
            arguments: Attack.Version.allCases)
        func malformedCookie(over version: Attack.Version) throws {
            let whole = String(repeating: "A", count: 57)
            let values = [
                "", "%00", "AAAA", whole, whole + "=", "\"\"", "\"\(whole)\"", "undefined", "null", "{}",
                "\u{e9}", "a b",
                String(repeating: "A", count: 9_000), "\(whole); __Host-gatepost=x",
                "x; __Host-gatepost=\(whole)",
            ]
            try refused(values.map { .get("/admin", "Cookie: __Host-gatepost=\($0)") }, 401, over: version)
            try refused(
                [
                    "__Host-gatepost", "=__Host-gatepost=\(whole)", "__host-gatepost=\(whole)", ";;;",
                    "$Version=1",
                ].map {
                    .get("/admin", "Cookie: \($0)")
                }, 401, over: version)
            // As many as fit, and the one that matters in two lines.
            try refused(
                [.get("/admin", "Cookie: __Host-gatepost=a", "Cookie: __Host-gatepost=b")], 401, over: version
            )
        }
    }
}
