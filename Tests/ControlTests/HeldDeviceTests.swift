import Access
import Border
import JSON
import Store
import Testing

@testable import Control

@Suite("The device check of a device of which something is held")
struct HeldDeviceTests {
    /// One whole check, to its answer.
    private func check(
        _ house: Gatehouse, _ agent: TestAgent
    ) async throws -> (response: ControlResponse, global: StoredSession?) {
        let browser = try await CheckingBrowser(house)
        let assertion = try agent.assertion(for: try await browser.challenge(), transport: "fetch")
        let response = await browser.post(
            "/.gatepost/posture/assert",
            ["tx": .string(browser.transaction), "assertion": .string(assertion)])
        return (response, try await house.store.session(id: browser.global.id))
    }

    @Test("is refused while it is held, leaves nothing with the session, and works again afterwards")
    func refused() async throws {
        let house = try Gatehouse()
        let agent = try await TestAgent(house)
        let cause = HeldCause(kind: .absence(["health"]))
        let losses = (0..<12).map { index in
            SessionLoss(
                session: "s\(index)", person: "p\(index)", application: "vault",
                device: index == 0 ? agent.deviceID : "d\(index)", cause: cause)
        }
        let ruling = house.control.blast.radius { radius in
            radius.beginBatch()
            return radius.settle(losses, live: 12, nowSeconds: house.now)
        }
        #expect(ruling.held.count == 12)
        let held = try await check(house, agent)
        #expect(held.response.status == 403)
        #expect(try JSONValue(parsing: held.response.body)["reason"] == "change-held")
        #expect(held.global?.deviceID == nil && held.global?.statement == nil)
        house.control.blast.radius { for loss in losses { $0.drop(loss.session) } }
        let free = try await check(house, agent)
        #expect(free.response.status == 200, "\(String(decoding: free.response.body, as: UTF8.self))")
        #expect(free.global?.deviceID == agent.deviceID)
    }
}
