import Access
import Border
import Foundation
import JSON
import Signatures
import Store
import Testing

@testable import Control
@testable import Posture

/// `session end` reaches machines by what `service-token list` shows of them.
extension MachineTests {
    private func end(
        _ house: Gatehouse, _ name: String, _ value: String, isDry: Bool = false
    ) async -> JSONValue {
        await ask(
            house, [("command", "session-end"), (name, .string(value)), ("dry_run", .bool(isDry))])
    }

    @Test(
        "a machine is counted and ended by its application, its device and its record, and may come back",
        arguments: ["application", "device", "session"])
    func ended(_ name: String) async throws {
        let house = try await house()
        await say(.compliant, house)
        let claim = Self.claim(["dns:\(Self.guid)"])
        let record = try #require(await pulled(house, claim))
        let listed = await ask(house, [("command", "service-token-list")])
        let row = try #require(listed["machines"]?.array?.first)
        let value = try #require(row[name == "session" ? "record" : name]?.string)
        let planned = await end(house, name, value, isDry: true)
        #expect(planned["machines"] == 1 && planned["sessions"] == 0)
        #expect(planned["text"]?.string?.contains("and 1 machine would end") == true, "\(planned)")
        let seen = house.reactors.revocations.count
        #expect(house.control.machines.active(claim.tokenDigest) != nil)
        let done = await end(house, name, value)
        #expect(done["machines"] == 1, "\(done)")
        #expect(
            house.reactors.revocations.dropFirst(seen).map(\.effect) == [.endSession(record.session)])
        #expect(house.control.machines.active(claim.tokenDigest) == nil)
        let audit = try #require(try await house.store.audit(limit: 1).first)
        #expect(audit.kind == "sessions-ended" && audit.json.contains(record.session))
        #expect(await end(house, "application", "press")["machines"] == 0)
        // Its certificate still counts: the next request makes another record.
        #expect(await pulled(house, claim) != nil)
    }

    @Test func `what is another machine's, another application's or nobody's ends none`() async throws {
        let house = try await house()
        let token = try await create(house)
        _ = try #require(await self.token(house, wire(token)))
        let seen = house.reactors.revocations.count
        for (name, value) in [("application", "vault"), ("device", "machine:x"), ("device", "")] {
            #expect(await end(house, name, value)["machines"] == 0, "\(name)")
        }
        #expect(await end(house, "session", "gps_x@press")["error"] != nil)
        #expect(house.reactors.revocations.count == seen)
    }
}
