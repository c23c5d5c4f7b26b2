import Access
import JSON
import Store
import Testing

@testable import Identity

@Suite("The id of the token that a session was renewed with last")
struct RefreshTokenIDTests {
    let fixture = RefreshWorld()

    /// Of the sign-in and the application's session below it.
    private func ids(_ id: String) async throws -> [ClaimValue?] {
        let sessions = await fixture.world.store.rows.values.filter { $0.id == id || $0.globalID == id }
        #expect(sessions.count == 2)
        return sessions.map { $0.claims[StoredSession.tokenClaim] }
    }

    private func refresh(_ id: String, jti: JSONValue?, groups: JSONValue = ["staff", "admins"]) async throws
    {
        fixture.tenant.refreshing {
            $0.claims = {
                $0["jti"] = jti
                $0["groups"] = groups
            }
        }
        try await fixture.refreshOnce(id)
        #expect(await fixture.row(id)?.failure == nil)
    }

    @Test("a refresh brings the new token's id, or none, and decides nothing anew by that alone")
    func renewed() async throws {
        fixture.tenant.misbehave { $0.claims = { $0["jti"] = "first" } }
        let (_, id) = try await fixture.signIn()
        #expect(try await ids(id) == [.text("first"), .text("first")])
        try await refresh(id, jti: "second")
        #expect(try await ids(id) == [.text("second"), .text("second")])
        try await refresh(id, jti: nil)
        #expect(try await ids(id) == [nil, nil])
        try await refresh(id, jti: "third")
        #expect(try await ids(id) == [.text("third"), .text("third")])
        #expect(fixture.results.changes.isEmpty)
        try await refresh(id, jti: "fourth", groups: ["staff"])
        #expect(try await ids(id) == [.text("fourth"), .text("fourth")])
        #expect(fixture.results.changes == [id])
    }
}
