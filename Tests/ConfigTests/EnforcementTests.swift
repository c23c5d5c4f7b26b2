import Access
import Testing

@testable import Config

@Suite("All of the policy language is enforced: limits, service policies and client certificates")
struct EnforcementTests {
    let folder: ConfigFolder

    init() throws { folder = try ConfigFolder() }

    private func load(_ text: String) throws -> ConfigSnapshot {
        try folder.write("gatepost.yaml", text)
        let context = ReadContext(environment: [:], readsFiles: true)
        return try ConfigSnapshot.load(path: "\(folder.path)/gatepost.yaml", context, identify: { _ in "" })
    }

    private func restricted(_ keys: String) throws -> String {
        try Sample.replacing(
            "require: [ { device: compliant } ]", "require: [ { device: compliant } ], restrict: { \(keys) }")
    }

    private func check(_ text: String) throws -> ConfigSnapshot {
        try folder.write("gatepost.yaml", text)
        let context = ReadContext(environment: [:], readsFiles: true)
        return try ConfigSnapshot.load(path: "\(folder.path)/gatepost.yaml", context, identify: { _ in "" })
    }

    @Test(
        "each further key of restrict is accepted, because the data plane enforces it",
        arguments: [
            "downloads: block", "uploads: block", "response-fields: { X-Robots-Tag: none }",
            "upstream-field: { X-Access: partial }", "banner: Read only.",
            "banner: \"\(String(repeating: "ä", count: 256))\"",
            "upstream-field: { X-Remote-Access: partial }",
        ])
    func limits(_ key: String) throws {
        #expect(try folder.problems(restricted(key)) == [])
        #expect(try check(restricted(key)).policy.applications[0].policies[0].restriction?.limits?.count == 1)
    }

    @Test("all of them arrive as values") func values() throws {
        let all =
            "methods: [GET], downloads: block, uploads: block, response-fields: { X-A: \"1\", X-B: \"2\" }, "
            + "upstream-field: { X-Access: partial }, banner: Read only."
        #expect(
            try load(restricted(all)).policy.applications[0].policies[0].restriction
                == Restriction(
                    methods: [.get],
                    limits: [
                        .blocksDownloads, .blocksUploads, .responseField(name: "X-A", value: "1"),
                        .responseField(name: "X-B", value: "2"),
                        .upstreamField(name: "X-Access", value: "partial"),
                        .banner("Read only."),
                    ]))
    }

    @Test(
        "and their own mistakes are refused",
        arguments: [
            "downloads: allow", "response-fields: {}", "response-fields: { \"X A\": b }",
            "response-fields: { Set-Cookie: b }",
            "response-fields: { X-A: \"tab\\there\" }", "upstream-field: { A: \"1\", B: \"2\" }",
            "upstream-field: text",
            "banner: \"\(String(repeating: "x", count: 257))\"",
            // One letter under 256 marks.
            "banner: \"e\(String(repeating: "\u{301}", count: 256))\"", "banner: \"two\\nlines\"",
            "banner: \"  \"",
            "response-fields: { Gatepost-Reason: x }", "response-fields: { Content-Encoding: gzip }",
            "response-fields: { Content-Length: \"0\" }", "response-fields: { transfer_encoding: chunked }",
            "response-fields: { X-A: \"1\", x-a: \"2\" }", "upstream-field: { X-Forwarded-For: a }",
            "upstream-field: { Gatepost-Assertion: a }", "upstream-field: { Accept-Encoding: gzip }",
            "upstream-field: { Proxy-Connection: a }", "upstream-field: { X-Real-IP: a }",
        ])
    func mistakes(_ key: String) throws {
        #expect(throws: ConfigFailure.self) { try load(restricted(key)) }
    }

    @Test("a field that says who somebody is says nothing else") func identity() throws {
        let text = try restricted("upstream-field: { x-user: partial }")
        let application = "identity-providers: [ "
        #expect(text.contains(application))
        let both = text.replacing(
            application, with: "fields: { X-User: email }\n    " + application, maxReplacements: 1)
        #expect(try folder.problems(both).contains { $0.contains("sets x-user, which fields sets already") })
        #expect(try folder.problems(text) == [])
    }

    @Test("service policies and client certificates") func clients() throws {
        let text = try Sample.replacing("action: allow", "action: service")
            .replacing("{ email-domain: corp.example }", with: "{ service: [backup] }")
        #expect(try folder.problems(text) == [])
        #expect(
            try load(text).policy.applications[0].policies[0].include == [.service(.init(names: ["backup"]))])
        let digest = String(repeating: "aB", count: 32)
        let certificate = try Sample.replacing(
            "{ email-domain: corp.example }",
            "{ certificate: { subjects: [s7], names: [\"dns:s7\"], issuers: [\(digest)] } }"
        ).replacing(
            "key: key.pem } ] } ]",
            with: "key: key.pem } ], client-certificates: { authorities: chain.pem } } ]")
        #expect(
            try load(certificate).policy.applications[0].policies[0].include == [
                .certificate(.init(subjects: ["s7"], names: ["dns:s7"], issuerDigests: [digest.lowercased()]))
            ])
        for bad in ["names: [s7]", "names: [\"dns:\"]", "issuers: [ab]", ""] {
            let other = certificate.replacing(
                "subjects: [s7], names: [\"dns:s7\"], issuers: [\(digest)]", with: bad)
            #expect(throws: ConfigFailure.self, "\(bad)") { try load(other) }
        }
    }
}
