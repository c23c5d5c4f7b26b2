import Access
import JSON
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("Entra devices, against the lab's directory of Alice, Bob and three more")
struct EntraTests {
    let lab: GraphLab
    let connector: any Connector

    init() throws {
        lab = try GraphLab()
        connector = try lab.connector("entra")
    }

    private func alice() async -> Verdict? {
        guard let key = DeviceKey(.entra, GraphLab.alice),
            case .records(let found) = await connector.fetch([key])
        else { return nil }
        return found.first?.verdict
    }

    @Test("001.2 002.9 002.11 every device of the directory, joined by its device id, proven complete")
    func complete() async throws {
        let result = await connector.sync()
        #expect(result.isComplete && result.failure == nil && result.position != nil)
        #expect(result.records.count == 5)
        let alice = try #require(result.records.first { $0.verdict.nativeID == GraphLab.aliceObject })
        #expect(alice.keys.contains { $0.kind == .entra && $0.value == GraphLab.alice })
        #expect(alice.keys.contains { $0.kind == .name && $0.value == "alice-laptop" })
        #expect(alice.keys.count == 2)
        #expect(alice.verdict.state == .compliant && alice.verdict.isManaged == true)
        #expect(
            alice.verdict.labels == [
                "company", "compliant", "joined", "managed", "management:MDM", "registered",
            ])
    }

    struct Mapping: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var members: JSONObject
        var state: Verdict.State
        var isManaged: Bool?

        init(_ name: String, _ members: JSONObject, _ state: Verdict.State, isManaged: Bool? = true) {
            testDescription = name
            self.members = members
            self.state = state
            self.isManaged = isManaged
        }
    }

    static let mappings: [Mapping] = [
        .init("compliant and managed", [:], .compliant),
        .init("compliant, managed by nobody we know", ["isManaged": .null], .compliant, isManaged: nil),
        .init("compliant, not managed", ["isManaged": false], .compliant, isManaged: false),
        .init("not compliant", ["isCompliant": false], .noncompliant),
        .init("not judged", ["isCompliant": .null], .unknown),
        .init(
            "neither judged nor managed", ["isCompliant": .null, "isManaged": false], .notManaged,
            isManaged: false),
        .init("nothing said", ["isCompliant": .null, "isManaged": .null], .unknown, isManaged: nil),
        .init("a text that is no answer", ["isCompliant": "true"], .unknown),
        .init("a number that is no answer", ["isCompliant": 1], .unknown),
        .init("disabled", ["accountEnabled": false], .noncompliant),
        .init("disabled and not judged", ["accountEnabled": false, "isCompliant": .null], .noncompliant),
        .init("enabled or not is not said", ["accountEnabled": .null], .unknown),
    ]

    @Test(
        "001.6 managed and compliant are two answers, null is unknown, disabled blocks", arguments: mappings)
    func states(_ mapping: Mapping) async throws {
        _ = lab.graph.directory.withLock { $0.change(GraphLab.alice, mapping.members) }
        let verdict = try #require(await alice())
        #expect(verdict.state == mapping.state && verdict.isManaged == mapping.isManaged)
        #expect(verdict.labels.contains("compliant") == (mapping.state == .compliant))
        #expect(mapping.state == .compliant || !verdict.remedies.isEmpty)
    }

    @Test(
        "the coarse sign-in time makes nothing fresh and nothing stale",
        arguments: ["2020-01-01T00:00:00Z", "x"])
    func signIn(_ text: String) async throws {
        _ = lab.graph.directory.withLock {
            $0.change(GraphLab.alice, ["approximateLastSignInDateTime": .string(text)])
        }
        let verdict = try #require(await alice())
        #expect(
            verdict.observedAtSeconds == lab.clock.now && verdict.expiresAtSeconds == lab.clock.now + 7_200)
    }

    @Test(
        "a compliance that ends by itself ends the verdict at that second",
        arguments: [(60, 60), (7_200, 7_200), (7_201, 7_200)] as [(Int64, Int64)])
    func complianceEnds(_ ahead: Int64, _ life: Int64) async throws {
        let ends = Timestamp.rfc3339(lab.clock.now + ahead)
        _ = lab.graph.directory.withLock {
            $0.change(GraphLab.alice, ["complianceExpirationDateTime": .string(ends)])
        }
        #expect(try #require(await alice()).expiresAtSeconds == lab.clock.now + life)
        _ = lab.graph.directory.withLock {
            $0.change(GraphLab.alice, ["complianceExpirationDateTime": "soon"])
        }
        #expect(try #require(await alice()).expiresAtSeconds == 0, "a time that cannot be read is over")
    }

    @Test("001.5 a device that the directory does not know is an answer; one without an id is not asked for")
    func unknown() async throws {
        let stranger = try #require(DeviceKey(.entra, "9d3e2c10-0000-4f0e-8f30-2b9b8a7c6d5e"))
        guard case .records(let none) = await connector.fetch([stranger]) else {
            Issue.record("not found is an answer")
            return
        }
        #expect(none.isEmpty)
        let serial = try #require(DeviceKey(.serial, "LAB-ALICE-0001"))
        guard case .failed(let failure) = await connector.fetch([serial]) else {
            Issue.record("the directory knows no serial numbers")
            return
        }
        #expect(failure.kind == .notFound)
    }

    // MARK: Permissions and partners

    static func partner(_ state: String, id: String = "aaaaaaaa-0000-4000-8000-000000000001") -> JSONValue {
        [
            "id": .string(id), "displayName": "Workspace ONE", "partnerState": .string(state),
            "lastHeartbeatDateTime": "2026-02-02T02:30:00Z", "iosOnboarded": true, "androidOnboarded": false,
            "macOsOnboarded": true,
        ]
    }

    @Test("a missing permission is named; without the partners' everything else works") func permissions()
        async
    {
        lab.graph.faults.activate(.missingPartnerScope)
        #expect(await connector.probe() == nil)
        #expect(await connector.status().missingPermissions == ["DeviceManagementServiceConfig.Read.All"])
        lab.graph.faults.activate(.missingScope)
        let failure = await connector.probe()
        #expect(failure?.kind == .forbidden && failure?.what.contains("Device.Read.All") == true)
    }

    @Test("001.12 001.17 the partner's state and heartbeat are shown; enabled is Active") func partnerShown()
        async throws
    {
        lab.graph.directory.withLock { $0.partners = [Self.partner("enabled")] }
        #expect(await connector.probe() == nil)
        let partner = try #require(await connector.status().partners.first)
        #expect(partner.name == "Workspace ONE" && partner.state == "enabled" && partner.hint == nil)
        #expect(partner.lastHeartbeatSeconds == TestClock.start - 600)
        #expect(partner.platforms == ["ios", "macos"])
    }

    @Test(
        "001.3 001.15 a partner out of sync is named, and what it calls compliant is not known",
        arguments: [
            ("unresponsive", Verdict.State.unknown), ("terminated", .unknown), ("enabled", .compliant),
        ])
    func partnerSilent(_ word: String, _ state: Verdict.State) async throws {
        let id = "aaaaaaaa-0000-4000-8000-000000000001"
        lab.graph.directory.withLock { $0.partners = [Self.partner(word, id: id)] }
        _ = lab.graph.directory.withLock { $0.change(GraphLab.alice, ["mdmAppId": .string(id)]) }
        #expect(await connector.probe() == nil)
        let own = try #require(await alice())
        #expect(own.state == state)
        #expect(own.labels.contains("partner-out-of-sync") == (state == .unknown))
        #expect(await connector.status().partners.first?.hint == nil || state == .unknown)
        _ = lab.graph.directory.withLock { $0.change(GraphLab.alice, ["isCompliant": false]) }
        #expect(try #require(await alice()).state == .noncompliant, "silence heals nothing")
    }

    @Test(
        "001.15 users or platforms that do not match are hinted at; what works needs no hint",
        arguments: [
            ("enabled", true, nil), ("enabled", false, "assign platforms and user groups"),
            ("unresponsive", true, "synchronise the directories"),
            ("unavailable", true, "synchronise the directories"),
            ("terminated", true, "connect it to Microsoft again"),
            ("somethingNew", true, "a state that is not known"),
        ] as [(String, Bool, String?)])
    func partnerHint(_ word: String, _ hasPlatforms: Bool, _ hint: String?) async throws {
        guard var partner = Self.partner(word).object else { return }
        if !hasPlatforms { for name in ["iosOnboarded", "macOsOnboarded"] { partner[name] = false } }
        let told = JSONValue.object(partner)
        lab.graph.directory.withLock { $0.partners = [told] }
        #expect(await connector.probe() == nil)
        let shown = try #require(await connector.status().partners.first)
        #expect((shown.hint == nil) == (hint == nil))
        if let hint { #expect(shown.hint?.contains(hint) == true) }
    }

    // MARK: What is no proof

    @Test(
        "absence proves nothing after any fault",
        arguments: [
            GraphFault.loop, .twoCycle, .sameIDs, .partialPage, .crossHostNext, .malformed, .truncated,
            .htmlAnswer,
            .serverError, .badGateway, .revokedSecret, .missingScope, .claimsChallenge, .down, .halfBody,
            .syncStateNotFound, .resyncRequired, .throttle,
        ])
    func faults(_ fault: GraphFault) async throws {
        let lab = try GraphLab(fillers: 250)
        lab.graph.faults.activate(fault, retryAfterSeconds: 700)
        let result = await (try lab.connector("entra")).sync()
        #expect(!result.isComplete && result.position == nil)
    }

    @Test(
        "what only annoys does not stop a reading",
        arguments: [GraphFault.emptyPage, .wrongType, .replay, .unknownEnum, .nullFields])
    func annoyances(_ fault: GraphFault) async throws {
        let lab = try GraphLab(fillers: 250)
        lab.graph.faults.activate(fault)
        let result = await (try lab.connector("entra")).sync()
        #expect(result.isComplete && result.records.count == 252)
        let isSpoiled = fault == .unknownEnum || fault == .nullFields
        #expect(result.records.contains { $0.verdict.state == .compliant } != isSpoiled)
    }

    @Test("resource units: the directory's 429 is waited out, and its $skip is refused") func units()
        async throws
    {
        lab.graph.faults.activate(.throttleUnits, times: 1)
        #expect(await connector.sync().isComplete)
        #expect(lab.clock.slept == [10])
    }
}
