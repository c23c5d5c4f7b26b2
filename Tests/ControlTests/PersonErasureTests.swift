import Access
import Foundation
import Testing

@testable import Control

@Suite("Whoever is erased from a decision log is gone, or the command says that they are not")
struct PersonErasureTests {
    private func logged(_ fixture: DecisionFixture, groups: Int) throws {
        let recorder = DecisionRecorder(log: try fixture.log())
        var made = try fixture.made()
        made.session?.person.groups = (0..<groups).map { "group-\($0)" }
        _ = recorder.record(made)
        recorder.finish()
    }

    @Test("however much is said of them", arguments: [1, 9_000, 20_000]) func long(_ groups: Int) throws {
        let fixture = DecisionFixture()
        try logged(fixture, groups: groups)
        #expect(try PersonErasure(folder: fixture.folder).erase(email: "ada@corp.example") == 1)
        #expect(!fixture.text(fixture.files[0]).contains("ada@corp.example"))
        #expect(try fixture.replay().counts.erased == 1)
    }

    @Test func `a file that the gateway removed meanwhile stops nothing`() throws {
        let fixture = DecisionFixture()
        try logged(fixture, groups: 1)
        // Listed, and not there when it is opened.
        for number in ["00000000", "99999999"] {
            try FileManager.default.createSymbolicLink(
                atPath: "\(fixture.folder)/decisions-\(number).jsonl", withDestinationPath: "/nonexistent")
        }
        #expect(try PersonErasure(folder: fixture.folder).erase(email: "ada@corp.example") == 1)
    }

    @Test func `a person's line that cannot be read is told, and the others are erased`() throws {
        let fixture = DecisionFixture()
        try logged(fixture, groups: 1)
        let path = fixture.files[0]
        let text = fixture.text(path)
        let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("{\"kind\":\"person\"") })
        let damaged = "\(line.dropLast(3))\n"
        try (damaged + text).write(toFile: path, atomically: true, encoding: .utf8)
        let refusal = #expect(throws: ControlFailure.self) {
            try PersonErasure(folder: fixture.folder).erase(email: "ada@corp.example")
        }
        #expect(refusal?.what.contains("1 lines erased") == true)
        #expect(refusal?.what.contains("\(path):1") == true)
        let left = fixture.text(path).split(separator: "\n").filter { $0.contains("ada@corp.example") }
        #expect(left.count == 1, "the damaged one alone")
    }
}
