import Access
import Fetch
import JSON
import Testing

@testable import Posture

@Suite(
    "A machine that was enrolled again: its old record does not refuse its owner, and a made-up one gains nothing"
)
struct ReenrolmentTests {
    static let now: Int64 = 1_000_000
    static let guid = "5c1d9b7e-0a0e-4d51-9a0f-000000000001"
    static let otherGuid = "5c1d9b7e-0a0e-4d51-9a0f-000000000002"

    /// One record: what it is called, how it is, how long ago the device reported, and by what it is named.
    struct Row: Sendable {
        var id: String
        var state: Verdict.State
        var age: Int64
        var keys: [(DeviceKey.Kind, String)]

        func record(_ now: Int64) -> VerdictRecord {
            VerdictRecord(
                verdict: Verdict(
                    id: id, integration: "it", provider: "test", nativeID: id, state: state,
                    observedAtSeconds: now - age, fetchedAtSeconds: now,
                    expiresAtSeconds: min(now + 3_600, now - age + 86_400), matchKey: "",
                    matchStrength: .weak),
                keys: keys.compactMap { DeviceKey($0.0, $0.1) })
        }
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var rows: [Row]
        /// The record that counts; nil: ambiguous.
        var counts: String?

        init(_ name: String, _ rows: [Row], _ counts: String?) {
            testDescription = name
            self.rows = rows
            self.counts = counts
        }
    }

    static let serial: (DeviceKey.Kind, String) = (.serial, "S1")
    static let machine: [(DeviceKey.Kind, String)] = [serial, (.hardware, guid)]

    static let table: [Case] = [
        Case(
            "the old record is retired",
            [
                Row(id: "old", state: .notManaged, age: 900, keys: [serial]),
                Row(id: "new", state: .compliant, age: 60, keys: [serial]),
            ], "new"),
        Case(
            "retired in the same second as the new one reported",
            [
                Row(id: "old", state: .notManaged, age: 60, keys: [serial]),
                Row(id: "new", state: .noncompliant, age: 60, keys: [serial]),
            ], "new"),
        Case(
            "retired a second after the new one reported: which one is it",
            [
                Row(id: "old", state: .notManaged, age: 59, keys: [serial]),
                Row(id: "new", state: .compliant, age: 60, keys: [serial]),
            ], nil),
        Case(
            "two retired and one managed",
            [
                Row(id: "a", state: .notManaged, age: 900, keys: [serial]),
                Row(id: "b", state: .notManaged, age: 800, keys: [serial]),
                Row(id: "new", state: .grace, age: 60, keys: [serial]),
            ], "new"),
        Case(
            "two retired and none managed",
            [
                Row(id: "a", state: .notManaged, age: 900, keys: [serial]),
                Row(id: "b", state: .notManaged, age: 800, keys: [serial]),
            ], nil),
        Case(
            "serial number and hardware id agree: the newest",
            [
                Row(id: "old", state: .compliant, age: 900, keys: machine),
                Row(id: "new", state: .noncompliant, age: 60, keys: machine),
            ], "new"),
        Case(
            "serial number and the directory's id agree: the newest",
            [
                Row(id: "old", state: .compliant, age: 900, keys: [serial, (.entra, guid)]),
                Row(id: "new", state: .compliant, age: 60, keys: [serial, (.entra, guid)]),
            ], "new"),
        Case(
            "only the serial number agrees: boards share those",
            [
                Row(id: "old", state: .compliant, age: 900, keys: [serial]),
                Row(id: "new", state: .compliant, age: 60, keys: [serial]),
            ], nil),
        Case(
            "the hardware ids differ, whatever else agrees",
            [
                Row(id: "old", state: .compliant, age: 900, keys: machine + [(.entra, guid)]),
                Row(
                    id: "new", state: .compliant, age: 60,
                    keys: [serial, (.hardware, otherGuid), (.entra, guid)]),
            ], nil),
        Case(
            "both reported in the same second",
            [
                Row(id: "old", state: .compliant, age: 60, keys: machine),
                Row(id: "new", state: .compliant, age: 60, keys: machine),
            ], nil),
        Case(
            "a new record does not take the place of one that says non-compliant and still counts",
            [
                Row(id: "old", state: .noncompliant, age: 86_399, keys: machine),
                Row(id: "new", state: .compliant, age: 60, keys: machine),
            ], nil),
        Case(
            "once that one's time is over it does",
            [
                Row(id: "old", state: .noncompliant, age: 86_400, keys: machine),
                Row(id: "new", state: .compliant, age: 60, keys: machine),
            ], "new"),
        Case(
            "a report whose time is not known replaces nothing",
            [
                Row(id: "old", state: .compliant, age: 900, keys: machine),
                Row(id: "new", state: .compliant, age: now, keys: machine),
            ], "old"),
        Case(
            "three of one machine: the newest",
            [
                Row(id: "a", state: .compliant, age: 900, keys: machine),
                Row(id: "b", state: .compliant, age: 800, keys: machine),
                Row(id: "new", state: .compliant, age: 60, keys: machine),
            ], "new"),
        Case(
            "a newer one that says better of it replaces none that still counts",
            [
                Row(id: "old", state: .grace, age: 900, keys: machine),
                Row(id: "new", state: .compliant, age: 60, keys: machine),
            ], nil),
        Case(
            "one that says worse does",
            [
                Row(id: "old", state: .compliant, age: 900, keys: machine),
                Row(id: "new", state: .noncompliant, age: 60, keys: machine),
            ], "new"),
        Case(
            "one of three is another machine",
            [
                Row(id: "a", state: .compliant, age: 900, keys: machine),
                Row(id: "b", state: .compliant, age: 800, keys: [serial, (.hardware, otherGuid)]),
                Row(id: "new", state: .compliant, age: 60, keys: machine),
            ], nil),
    ]

    @Test("providers.md 13: which of several records counts", arguments: table) func counts(_ row: Case)
        throws
    {
        let key = try #require(DeviceKey(.serial, "S1"))
        let table = VerdictTable(integration: "it")
        for record in row.rows.map({ $0.record(Self.now) }) { table.keep(record) }
        let fake = GatedConnector("it", TestClock(Self.now))
        let verdict = try #require(
            VerdictMatching.verdict(
                of: VerdictMatching.Question(keys: [key]), by: VerdictMatching.Source(fake), in: table,
                nowSeconds: Self.now))
        #expect((verdict.state == .ambiguous ? nil : verdict.nativeID) == row.counts)
        // In whatever order they stand.
        #expect(
            CurrentRecords.current(row.rows.reversed().map { $0.record(Self.now) }, nowSeconds: Self.now)
                .map(\.verdict.nativeID) == row.counts.map { [$0] } ?? [] || row.counts == nil)
    }

    @Test("a device that Intune has under two records of one machine is what the newer one says")
    func intune() async throws {
        let (setting, fake, _) = try await VerdictTests.setting()
        func phone(_ number: Int, _ state: String, ago: Int64) -> JSONValue {
            guard
                var device = GraphFake.device(
                    number, state: state, lastSync: setting.clock.now - ago, serial: "C02X"
                ).object
            else { return .null }
            device["udid"] = .string(Self.guid)
            return .object(device)
        }
        fake.set {
            $0.devices = [phone(5, "compliant", ago: 7_200), phone(6, "noncompliant", ago: 60)]
            $0.overview = 2
        }
        let agent = try await setting.enroll(JSONObject([("serial", "C02X")]))
        _ = await setting.service.reconnect(integration: "intune")
        let verdict = await VerdictTests.verdict(setting, agent)
        #expect(verdict?.state == .noncompliant && verdict?.nativeID == GraphFake.id(6))
    }
}
