import Access
import JSON
import Testing

@testable import Posture

@Suite("posture.max-age and its grace (handshake.md 4.4)")
struct GraceTests {
    /// A person with a fresh handshake at an application that asks for a compliant device.
    static func facts(verdictEnds: Int64? = nil) async throws -> (DeviceFacts, Int64) {
        let setting = try Setting()
        let agent = try await setting.enroll()
        let (transaction, challenge) = try await setting.challenge()
        let assertion = try agent.assertion(
            for: challenge, now: setting.clock.now, counter: 1,
            posture: JSONObject([("disk_encryption", true)]))
        let proof = try await setting.service.assert(
            transaction: transaction, assertion: assertion, globalSession: "session-a",
            issuer: Setting.person.issuer, subject: Setting.person.subject)
        let facts = try #require(
            await setting.service.deviceFacts(id: proof.deviceID, statement: proof.statement))
        return (facts, setting.clock.now)
    }

    static let application = Application(
        name: "wiki", identityProviders: ["corp"],
        policies: [
            ApplicationPolicy(
                name: "staff", action: .allow, include: [.everyone],
                require: [.device(.init(classes: [.compliant]))])
        ])
    static let policy = PolicySnapshot(
        identity: "p",
        devicePolicies: [
            DevicePolicy(
                name: "healthy", platform: .linux, priority: 1,
                rules: [.agentFact(integration: "agents", name: "disk-encryption", values: [.flag(true)])],
                result: .compliant)
        ], applications: [application])

    static func residual(_ device: DeviceFacts, _ seconds: Int64) -> Residual {
        let person = PersonFacts(issuer: Setting.person.issuer, subject: Setting.person.subject)
        let session = SessionFacts(
            id: "s", identityProvider: "corp", person: person, createdAtSeconds: seconds - 1,
            expiresAtSeconds: seconds + 86_400)
        return policy.residual(of: session, device, for: application, atSeconds: seconds)
    }

    static func isForwarded(_ device: DeviceFacts, _ seconds: Int64) -> Bool {
        let request = RequestFacts(method: .get, client: NetworkAddress(v4: 1))
        let path: [UInt8] = [0x2f]
        switch residual(device, seconds).decide(request, path: path.span, atSeconds: seconds) {
        case .forward: return true
        case .signIn, .recompute, .refuse: return false
        }
    }

    @Test("a new request is refused exactly at max-age; what is open goes on to the end of the grace")
    func boundaries() async throws {
        let (device, start) = try await Self.facts()
        let table: [(Int64, Bool, Bool)] = [
            (0, true, true), (899, true, true), (900, false, true), (959, false, true), (960, false, false),
        ]
        for (age, isNewAllowed, isOpenAllowed) in table {
            #expect(Self.isForwarded(device, start + age) == isNewAllowed, "\(age)")
            #expect(Self.isForwarded(device.forWhatIsOpen, start + age) == isOpenAllowed, "\(age)")
        }
        #expect(Self.residual(device, start + 100).validUntilSeconds == start + 900)
        #expect(Self.residual(device.forWhatIsOpen, start + 100).validUntilSeconds == start + 960)
        #expect(Self.residual(device, start + 900).refusal == .postureRequired)
    }

    @Test("a statement without a grace ends for both at once") func none() async throws {
        var (device, start) = try await Self.facts()
        device.statement?.openUntilSeconds = nil
        #expect(Self.isForwarded(device.forWhatIsOpen, start + 899))
        #expect(!Self.isForwarded(device.forWhatIsOpen, start + 900))
    }

    @Test("the grace moves no verdict's end") func verdicts() async throws {
        var (device, start) = try await Self.facts()
        device.verdicts = [
            Verdict(
                id: "v", integration: "intune", provider: "intune", nativeID: "n", state: .compliant,
                observedAtSeconds: start, fetchedAtSeconds: start, expiresAtSeconds: start + 910,
                matchKey: "serial", matchStrength: .strong)
        ]
        #expect(device.forWhatIsOpen.verdicts == device.verdicts)
    }
}
