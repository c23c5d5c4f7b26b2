import Access
import Border
import Testing

@testable import Control

@Suite("What is held is what reactors can still serve", .timeLimit(.minutes(10)))
struct HeldLimitsTests {
    private static let field = ",\n          restrict: { upstream-field: { X-Access: partial } }"
    private static let config = GuardHouse.config.replacing(
        "require: [ { device: compliant } ] }", with: "require: [ { device: compliant } ]\(field) }")

    @Test(
        "a field that clients could write now is not held for new requests, and what is open stays"
    )
    func unprotected() async throws {
        let guarded = try await GuardHouse(12, config: Self.config)
        defer { guarded.end() }
        #expect(guarded.openCount == 12)
        try guarded.house.rewrite {
            GuardReleaseTests.narrowed($0).replacing(Self.field, with: "")
        }
        #expect(try await guarded.house.control.reload().heldSessions == 12)
        // Under the old decision reactors would answer each request 503 for as long as it is held.
        #expect(guarded.openCount == 0)
        #expect(
            guarded.people.indices.allSatisfy { index in
                guarded.latest(index)?.openResidual?.policies.isEmpty == false
            })
    }

    @Test("where a policy still has the field, the reload is held") func protected() async throws {
        let guarded = try await GuardHouse(12, config: Self.config)
        defer { guarded.end() }
        try guarded.house.rewrite(GuardReleaseTests.narrowed)
        #expect(try await guarded.house.control.reload().heldSessions == 12)
        #expect(guarded.openCount == 12)
    }
}
