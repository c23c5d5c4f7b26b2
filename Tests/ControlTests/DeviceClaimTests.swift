import Access
import Border
import Identity
import JSON
import Posture
import Store
import Testing

@testable import Control

@Suite("The claim of a sign-in that names the device (row 5 of the keys)")
struct DeviceClaimTests {
    static let own = "9d3e2c10-7f6a-4f0e-8f30-000000000001"
    static let other = "9d3e2c10-7f6a-4f0e-8f30-000000000002"

    private func house(_ key: String) async throws -> Gatehouse {
        let house = try Gatehouse(
            Gatehouse.config.replacing(
                "integrations:\n",
                with: "integrations:\n  kolide: { provider: kolide, api-token: { file: secrets/corp } }\n"
            ).replacing(
                "rules: [ { agent: agents, managed: true } ]",
                with: "rules: [ { kolide: kolide, tags: { matches-any: [ compliant ] } } ]"
            ).replacing("client-id: gatepost,", with: "client-id: gatepost, \(key)"),
            fetcher: RotatedProvider(accepting: "secret"))
        try await house.enroll("d", pinned: ["serial": "S-ADA", "entra-device-id": Self.own])
        #expect(await house.control.services.posture.reconnect(integration: "kolide")?.state == .configured)
        return house
    }

    /// Whether the vault, which wants a compliant device, lets somebody in with these claims.
    private func letsIn(_ house: Gatehouse, _ claims: [String: ClaimValue]) async throws -> Bool {
        let (global, _, cookie) = try await house.signIn(at: "vault", device: "d")
        try await Sessions(store: house.store, ring: house.control.ring).change(global.id) {
            $0.claims = claims
        }
        let record = try #require(await house.pulled(cookie.tokenDigest, "vault"))
        return record.residual.outcome.letsIn
    }

    @Test("row 5: a session whose token names another device than its agent proved is not let in by verdicts")
    func contradicted() async throws {
        let house = try await house("device-claim: deviceid,")
        #expect(try await letsIn(house, ["deviceid": .text(Self.own)]))
        #expect(try await letsIn(house, [:]))
        #expect(try await letsIn(house, ["deviceid": .flag(true)]))
        #expect(try await !letsIn(house, ["deviceid": .text(Self.other)]))
    }

    @Test("row 5: without the key no claim is read, and of another name neither")
    func off() async throws {
        #expect(try await letsIn(house(""), ["deviceid": .text(Self.other)]))
        #expect(try await letsIn(house("device-claim: device,"), ["deviceid": .text(Self.other)]))
    }

    @Test("a claim that says whom a token is about names no device", arguments: ["sub", "email", "aud"])
    func refused(_ name: String) async throws {
        await #expect(throws: (any Error).self) { try await house("device-claim: \(name),") }
    }
}
