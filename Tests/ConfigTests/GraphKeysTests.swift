import Testing

@testable import Config

@Suite("Keys of the providers, Microsoft's credentials first")
struct GraphKeysTests {
    let folder: ConfigFolder
    init() throws { folder = try ConfigFolder() }

    static let tenant = "tenant: 9b1f2d3c-0000-4000-8000-1234567890ab, client-id: a"
    static let pair = "client-certificate: { chain: chain.pem, key: { file: key.pem } }"

    private func problems(_ keys: String) throws -> [String] {
        try folder.problems(
            try Sample.replacing(
                "integrations:\n", "integrations:\n  it: { \(keys) }\n"))
    }

    private func read(_ keys: String) throws -> ProviderSettings? {
        #expect(try problems(keys).isEmpty)
        guard
            case .provider(let settings)? = try folder.load().integrations.first(where: { $0.name == "it" })?
                .kind
        else { return nil }
        return settings
    }

    @Test(
        "002.6 002.15 a secret or a certificate, and exactly one of them",
        arguments: ["intune", "entra", "defender"])
    func credentials(_ provider: String) throws {
        let start = "provider: \(provider), \(Self.tenant)"
        #expect(try problems("\(start), client-secret: { file: secret }").isEmpty)
        let settings = try #require(try read("\(start), \(Self.pair)"))
        #expect(settings.files["client-certificate.chain"]?.isEmpty == false)
        #expect(settings.secrets["client-certificate.key"] != nil && settings.secrets["client-secret"] == nil)
        for keys in ["", ", client-secret: { file: secret }, \(Self.pair)"] {
            #expect(
                try problems(start + keys).contains {
                    $0.contains("needs exactly one of client-secret and client-certificate")
                })
        }
    }

    @Test(
        "row 8: devices are found by their owners only where asked for, and by what is known of every device")
    func ownerMatch() throws {
        let start = "provider: intune, \(Self.tenant), client-secret: { file: secret }"
        #expect(try read(start)?.texts["unsafe-owner-match"] == nil)
        for attribute in ["", ", owner-attribute: email", ", owner-attribute: subject"] {
            #expect(
                try read("\(start), unsafe-owner-match: true\(attribute)")?.texts["unsafe-owner-match"]
                    == "true")
        }
        #expect(try problems("\(start), owner-attribute: oid, unsafe-owner-match: false").isEmpty)
        #expect(
            try problems("\(start), owner-attribute: oid, unsafe-owner-match: true").contains {
                $0.contains("needs an owner-attribute that is known of every device")
            })
        #expect(
            try problems(
                "provider: entra, \(Self.tenant), client-secret: { file: secret }, unsafe-owner-match: true"
            )
            .contains { $0.contains("unsafe-owner-match") })
    }

    @Test("bounds of a call: five, ten and thirty seconds, each configured, no part longer than the whole")
    func timeouts() throws {
        let start = "provider: intune, \(Self.tenant), client-secret: { file: secret }"
        func bounds(_ keys: String) throws -> [Int64] {
            let settings = try #require(try read(start + keys))
            return [settings.connectSecondsMax, settings.firstByteSecondsMax, settings.callSecondsMax]
        }
        #expect(try bounds("") == [5, 10, 30])
        #expect(try bounds(", connect-timeout: 2s, first-byte-timeout: 20s, timeout: 1m") == [2, 20, 60])
        #expect(try bounds(", timeout: 3s") == [3, 3, 3])
        #expect(try bounds(", timeout: 7s, connect-timeout: 7s") == [7, 7, 7])
        for key in ["connect-timeout", "first-byte-timeout"] {
            #expect(
                try problems("\(start), timeout: 7s, \(key): 8s").contains {
                    $0.contains("\(key): is longer than timeout")
                })
        }
        for keys in ["timeout: 61s", "timeout: 0s", "connect-timeout: soon"] {
            #expect(try !problems("\(start), \(keys)").isEmpty, "\(keys)")
        }
    }

    @Test("002.15 in somebody's name: a refresh token, alone or with what a confidential client needs")
    func delegated() throws {
        let start = "provider: entra, \(Self.tenant), refresh-token: { file: secret }"
        let settings = try #require(try read(start))
        #expect(settings.secrets["refresh-token"] != nil)
        #expect(try problems("\(start), \(Self.pair)").isEmpty)
        #expect(try !problems("\(start), \(Self.pair), client-secret: { file: secret }").isEmpty)
        #expect(try !problems(start.replacing("{ file: secret }", with: "s3cret")).isEmpty)
    }

    @Test("002.15 delegated permissions without a token are for whoever connects; no secret is needed")
    func connected() throws {
        for provider in ["intune", "entra"] {
            let start = "provider: \(provider), \(Self.tenant), permissions: delegated"
            let settings = try #require(try read(start))
            #expect(settings.texts["permissions"] == "delegated" && settings.secrets.isEmpty)
            #expect(try problems("\(start), client-secret: { file: secret }").isEmpty)
            #expect(try !problems("\(start), \(Self.pair), client-secret: { file: secret }").isEmpty)
            let own = start.replacing("delegated", with: "application")
            #expect(try !problems(own).isEmpty, "its own permissions need its own credentials")
            let token = "refresh-token: { file: secret }, client-secret: { file: secret }"
            #expect(
                try problems("\(own), \(token)").contains { $0.contains("contradicts refresh-token") })
        }
    }

    @Test(
        "001.14 a tenant is one directory: its id or a domain of it",
        arguments: [
            ("9b1f2d3c-0000-4000-8000-1234567890ab", true), ("9B1F2D3C-0000-4000-8000-1234567890AB", true),
            ("corp.example", true), ("corp.onmicrosoft.com", true), ("common", false),
            ("organizations", false), ("consumers", false), ("corp", false),
            ("9b1f2d3c-0000-4000-8000-1234567890a", false), ("9b1f2d3c0000400080001234567890ab", false),
            ("9b1f2d3c-0000-4000-8000-1234567890ag", false), ("corp.example/x", false), ("..", false),
            ("corp example", false), ("corp.example?x", false),
        ])
    func tenants(_ tenant: String, _ isGood: Bool) throws {
        for provider in ["intune", "entra", "defender"] {
            let found = try problems(
                "provider: \(provider), tenant: \"\(tenant)\", client-id: a, client-secret: { file: secret }")
            #expect(found.isEmpty == isGood, "\(provider): \(found)")
            #expect(isGood || found.allSatisfy { $0.contains("tenant") })
        }
    }

    @Test("publishing is switched off by default, and never by what it was decided by") func publishing()
        throws
    {
        let own = "provider: entra, \(Self.tenant), client-secret: { file: secret }"
        #expect(try read(own)?.texts["publish-verdict"] == nil)
        let publishing = "\(own), publish-verdict: true"
        #expect(try read(publishing)?.texts["publish-verdict"] == "true")
        let circle = { (integration: String, other: String) in
            try self.folder.problems(
                try Sample.replacing(
                    "integrations:\n", "integrations:\n  it: { \(publishing) }\n\(other)"
                ).replacing(
                    "device-policies:\n",
                    with:
                        "device-policies:\n  - { name: circle, platform: linux, priority: 77, result: partial, "
                        + "rules: [ { entra: \(integration), managed: true } ] }\n"))
        }
        let problem = "reads the directory that this writes to"
        #expect(try circle("it", "").contains { $0.contains(problem) })
        #expect(try circle("twin", "  twin: { \(own) }\n").contains { $0.contains(problem) })
        let elsewhere = own.replacing("9b1f2d3c", with: "0b1f2d3c")
        #expect(try circle("far", "  far: { \(elsewhere) }\n").allSatisfy { !$0.contains(problem) })
        #expect(
            try problems(
                "provider: intune, \(Self.tenant), client-secret: { file: secret }, publish-verdict: true"
            )
            .contains { $0.contains("publish-verdict") }, "only the directory takes it")
    }

    @Test(
        "a certificate that is not whole is refused",
        arguments: [
            "{ chain: chain.pem }", "{ key: { file: key.pem } }",
            "{ chain: key.pem, key: { file: key.pem } }",
            "{ chain: chain.pem, key: { file: chain.pem } }", "{ chain: chain.pem, key: key.pem }",
            "chain.pem",
            "{ chain: chain.pem, key: { file: key.pem }, password: x }",
        ])
    func brokenPair(_ pair: String) throws {
        #expect(try !problems("provider: entra, \(Self.tenant), client-certificate: \(pair)").isEmpty)
    }

    @Test("the directory knows no age of devices: a limit for it would do nothing") func age() throws {
        let start = "provider: entra, \(Self.tenant), client-secret: { file: secret }"
        #expect(try problems("\(start), max-device-age: 1d").contains { $0.contains("has no effect") })
    }

    static let declared = [
        "provider: jamf, base-url: \"https://corp.jamfcloud.com\", client-id: a, client-secret: { "
            + "file: secret }",
        "provider: sentinelone, console-url: \"https://corp.sentinelone.net\", api-token: { file: secret }",
        "provider: kolide, api-token: { file: secret }",
        "provider: kandji, api-url: \"https://corp.api.kandji.io\", api-token: { file: secret }",
        "provider: google, service-account: { email: a@b.example, admin: c@d.example, key: { file: "
            + "key.pem } }",
        "provider: fleet, base-url: \"https://fleet.corp.example\", api-token: { file: secret }",
        "provider: custom, api-url: \"https://posture.corp.example/evaluate\", api-token: { file: secret }",
    ]

    @Test(
        "each further provider is read with its few keys, asked every 15 minutes and good for an hour",
        arguments: declared)
    func furtherProviders(_ keys: String) throws {
        let settings = try #require(try read(keys))
        #expect(settings.refreshSeconds == 900 && settings.ttlSeconds == 3_600)
        #expect(settings.deviceAgeSecondsMax == 86_400)
    }

    @Test(
        "a secret in plain text, plain HTTP but on loopback, and a key of another kind are refused",
        arguments: declared)
    func refused(_ keys: String) throws {
        let plain = keys.replacing("{ file: secret }", with: "s3cret").replacing(
            "{ file: key.pem }", with: "s3cret")
        #expect(
            try problems(plain).contains {
                $0.contains("is a secret in plain text") && !$0.contains("s3cret")
            })
        #expect(try !problems(keys + ", member-cid: a").isEmpty)
        let http = keys.replacing("https://", with: "http://")
        if http != keys { #expect(try !problems(http + ", unsafe-allow-http: true").isEmpty) }
    }

    @Test(
        "numbers have their range",
        arguments: [
            ("sentinelone", "max-active-threats", "1000", true),
            ("sentinelone", "max-active-threats", "1001", false),
            ("custom", "compliant-score", "100", true), ("custom", "compliant-score", "101", false),
            ("custom", "compliant-score", "-1", false),
        ])
    func ranges(_ provider: String, _ key: String, _ value: String, _ isFine: Bool) throws {
        let keys = try #require(Self.declared.first { $0.contains("provider: \(provider),") })
        #expect(try problems("\(keys), \(key): \(value)").isEmpty == isFine)
    }
}
