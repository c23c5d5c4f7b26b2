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

    typealias Keys = [(DeviceKey.Kind, String)]
    static let serial: Keys = [(.serial, "S1")]
    static let machine: Keys = serial + [(.hardware, guid)]
    static let entry: Keys = serial + [(.entra, guid)]

    /// How each of two records is and how long ago its device reported; both are named alike.
    static func two(
        _ name: String, old: (Verdict.State, Int64), new: (Verdict.State, Int64), _ keys: Keys,
        counts: String?
    ) -> Case {
        Case(
            name,
            [
                Row(id: "old", state: old.0, age: old.1, keys: keys),
                Row(id: "new", state: new.0, age: new.1, keys: keys),
            ], counts)
    }

    static let pairs: [Case] = [
        two(
            "the old record is retired", old: (.notManaged, 900), new: (.compliant, 60), serial, counts: "new"
        ),
        two(
            "retired in the same second as the new one reported", old: (.notManaged, 60),
            new: (.noncompliant, 60), serial, counts: "new"),
        two(
            "retired a second after the new one reported: which one is it", old: (.notManaged, 59),
            new: (.compliant, 60), serial, counts: nil),
        two("both are retired", old: (.notManaged, 900), new: (.notManaged, 800), serial, counts: nil),
        two(
            "serial number and hardware id agree: the newest", old: (.compliant, 900), new: (.compliant, 60),
            machine, counts: "new"),
        two(
            "serial number and the directory's id agree: the newest", old: (.compliant, 900),
            new: (.compliant, 60), entry, counts: "new"),
        two(
            "only the serial number agrees: boards share those", old: (.compliant, 900),
            new: (.compliant, 60),
            serial, counts: nil),
        two(
            "both reported in the same second", old: (.compliant, 60), new: (.compliant, 60), machine,
            counts: nil),
        two(
            "a new record does not take the place of one that says non-compliant and still counts",
            old: (.noncompliant, 86_399), new: (.compliant, 60), machine, counts: nil),
        two(
            "once that one's time is over it does", old: (.noncompliant, 86_400), new: (.compliant, 60),
            machine, counts: "new"),
        two(
            "a report whose time is not known replaces nothing", old: (.compliant, 900),
            new: (.compliant, now), machine, counts: "old"),
        two(
            "a newer one that says better of it replaces none that still counts", old: (.grace, 900),
            new: (.compliant, 60), machine, counts: nil),
        two(
            "one that says worse does", old: (.compliant, 900), new: (.noncompliant, 60), machine,
            counts: "new"),
    ]

    static let others: [Case] = [
        Case(
            "two retired and one managed",
            [
                Row(id: "a", state: .notManaged, age: 900, keys: serial),
                Row(id: "b", state: .notManaged, age: 800, keys: serial),
                Row(id: "new", state: .grace, age: 60, keys: serial),
            ], "new"),
        Case(
            "the hardware ids differ, whatever else agrees",
            [
                Row(id: "old", state: .compliant, age: 900, keys: machine + [(.entra, guid)]),
                Row(id: "new", state: .compliant, age: 60, keys: entry + [(.hardware, otherGuid)]),
            ], nil),
        Case(
            "three of one machine: the newest",
            [
                Row(id: "a", state: .compliant, age: 900, keys: machine),
                Row(id: "b", state: .compliant, age: 800, keys: machine),
                Row(id: "new", state: .compliant, age: 60, keys: machine),
            ], "new"),
        Case(
            "one of three is another machine",
            [
                Row(id: "a", state: .compliant, age: 900, keys: machine),
                Row(id: "b", state: .compliant, age: 800, keys: serial + [(.hardware, otherGuid)]),
                Row(id: "new", state: .compliant, age: 60, keys: machine),
            ], nil),
    ]

    @Test("no two rows are the same but for their names") func rows() {
        let bodies = (Self.pairs + Self.others).map { row in
            row.rows.map { "\($0.state) \($0.age) \($0.keys)" }.joined(separator: "; ")
        }
        #expect(Set(bodies).count == bodies.count, "\(bodies.sorted())")
    }

    @Test("providers.md 13: which of several records counts", arguments: pairs + others) func counts(
        _ row: Case
    )
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
