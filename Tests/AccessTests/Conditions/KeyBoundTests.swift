import Testing

@testable import Access

@Suite("Sessions that are bound to a key")
struct KeyBoundTests {
    private static let bound = Condition.keyBound(.init())

    private func decide(
        _ policies: [ApplicationPolicy], key: Int64?, _ person: PersonFacts = person()
    ) -> Residual {
        var session = session(person)
        session.keyProvenAtSeconds = key
        let one = application(policies)
        return snapshot([], [one]).residual(of: session, nil, for: one, atSeconds: now)
    }

    @Test("a bound session is let in, however old its proof is, and any other gets the reason")
    func allow() {
        let policy = Fixture.allow("a", [.everyone], require: [Self.bound])
        #expect(decide([policy], key: now).policies.map(\.action) == [.allow])
        #expect(decide([policy], key: 1).policies.map(\.action) == [.allow])
        let refused = decide([policy], key: nil)
        #expect(refused.policies.isEmpty && refused.refusal == .keyRequired)
        let one = application([policy])
        let nobody = snapshot([], [one]).residual(of: nil, nil, for: one, atSeconds: now)
        #expect(nobody.policies.isEmpty && nobody.refusal == .signInRequired)
    }

    @Test("the reason stands only where the key alone is missing")
    func alone() {
        let stranger = Fixture.allow("a", [inGroup("admins")], require: [Self.bound])
        #expect(decide([stranger], key: nil).refusal == .noPolicyMatches)
        let block = ApplicationPolicy(
            name: "b", action: .block, include: [.everyone], require: [], exclude: [])
        let behind = Fixture.allow("a", [.everyone], require: [Self.bound])
        #expect(decide([block, behind], key: nil).refusal == .noPolicyMatches)
        #expect(decide([Fixture.allow("a", [inGroup("admins")])], key: nil).refusal == .noPolicyMatches)
    }

    @Test("a block may spare bound sessions, and a group may ask for the key")
    func otherPlaces() {
        let block = ApplicationPolicy(
            name: "b", action: .block, include: [.everyone], require: [], exclude: [Self.bound])
        let all = Fixture.allow("a", [.everyone])
        #expect(decide([block, all], key: now).policies.map(\.action) == [.allow])
        #expect(decide([block, all], key: nil).policies.first?.action == .block)
        let group = Condition.meets(.init(name: "g", include: [Self.bound]))
        #expect(decide([Fixture.allow("a", [group])], key: nil).refusal == .keyRequired)
        #expect(!decide([Fixture.allow("a", [group])], key: now).policies.isEmpty)
    }
}

private enum Fixture {
    static func allow(
        _ name: String, _ include: [Condition], require: [Condition] = []
    ) -> ApplicationPolicy {
        ApplicationPolicy(name: name, action: .allow, include: include, require: require, exclude: [])
    }
}
