import Access
import Testing

@testable import Config

@Suite("Keys that nothing enforces yet are refused, and read as soon as something does")
struct EnforcementTests {
    let folder: ConfigFolder

    init() throws { folder = try ConfigFolder() }

    private func load(_ text: String) throws -> ConfigSnapshot {
        try folder.write("gatepost.yaml", text)
        let context = ReadContext(environment: [:], readsFiles: true, acceptsUnenforced: true)
        return try ConfigSnapshot.load(path: "\(folder.path)/gatepost.yaml", context, identify: { _ in "" })
    }

    private func restricted(_ keys: String) throws -> String {
        try Sample.replacing(
            "require: [ { device: compliant } ]", "require: [ { device: compliant } ], restrict: { \(keys) }")
    }

    @Test(
        "each further key of restrict",
        arguments: [
            "downloads: block", "uploads: block", "response-fields: { X-Robots-Tag: none }",
            "upstream-field: { X-Access: partial }", "banner: Read only.",
        ])
    func limits(_ key: String) throws {
        let problems = try folder.problems(restricted(key))
        #expect(
            problems.contains { $0.contains("would have no effect: the data plane does not enforce it yet") })
        #expect(try load(restricted(key)).policy.applications[0].policies[0].restriction?.limits?.count == 1)
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
        ])
    func mistakes(_ key: String) throws {
        #expect(throws: ConfigFailure.self) { try load(restricted(key)) }
    }

    @Test("service policies and client certificates") func clients() throws {
        let text = try Sample.replacing("action: allow", "action: service")
            .replacing("{ email-domain: corp.example }", with: "{ service: [backup] }")
        #expect(try folder.problems(text).contains { $0.contains("no service token can be issued yet") })
        #expect(
            try load(text).policy.applications[0].policies[0].include == [.service(.init(names: ["backup"]))])
        let digest = String(repeating: "aB", count: 32)
        let certificate = try Sample.replacing(
            "{ email-domain: corp.example }",
            "{ certificate: { subjects: [s7], names: [\"dns:s7\"], issuers: [\(digest)] } }")
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
