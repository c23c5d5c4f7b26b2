import Access
import JSON
import Signatures
import Store
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("A transmitter that tells about nobody by itself is told whom to tell about")
struct SignalSubjectTests {
    static let owner: JSONValue = .object(SignalLab.user)
    static let device: JSONValue = ["format": "complex", "device": ["format": "opaque", "id": "PF3ABCDE"]]
    static let guest: JSONValue = ["format": "iss_sub", "iss": "https://idp.example/t1", "sub": "u-99"]

    private func lab(
        _ delivery: String = "push", pinned: [String: String] = ["serial": "PF3ABCDE"]
    ) async throws -> SignalLab {
        let lab = try await SignalLab(delivery, pinned: pinned)
        lab.transmitter.faults.activate(.nobodyByDefault)
        return lab
    }

    /// One round of what the stream does by itself.
    private func round(_ lab: SignalLab) async throws {
        try await lab.connect()
        let service = try lab.service
        try await lab.stream.keepSubjects { await service.streamSubjects() }
    }

    private func shown(_ lab: SignalLab) async throws -> SignalSubjectStatus? {
        try await lab.signals().subjects
    }

    private func calls(_ lab: SignalLab, _ action: String) -> Int {
        lab.transmitter.state.withLock { $0.calls["POST /signals/subjects/\(action)"] ?? 0 }
    }

    @Test(
        "people and devices are added, once, and only then told about",
        arguments: SignalStreamTests.deliveries)
    func added(_ delivery: String) async throws {
        let lab = try await lab(delivery)
        try await lab.connect()
        lab.revoke()
        lab.compliance(false)
        try await lab.deliver()
        #expect(lab.effects.isEmpty, "verified, healthy, and nothing comes")
        try await round(lab)
        #expect(lab.published?.subjects == [Self.owner, Self.device])
        #expect(try await shown(lab) == SignalSubjectStatus(added: 2))
        lab.revoke()
        lab.compliance(false)
        try await lab.deliver()
        #expect(lab.effects.contains(SignalStreamTests.person))
        #expect(try await lab.ownVerdict()?.state == .noncompliant)
        lab.clock.now += 30
        try await round(lab)
        #expect(calls(lab, "add") == 2 && calls(lab, "remove") == 0)
        // Another process does not know who was added; it does no harm twice.
        try await lab.start()
        try await round(lab)
        #expect(calls(lab, "add") == 4 && lab.published?.subjects == [Self.owner, Self.device])
    }

    @Test("a device is named by everything that providers call it") func aliases() async throws {
        let lab = try await lab(
            pinned: ["serial": "PF3ABCDE", "entra-device-id": "9d3e2c10-7f6a-4f0e-8f30-2b9b8a7c6d5e"])
        try await round(lab)
        let device = try #require(lab.published?.subjects.last)
        let names = try #require(device["device"]?["identifiers"]?.array)
        #expect(device["device"]?["format"] == "aliases")
        #expect(
            Set(names.compactMap { $0["id"]?.string })
                == ["PF3ABCDE", "9d3e2c10-7f6a-4f0e-8f30-2b9b8a7c6d5e"])
        lab.compliance(false)
        try await lab.deliver()
        #expect(try await lab.ownVerdict()?.state == .noncompliant)
    }

    @Test("whoever signs in comes first, and leaves with the last session") func people() async throws {
        let lab = try await lab()
        await (try lab.service).note(openPeople: [
            SignedInPerson(issuer: "https://idp.example/t1", subject: "u-99"),
            SignedInPerson(issuer: "https://idp.example/t1", subject: "u-17"),
        ])
        try await round(lab)
        #expect(lab.published?.subjects == [Self.owner, Self.guest, Self.device])
        await (try lab.service).note(openPeople: [])
        try await round(lab)
        #expect(lab.published?.subjects == [Self.owner, Self.device], "an owner of a device stays")
        #expect(try await (try lab.service).revoke(deviceID: "device-1"))
        try await round(lab)
        #expect(lab.published?.subjects == [] && calls(lab, "remove") == 3)
    }

    @Test("nobody is added where everybody is told about, and a metadata word of no meaning is refused")
    func everybody() async throws {
        let lab = try await SignalLab()
        try await round(lab)
        #expect(calls(lab, "add") == 0)
        #expect(try await shown(lab) == nil)
        lab.transmitter.faults.activate(.wrongDefaultSubjects)
        lab.clock.now += 3_600
        try await lab.stream.keepUp()
        #expect(try await lab.report().lastFailure?.kind == .malformedResponse)
    }

    @Test("a transmitter that cannot be told of anybody is degraded, however well it verifies")
    func impossible() async throws {
        let lab = try await lab()
        lab.transmitter.faults.activate(.noSubjectEndpoints)
        try await round(lab)
        let shown = try #require(try await shown(lab))
        #expect(shown.isImpossible && shown.isDegraded)
        #expect(try await lab.signals().verifiedAtSeconds == lab.clock.now)
        #expect(calls(lab, "add") == 0)
    }

    @Test("who is not known there is shown, and offered again after a day, not a second sooner")
    func unknown() async throws {
        let lab = try await lab()
        lab.transmitter.faults.activate(.unknownSubjects, times: 1)
        try await round(lab)
        #expect(try await shown(lab) == SignalSubjectStatus(added: 1, unknown: 1))
        #expect(lab.published?.subjects == [Self.device])
        lab.clock.now += StreamSubjects.refusedSeconds - 1
        try await round(lab)
        #expect(calls(lab, "add") == 2)
        lab.clock.now += 1
        try await round(lab)
        #expect(calls(lab, "add") == 3)
        #expect(try await shown(lab) == SignalSubjectStatus(added: 2))
    }

    @Test("a transmitter that is asked too much is left alone for as long as it says") func throttled()
        async throws
    {
        let lab = try await lab()
        lab.transmitter.faults.activate(.throttledSubjects, times: 1, retryAfterSeconds: 90)
        try await round(lab)
        let shown = try #require(try await shown(lab))
        #expect(shown.added == 0 && shown.waiting == 2)
        #expect(shown.isDegraded && shown.failure?.contains("throttled") == true)
        #expect(calls(lab, "add") == 1)
        lab.clock.now += 89
        try await round(lab)
        #expect(calls(lab, "add") == 1)
        lab.clock.now += 1
        try await round(lab)
        #expect(try await self.shown(lab) == SignalSubjectStatus(added: 2))
    }

    @Test("a stream that was made anew has nobody on it: everybody is added again") func madeAnew()
        async throws
    {
        let lab = try await lab()
        try await round(lab)
        lab.transmitter.state.withLock { $0.streams = [] }
        // Its absence is noticed, then it is made.
        lab.clock.now += 900
        try await round(lab)
        lab.clock.now += 60
        try await round(lab)
        #expect(lab.published?.subjects == [Self.owner, Self.device] && calls(lab, "add") == 4)
    }

    private func person(_ number: Int) -> StreamSubject {
        .person(issuer: ExactKey("https://idp.example"), subject: ExactKey("u-\(number)"))
    }

    @Test("a round makes 100 calls, a stream has 10,000 subjects, and one more is shown") func bounds() {
        for (count, beyond) in [(10_000, 0), (10_001, 1)] {
            var subjects = StreamSubjects()
            let all = (0..<count).map(person)
            subjects.want(all, nowSeconds: 0)
            #expect(subjects.status.waiting == 10_000 && subjects.status.beyondMaximum == beyond)
            #expect(subjects.status.isDegraded == (beyond > 0))
            var rounds = 0
            while case let next = subjects.next(), !next.isEmpty {
                #expect(next.count == 100 && next.allSatisfy(\.isAddition))
                for change in next { subjects.note(added: change.subject) }
                rounds += 1
            }
            #expect(rounds == 100 && subjects.status.added == 10_000)
            // Whoever leaves makes room first.
            subjects.want(Array(all.suffix(9_950)) + [person(20_000)], nowSeconds: 1)
            let next = subjects.next()
            #expect(next.prefix(50 + beyond).allSatisfy { !$0.isAddition })
            #expect(next.last?.isAddition == true)
        }
    }
}
