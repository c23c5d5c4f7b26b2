import Config
import Foundation
import Testing

@Suite("Keys of an endpoint-agent: how devices are proven, and by whose word")
struct EndpointAgentTests {
    let folder: ConfigFolder

    init() throws { folder = try ConfigFolder() }

    static let ca = "enrollment-ca: { certificate: chain.pem }"
    static let server = "statements: { certificates: chain.pem, issuer: \"https://m.corp.example\" }"

    static let table: [RefusalCase] = [
        .init("a management server beside the authority", ca, "\(ca), \(server)", nil),
        .init("a management server alone", ca, server, nil),
        .init(
            "neither", ca, "grace: 1s",
            "integrations.agents.enrollment-ca: is missing, and so is statements: no device could be proven"),
        .init("several authorities", ca, "enrollment-ca: { certificate: [ chain.pem, chain.pem ] }", nil),
        .init("an empty list of authorities", ca, "enrollment-ca: { certificate: [] }", "list is empty"),
        .init(
            "an authority that is not there", ca, "enrollment-ca: { certificate: [ chain.pem, no.pem ] }",
            "enrollment-ca.certificate[1]"),
        .init(
            "a key among the certificates", ca,
            "statements: { certificates: [ chain.pem, key.pem ], issuer: x }", "holds no PEM CERTIFICATE"),
        .init(
            "statements without an issuer", ca, "statements: { certificates: chain.pem }",
            "statements.issuer: is missing"),
        .init(
            "statements without certificates", ca, "statements: { issuer: x }",
            "statements.certificates: is missing"),
        .init("modes in the preferred order", ca, "\(ca), \(server), modes: [ statement, certificate ]", nil),
        .init("one mode", ca, "\(ca), modes: certificate", nil),
        .init("a mode that is none", ca, "\(ca), modes: [ static ]", "use one of certificate, statement"),
        .init("no mode", ca, "\(ca), modes: []", "list is empty"),
        .init("a mode twice", ca, "\(ca), modes: [ certificate, certificate ]", "is listed twice"),
        .init(
            "a mode without its section", ca, "\(ca), modes: [ certificate, statement ]",
            "statement needs statements, which is missing"),
        .init(
            "a section that no mode uses", ca, "\(ca), \(server), modes: [ certificate ]",
            "statements: has no effect"),
        .init(
            "old lists without lists", ca,
            "enrollment-ca: { certificate: chain.pem, unsafe-stale-revocation-lists: true }", "has no effect"),
        .init(
            "lists", ca,
            "enrollment-ca: { certificate: chain.pem, revocation-lists: [ a.crl, b.crl ], "
                + "unsafe-stale-revocation-lists: true }", nil),
    ]

    @Test(
        "a rule that asks for an attested key is warned of while nobody says whose chips count",
        arguments: [
            ("minimum-key: attested", "", 1), ("minimum-key: claimed", "", 0), ("managed: true", "", 0),
            ("minimum-key: attested", ", tpm-authorities: chain.pem", 0),
        ] as [(String, String, Int)])
    func attested(_ rule: String, _ makers: String, _ count: Int) throws {
        let text = Sample.text.replacing("managed: true", with: rule).replacing(
            "{ provider: endpoint-agent", with: "{ provider: endpoint-agent\(makers)")
        try folder.write("gatepost.yaml", text)
        let warnings = try folder.load().warnings.map(\.description).filter { $0.contains("attested") }
        #expect(warnings.count == count, "\(warnings)")
        #expect(warnings.allSatisfy { $0.contains("integrations.agents.tpm-authorities") })
    }

    @Test("a change is fine or refused by name", arguments: table) func keys(_ row: RefusalCase) throws {
        let problems = try folder.problems(try Sample.replacing(row.piece, row.other))
        guard let expected = row.expected else {
            #expect(problems == [])
            return
        }
        #expect(problems.contains { $0.contains(expected) }, "\(problems)")
    }

    private func agent(_ text: String) throws -> (EndpointAgentSettings, [String]) {
        try folder.write("gatepost.yaml", try Sample.replacing(Self.ca, text))
        let snapshot = try folder.load()
        for integration in snapshot.integrations {
            guard case .endpointAgent(let settings) = integration.kind else { continue }
            return (settings, snapshot.warnings.map { "\($0)" })
        }
        throw CocoaError(.featureUnsupported)
    }

    @Test("modes are what is configured when nobody says, and the given order otherwise") func modes() throws
    {
        #expect(try agent(Self.ca).0.modes == ["x5c"])
        #expect(try agent(Self.server).0.modes == ["stmt"])
        #expect(try agent("\(Self.ca), \(Self.server)").0.modes == ["x5c", "stmt"])
        let chosen = try agent("\(Self.ca), \(Self.server), modes: [ statement, certificate ]").0
        #expect(chosen.modes == ["stmt", "x5c"])
    }

    @Test("the shared key is off unless it is called unsafe, and then every check warns") func shared() throws
    {
        let (quiet, none) = try agent(Self.server)
        #expect(quiet.statements?.allowsSharedKey == false)
        #expect(!none.contains { $0.contains("unsafe-static") })
        let (loud, warnings) = try agent(
            Self.server.replacing("issuer:", with: "unsafe-static: true, issuer:"))
        #expect(loud.statements?.allowsSharedKey == true)
        #expect(
            warnings.contains { $0.contains("unsafe-static: every device has the key that signs for all") })
    }

    @Test("lists are named by where they are, from the configuration's folder") func lists() throws {
        let settings = try agent(
            "enrollment-ca: { certificate: chain.pem, revocation-lists: [ a.crl, /b.crl ] }"
        ).0
        #expect(settings.authority?.revocationLists == ["\(folder.path)/a.crl", "/b.crl"])
        #expect(settings.authority?.allowsStaleLists == false)
    }
}
