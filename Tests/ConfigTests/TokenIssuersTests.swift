import Access
import Testing

@testable import Config

@Suite("token-issuers and the conditions on their tokens")
struct TokenIssuersTests {
    static let ciKeys = "issuer: \"https://ci.example\", audiences: press"
    let folder: ConfigFolder

    init() throws {
        folder = try ConfigFolder()
        try folder.write("keys.json", "{\"keys\":[]}")
    }

    private func text(
        _ keys: String = ciKeys, condition: String = "{ token: { issuer: ci } }", more: String = "",
        application: String = ""
    ) throws -> String {
        try Sample.replacing(
            "integrations:", "token-issuers:\n  ci: { \(keys) }\n\(more)integrations:"
        ).replacing(
            "    policies:\n",
            with:
                "\(application)    policies:\n      - { name: ci, action: service, include: [ \(condition) ] }\n"
        )
    }

    private func issuer(_ keys: String) throws -> TokenIssuerSettings {
        try folder.write("gatepost.yaml", text(keys))
        return try #require(folder.load().tokenIssuers.first)
    }

    @Test
    func `an issuer is https, discovered, RS256 and ES256, and an hour at most, unless it says otherwise`()
        throws
    {
        let plain = try issuer(Self.ciKeys)
        #expect(plain.name == "ci" && plain.issuer == "https://ci.example" && plain.audiences == ["press"])
        #expect(plain.keys == .discovered && plain.algorithms == ["RS256", "ES256"])
        #expect(plain.subject == ["sub"] && plain.claims.isEmpty && plain.lifetimeSecondsMax == 3_600)
        let whole = try issuer(
            """
            \(Self.ciKeys), jwks-url: "https://ci.example/keys", algorithms: [EdDSA], max-lifetime: 10m, \
            subject: /kubernetes.io/serviceaccount/name, authorities: chain.pem, \
            claims: { namespace: /kubernetes.io/namespace, odd: /a~1b/c~0d, ref: ref }
            """)
        #expect(whole.keys == .url("https://ci.example/keys") && whole.algorithms == ["EdDSA"])
        #expect(whole.subject == ["kubernetes.io", "serviceaccount", "name"])
        #expect(
            whole.claims
                == ["namespace": ["kubernetes.io", "namespace"], "odd": ["a/b", "c~d"], "ref": ["ref"]])
        #expect(whole.lifetimeSecondsMax == 600 && whole.authoritiesPEM?.isEmpty == false)
        #expect(try issuer("\(Self.ciKeys), jwks-file: keys.json").keys == .file(Array("{\"keys\":[]}".utf8)))
    }

    @Test(
        "what cannot be meant of an issuer is refused",
        arguments: [
            "issuer: \"https://ci.example\"", "audiences: press",
            "issuer: \"http://ci.example\", audiences: a",
            "issuer: \"http://127.0.0.1:1\", audiences: a", "\(ciKeys), unsafe-allow-http: true",
            "\(ciKeys), audiences: []", "\(ciKeys), algorithms: [HS256]", "\(ciKeys), algorithms: [none]",
            "\(ciKeys), jwks-url: \"http://ci.example/keys\"", "\(ciKeys), jwks-file: missing.json",
            "\(ciKeys), jwks-file: keys.json, jwks-url: \"https://ci.example/keys\"",
            "\(ciKeys), jwks-file: keys.json, authorities: chain.pem", "\(ciKeys), max-lifetime: 59s",
            "\(ciKeys), max-lifetime: 366d", "\(ciKeys), subject: /", "\(ciKeys), subject: /a//b",
            "\(ciKeys), claims: {}", "\(ciKeys), claims: { \"a b\": c }", "\(ciKeys), claims: { a: /b~2 }",
            "\(ciKeys), claims: { a: /b~ }", "\(ciKeys), claims: { a: /1/2/3/4/5/6/7/8/9 }",
            "\(ciKeys), leeway: 5m", "\(ciKeys), authorities: key.pem",
        ])
    func mistakes(_ keys: String) throws {
        #expect(try !folder.problems(text(keys)).isEmpty)
    }

    @Test func `people's id tokens never count as machines', nor one token for two issuers`() throws {
        let people = "issuer: \"https://login.corp.example\", audiences: gatepost"
        #expect(try folder.problems(text(people)).contains { $0.contains("people's id tokens") })
        #expect(try folder.problems(text("issuer: \"https://login.corp.example\", audiences: press")) == [])
        let second = "  second: { \(Self.ciKeys) }\n"
        #expect(
            try folder.problems(text(more: second)).contains { $0.contains("ci has the same issuer") })
    }

    @Test func `a condition names an issuer that there is, and claims that the issuer lists`() throws {
        let keys = "\(Self.ciKeys), claims: { ref: ref, environment: environment }"
        try folder.write(
            "gatepost.yaml",
            text(
                keys,
                condition:
                    "{ token: { issuer: ci, subjects: [ a, b ], claims: { ref: main, environment: [ p, 1 ] } } }"
            ))
        let application = try #require(folder.load().policy.applications.first)
        #expect(
            application.policies[0].include == [
                .token(
                    TokenCondition(
                        issuer: "ci", subjects: ["a", "b"],
                        claims: [
                            ClaimCondition(name: "environment", values: [.text("p"), .integer(1)]),
                            ClaimCondition(name: "ref", values: [.text("main")]),
                        ]))
            ])
        #expect(application.tokenIssuers == ["ci"])
        for (condition, part) in [
            ("{ token: { issuer: cj } }", "did you mean ci?"), ("{ token: {} }", "issuer"),
            ("{ token: { issuer: ci, claims: { reff: main } } }", "did you mean ref?"),
            ("{ token: { issuer: ci, claims: { ref: [] } } }", "list is empty"),
            ("{ token: { issuer: ci, claims: {} } }", "claims"),
            ("{ token: { issuer: ci, claims: [ ref ] } }", "claims"),
            ("{ token: { issuer: ci, subjects: [] } }", "list is empty"),
            ("{ token: ci }", "token"),
        ] {
            let problems = try folder.problems(text(keys, condition: condition))
            #expect(problems.contains { $0.contains(part) }, "\(condition): \(problems)")
        }
    }

    @Test func `an issuer that no policy asks for is a warning, a key without effect an error`() throws {
        let idle = try Sample.replacing(
            "integrations:", "token-issuers: { ci: { \(Self.ciKeys) } }\nintegrations:")
        try folder.write("gatepost.yaml", idle)
        #expect(try folder.load().warnings.contains { $0.key == "token-issuers.ci" })
        let key = "    forward-bearer-token: true\n"
        try folder.write("gatepost.yaml", text(application: key))
        #expect(try folder.load().applications[0].forwardsBearerTokens)
        let useless = try Sample.replacing("    policies:\n", "\(key)    policies:\n")
        #expect(try folder.problems(useless).contains { $0.contains("no policy asks for bearer tokens") })
    }

    @Test(
        "a service condition names service tokens, never what a certificate or another token is called",
        arguments: ["certificate:scanner", "token:ci:backup", "Backup", "a b"])
    func services(_ name: String) throws {
        let condition = "{ service: [ \"\(name)\" ] }"
        #expect(try folder.problems(text(condition: condition)).contains { $0.contains("service") })
    }

    @Test func `a policy for people that asks for a token is called dead`() throws {
        let text = try text().replacing("{ email-domain: corp.example }", with: "{ token: { issuer: ci } }")
        try folder.write("gatepost.yaml", text)
        #expect(try folder.load().warnings.contains { $0.key.contains("policies") }, "\(text)")
    }
}
