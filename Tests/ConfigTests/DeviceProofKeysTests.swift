import Access
import Testing

@testable import Config

@Suite("applications.<name>.device-proofs and the condition device-proof")
struct DeviceProofKeysTests {
    let folder: ConfigFolder

    init() throws { folder = try ConfigFolder() }

    /// - Parameter listener: asks for client certificates.
    private func text(
        _ keys: String, _ conditions: String = "{ device: compliant }", listener: Bool = true
    ) throws -> String {
        var text = try Sample.replacing("{ device: compliant }", conditions)
        if !keys.isEmpty {
            text = text.replacing(
                "    identity-providers: [ corp ]\n", with: "    identity-providers: [ corp ]\n    \(keys)\n")
        }
        guard listener else { return text }
        return text.replacing(
            "key: key.pem } ] } ]",
            with: "key: key.pem } ], client-certificates: { authorities: chain.pem } } ]")
    }

    private func read(_ text: String) throws -> Application {
        try folder.write("gatepost.yaml", text)
        return try #require(folder.load().policy.applications.first)
    }

    @Test func `without a word the agent proves devices, and no client is asked for a certificate`() throws {
        let application = try read(text("", listener: false))
        #expect(application.deviceProofs == [.agent] && !application.looksAtCertificates)
        #expect(application.agent == "agents")
    }

    @Test func `either way counts in one order, and hosts with certificates ask for them`() throws {
        let first = try read(text("device-proofs: [certificate, agent]"))
        #expect(first.deviceProofs == [.agent, .certificate] && first.looksAtCertificates)
        #expect(!first.servesMachines && first.agent == "agents")
        #expect(try read(text("device-proofs: [agent, certificate]")) == first)
        let alone = try read(text("device-proofs: certificate"))
        #expect(alone.deviceProofs == [.certificate] && alone.agent == nil)
    }

    @Test func `a policy may ask for a proof and how surely a certificate names the device`() throws {
        let conditions = "{ device: compliant }, { device-proof: { by: certificate, minimum: strong } }"
        let application = try read(text("device-proofs: [agent, certificate]", conditions))
        #expect(
            application.policies[0].require.last
                == .deviceProof(DeviceProofCondition(proofs: [.certificate], minimum: .strong)))
        let plain = try read(text("", "{ device: compliant }, { device-proof: { by: agent } }"))
        #expect(plain.policies[0].require.last == .deviceProof(DeviceProofCondition(proofs: [.agent])))
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var keys: String
        var conditions = "{ device: compliant }"
        var listener = true
        var says: String
    }
    static let refused: [Row] = [
        Row(
            testDescription: "no listener asks", keys: "device-proofs: certificate", listener: false,
            says: "but no listener does"),
        Row(testDescription: "an unknown word", keys: "device-proofs: [agent, password]", says: "password"),
        Row(testDescription: "an empty list", keys: "device-proofs: []", says: "device-proofs"),
        Row(
            testDescription: "no policy asks for a device", keys: "device-proofs: certificate",
            conditions: "{ email: ada@corp.example }", says: "no policy asks for a device"),
        Row(
            testDescription: "a condition on a proof that does not count", keys: "device-proofs: agent",
            conditions: "{ device-proof: { by: certificate } }", says: "which proves no device here"),
        Row(
            testDescription: "the same the other way round", keys: "device-proofs: certificate",
            conditions: "{ device-proof: { by: [agent, certificate] } }", says: "asks for agent"),
        Row(
            testDescription: "a strength of the agent's", keys: "",
            conditions: "{ device-proof: { by: agent, minimum: strong } }",
            says: "by does not name certificate"),
        Row(
            testDescription: "a strength that certificates do not have", keys: "device-proofs: certificate",
            conditions: "{ device-proof: { by: certificate, minimum: weak } }", says: "weak"),
        Row(
            testDescription: "a demand on a handshake that never counts",
            keys: "device-proofs: certificate\n    posture: { max-age: 5m }", says: "posture"),
    ]

    @Test("what would mean nothing is an error or has no effect", arguments: refused)
    func refusals(_ row: Row) throws {
        let problems = try folder.problems(text(row.keys, row.conditions, listener: row.listener))
        #expect(problems.contains { $0.contains(row.says) }, "\(problems)")
    }

    @Test func `a bypass cannot ask how a device is proven`() throws {
        let text = try text("device-proofs: certificate").replacing("action: allow", with: "action: bypass")
        #expect(try folder.problems(text).contains { $0.contains("a bypass cannot ask") })
    }
}
