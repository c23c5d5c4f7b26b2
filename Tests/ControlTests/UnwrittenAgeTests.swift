import Access
import Border
import Store
import Testing

@testable import Control

@Suite("Where only providers are asked about devices, and nothing is written about the proof's age")
struct UnwrittenAgeTests {
    /// No device policy: a device is one of the defaults' class, and nothing is asked that the agent said.
    private static func config(_ posture: String = "") -> String {
        Gatehouse.config.replacing(
            """
            device-policies:
              - { name: any-linux, platform: linux, priority: 10, result: compliant,
                  rules: [ { agent: agents, managed: true } ] }

            """, with: ""
        ).replacing("require: [ { device: compliant } ]", with: "require: [ { device: partial } ]").replacing(
            "  vault:\n    host: vault.corp.example\n",
            with: "  vault:\n    host: vault.corp.example\n" + posture)
    }

    @Test(
        "an agent that has gone is a loss after 15 minutes: what is new ends then, what is open with the grace",
        arguments: [
            (719, true, true, false), (720, true, true, true), (899, true, true, true),
            (900, false, true, true),
            (959, false, true, true), (960, false, false, true),
        ] as [(Int64, Bool, Bool, Bool)])
    func standard(_ age: Int64, _ isNew: Bool, _ isOpen: Bool, _ isRepeated: Bool) async throws {
        let house = try await RecheckHouse(Self.config(), applications: ["wiki", "vault"])
        try await house.prove()
        house.house.advance(age)
        let record = try await house.record("vault")
        #expect(house.mayOpen(record) == isNew && house.mayOpen(record, isOpen: true) == isOpen)
        #expect(isNew || record.residual.refusal == .postureRequired)
        if isNew { #expect(try await (house.detour("vault") != nil) == isRepeated) }
        #expect(house.mayOpen(try await house.record("wiki")), "it asks for no device")
    }

    @Test("`max-age: off` is the way to what was before: the proof counts as long as the sign-in")
    func off() async throws {
        let house = try await RecheckHouse(
            Self.config("    posture: { max-age: off }\n"), applications: ["wiki", "vault"])
        try await house.prove()
        for age in [900, 50_000] as [Int64] {
            house.house.advance(age)
            let record = try await house.record("vault")
            #expect(house.mayOpen(record) && record.recheckAtSeconds == .max)
        }
    }
}
