import Access
import Foundation
import JSON
import Testing

@testable import Control

@Suite("Events are read from the log and filtered")
struct DecisionEventsTests {
    private func filled() throws -> (DecisionFixture, DecisionRecorder) {
        let fixture = DecisionFixture()
        let recorder = DecisionRecorder(log: try fixture.log())
        _ = recorder.record(try fixture.made("vault", device: fixture.device()))
        fixture.advance(10)
        recorder.changeBegins(.device("device-1"))
        _ = recorder.record(
            try fixture.made("vault", device: fixture.device([], verdict: "verdict-2", state: .noncompliant)))
        recorder.changeEnds(.device("device-1"), "device", atSeconds: fixture.now)
        fixture.advance(10)
        _ = recorder.record(try fixture.made("wiki", session: "session-2", email: "eve@other.example"))
        recorder.note(
            "integration", atSeconds: fixture.now,
            [("integration", "intune"), ("event", "failed"), ("failure", "throttled"), ("failures", 2)])
        recorder.log?.flush(milliseconds: 10_000)
        return (fixture, recorder)
    }

    private func events(
        _ fixture: DecisionFixture, _ change: (inout DecisionEvents.Filter) -> Void = { _ in }
    ) throws -> [DecisionEvents.Event] {
        var filter = DecisionEvents.Filter()
        change(&filter)
        var reader = DecisionEvents(files: fixture.files, filter: filter)
        var events: [DecisionEvents.Event] = []
        try reader.read { events.append($0) }
        return events
    }

    @Test("003.15 events show the state that was found and what followed")
    func state() throws {
        let (fixture, _) = try filled()
        let events = try events(fixture)
        #expect(
            events.map { $0.cells[1] } == ["decision", "decision", "change", "decision", "integration"])
        #expect(events[1].cells[7].hasSuffix("by verdict; intune noncompliant"))
        #expect(events[2].cells[7].hasPrefix("1 sessions decided, 1 changed, 0 cut"))
        #expect(events[2].cells[7].hasSuffix("verdicts verdict-1 → verdict-2"))
        #expect(events[4].cells[7] == "intune: 2 times, last at 0")
        #expect(events[0].line["email"] == "ada@corp.example")
        for event in events { #expect(event.cells.count == DecisionEvents.header.count) }
    }

    @Test("003.17 events are filtered by application, device, person, result and time")
    func filters() throws {
        let (fixture, _) = try filled()
        let start = DecisionFixture.start
        #expect(try events(fixture) { $0.application = "wiki" }.count == 1)
        #expect(try events(fixture) { $0.device = "device-1" }.count == 3)
        #expect(try events(fixture) { $0.person = "eve@other.example" }.count == 1)
        #expect(try events(fixture) { $0.person = "eve" }.isEmpty)
        let pseudonym = try #require(fixture.lines("decision").last?["person"]?.string)
        #expect(try events(fixture) { $0.person = pseudonym }.count == 1)
        #expect(try events(fixture) { $0.result = "partly" }.count == 3)
        #expect(try events(fixture) { $0.result = "throttled" }.count == 1)
        #expect(try events(fixture) { $0.result = "verdict" }.count == 1)
        #expect(try events(fixture) { $0.since = start + 10 }.count == 4)
        #expect(try events(fixture) { $0.since = start + 11 }.count == 2)
        #expect(try events(fixture) { $0.until = start + 10 }.count == 1)
        #expect(try events(fixture) { $0.kind = "file" }.count == 1)
    }

    @Test("002.21 every event is a line of JSON, as it stands in the log")
    func export() throws {
        let (fixture, _) = try filled()
        let lines = Set(fixture.text(fixture.files[0]).split(separator: "\n").map(String.init))
        for event in try events(fixture) {
            var plain = event.line.object ?? JSONObject()
            plain["email"] = nil
            #expect(lines.contains(String(decoding: plain.serialized(), as: UTF8.self)))
        }
    }

    @Test func `whoever follows sees what comes, once, also in the next file`() throws {
        let (fixture, recorder) = try filled()
        var reader = DecisionEvents(folder: fixture.folder, filter: DecisionEvents.Filter())
        func count() throws -> Int {
            var count = 0
            try reader.read { _ in count += 1 }
            return count
        }
        #expect(try count() == 5)
        #expect(try count() == 0)
        recorder.note("lost", atSeconds: fixture.now, [("entries", 1)])
        recorder.log?.flush(milliseconds: 10_000)
        #expect(try count() == 1)
        fixture.advance(86_400)
        recorder.note("lost", atSeconds: fixture.now, [("entries", 1)])
        recorder.log?.flush(milliseconds: 10_000)
        #expect(fixture.files.count == 2)
        #expect(try count() == 1)
        // The half of a line that is on its way is not shown before its other half has come.
        let file = try #require(FileHandle(forWritingAtPath: fixture.files[1]))
        try file.seekToEnd()
        try file.write(contentsOf: Data("{\"kind\":\"lost\",".utf8))
        #expect(try count() == 0)
        try file.write(contentsOf: Data("\"at\":1,\"entries\":3}\n".utf8))
        #expect(try count() == 1)
        // What was read is removed to make room: what is left is newer.
        for path in fixture.files { try FileManager.default.removeItem(atPath: path) }
        #expect(try count() == 0)
    }

    @Test func `a line that is damaged is shown as such, and a file that is not there is an error`() throws {
        let (fixture, _) = try filled()
        try "{\"kind\":\"decision\"}\n".write(
            toFile: "\(fixture.folder)/x", atomically: true, encoding: .utf8)
        var reader = DecisionEvents(files: ["\(fixture.folder)/x"], filter: DecisionEvents.Filter())
        var kinds: [String] = []
        try reader.read { kinds.append($0.cells[1]) }
        #expect(kinds == ["damaged"])
        var none = DecisionEvents(files: ["\(fixture.folder)/y"], filter: DecisionEvents.Filter())
        #expect(throws: ControlFailure.self) { try none.read { _ in } }
    }
}
