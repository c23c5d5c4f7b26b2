import Testing

@testable import Config

@Suite("What sign-ins ask is configured at providers and applications")
struct SignInKeysTests {
    let folder: ConfigFolder
    init() throws { folder = try ConfigFolder() }

    private func text(_ provider: String = "", _ application: String = "") throws -> String {
        try Sample.replacing(
            "client-secret: { file: secret } }", "client-secret: { file: secret }\(provider) }"
        ).replacing(
            "    identity-providers: [ corp ]\n", with: "    identity-providers: [ corp ]\n\(application)")
    }

    @Test("002.20 every key reaches its setting")
    func read() throws {
        let provider =
            ", acr-values: [a, b], max-age: 8h, prompt: consent, idle: 30m, session: 10h, step-up: acrs,"
            + " refresh: 1h, refresh-grace: 2h"
        let application = [
            "acr-values: [phr]", "max-age: 1h", "prompt: select_account", "scopes: [groups]", "idle: 5m",
        ]
        .map { "    \($0)\n" }.joined()
        try folder.write("gatepost.yaml", try text(provider, application))
        let snapshot = try folder.load()
        let corp = try #require(snapshot.identityProviders.first)
        #expect(corp.signIn.contexts == ["a", "b"])
        #expect(corp.signIn.maxAgeSeconds == 28_800)
        #expect(corp.signIn.prompt == "consent")
        #expect(corp.signIn.idleSeconds == 1_800)
        #expect(corp.signIn.sessionSeconds == 36_000)
        #expect(corp.asksForACRS)
        #expect(corp.refreshSeconds == 3_600)
        #expect(corp.refreshGraceSeconds == 7_200)
        let wiki = try #require(snapshot.applications.first)
        #expect(wiki.signIn.contexts == ["phr"])
        #expect(wiki.signIn.maxAgeSeconds == 3_600)
        #expect(wiki.signIn.prompt == "select_account")
        #expect(wiki.signIn.scopes == ["groups"])
        #expect(wiki.signIn.idleSeconds == 300)
    }

    @Test("without them nothing is asked and nothing is bounded")
    func standard() throws {
        try folder.write("gatepost.yaml", try text())
        let snapshot = try folder.load()
        #expect(snapshot.identityProviders.first?.signIn == SignInSettings())
        #expect(snapshot.identityProviders.first?.asksForACRS == false)
        #expect(snapshot.applications.first?.signIn == SignInSettings())
        #expect(snapshot.identityProviders.first?.refreshSeconds == 900)
        #expect(snapshot.identityProviders.first?.refreshGraceSeconds == 900)
    }

    @Test("refreshing is off where somebody says so, and its bounds are exact")
    func refresh() throws {
        for (value, seconds) in [("off", nil), ("60s", 60), ("1d", 86_400)] as [(String, Int64?)] {
            try folder.write("gatepost.yaml", try text(", refresh: \(value)"))
            #expect(try folder.load().identityProviders.first?.refreshSeconds == seconds)
        }
    }

    private static let tenant = "9B1f2d3c-0000-4000-8000-1234567890ab"

    /// The sample's provider with another issuer.
    private func tenants(_ issuer: String, _ tenants: String) throws -> String {
        try text(tenants).replacing("issuer: \"https://login.corp.example\"", with: "issuer: \"\(issuer)\"")
    }

    @Test("an issuer that stands for every tenant needs those that count, and only such a one takes them")
    func tenants() throws {
        let shared = "https://login.microsoftonline.com/organizations/v2.0"
        try folder.write("gatepost.yaml", try tenants(shared, ", tenants: [\(Self.tenant)]"))
        #expect(try folder.load().identityProviders.first?.tenants == [Self.tenant.lowercased()])
        for (issuer, list, key) in [
            (shared, "", "issuer"), (shared.replacing("organizations", with: "common"), "", "issuer"),
            (shared, ", tenants: []", "tenants"), (shared, ", tenants: [corp.example]", "tenants"),
            (shared, ", tenants: [\(Self.tenant)0]", "tenants"),
            (shared, ", tenants: [\(Self.tenant), \(Self.tenant)]", "tenants[1]"),
            (
                "https://login.microsoftonline.com/\(Self.tenant)/v2.0", ", tenants: [\(Self.tenant)]",
                "tenants"
            ),
        ] {
            let problems = try folder.problems(try tenants(issuer, list))
            #expect(problems.contains { $0.contains(".\(key): ") }, "\(issuer) \(list): \(problems)")
        }
    }

    @Test(
        "what cannot be asked is refused, with the key named",
        arguments: [
            (", acr-values: [\"two words\"]", "", "acr-values"), (", acr-values: ['a\"b']", "", "acr-values"),
            (", acr-values: [ä]", "", "acr-values"), (", acr-values: [a, a]", "", "acr-values"),
            (", acr-values: []", "", "acr-values"), (", prompt: none", "", "prompt"),
            (", max-age: 59s", "", "max-age"), (", max-age: 31d", "", "max-age"),
            (", idle: 299s", "", "idle"), (", session: 299s", "", "session"),
            (", step-up: yes", "", "step-up"), (", refresh: 59s", "", "refresh"),
            (", refresh: 25h", "", "refresh"),
            (", refresh-grace: 59s", "", "refresh-grace"), (", refresh-grace: 8d", "", "refresh-grace"),
            (", refresh-grace: off", "", "refresh-grace"),
            (", refresh: off, refresh-grace: 1h", "", "refresh-grace"),
            (", refresh: never", "", "refresh"), (", refresh: 900", "", "refresh"),
            ("", "    scopes: [\"a b\"]\n", "scopes"),
            ("", "    step-up: acrs\n", "step-up"), ("", "    prompt: [login]\n", "prompt"),
        ])
    func refused(_ provider: String, _ application: String, _ key: String) throws {
        let problems = try folder.problems(try text(provider, application))
        #expect(problems.contains { $0.contains(key) }, "\(problems)")
    }
}
