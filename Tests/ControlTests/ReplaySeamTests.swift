import Access
import Foundation
import JSON
import Testing

@testable import Control

/// Lines are read, and decisions decided, side by side and in pieces: what comes of a log must not depend on where they
/// were cut.
@Suite("A decision log comes to the same wherever it is cut into pieces")
struct ReplaySeamTests {
    /// Everything that is told of a log, in its order.
    private struct Told: Equatable {
        var counts: Replay.Counts
        var problems: [String]
        var differences: [String]
        var changes: [Replay.Change: Int64]
        var emails: [String: String]
        var residuals: [String: Residual]

        init(_ replay: Replay) {
            counts = replay.counts
            problems = replay.problems
            differences = replay.differences.map(\.text)
            changes = replay.changes
            emails = replay.emails
            residuals = replay.residuals.mapValues(\.live)
        }
    }

    private static func told(
        _ files: [String], piecesMax: Int, keepsResiduals: Bool = false, recognizes: Bool = true
    ) throws -> Told {
        var candidate = DecisionFixture.policy
        candidate.applications[1].policies.remove(at: 1)
        var replay = Replay(
            candidate: DecisionFixture.named(candidate), keepsResiduals: keepsResiduals,
            pieceLinesMax: piecesMax, pendingMax: piecesMax, recognizes: recognizes)
        for file in files { try replay.add(file) }
        return Told(replay)
    }

    /// Decisions of five sessions, two of them confirmed and the others made anew, each with inputs of its own.
    private static func lines(_ fixture: DecisionFixture) throws -> [String] {
        let recorder = DecisionRecorder(log: try fixture.log())
        for round in 0..<2 {
            for session in 0..<5 {
                let person = "person-\(session)@corp.example"
                var device = fixture.device(
                    session % 3 == 0 ? [] : ["compliant"], owner: person, verdict: "verdict-\(session)",
                    state: session % 3 == 0 ? .noncompliant : .compliant)
                if round > 0, session % 2 == 0 { device.verdicts[0].rawState = "round \(round)" }
                _ = recorder.record(
                    try fixture.made(
                        session % 2 == 0 ? "vault" : "wiki", session: "session-\(session)",
                        email: person, device: device))
            }
            fixture.advance(3_600)
        }
        recorder.finish()
        return fixture.text(fixture.files[0]).split(separator: "\n").map(String.init)
    }

    @Test func `the seam stands behind every line in turn, and a whole log stays whole`() throws {
        let fixture = DecisionFixture()
        let count = try Self.lines(fixture).count
        let whole = try Self.told(fixture.files, piecesMax: count + 1, keepsResiduals: true)
        #expect(whole.counts.decided == 10 && whole.counts.different == 0 && whole.problems.isEmpty)
        #expect(whole.residuals.count == 8 && !whole.changes.isEmpty && whole.emails.count == 5)
        for piecesMax in 1...count {
            let cut = try Self.told(fixture.files, piecesMax: piecesMax, keepsResiduals: true)
            #expect(cut == whole, "pieces of \(piecesMax) lines")
        }
    }

    @Test func `what is wrong is told in its order, with its line's number, wherever the seam stands`() throws
    {
        let fixture = DecisionFixture()
        var lines = try Self.lines(fixture)
        let decisions = lines.indices.filter { lines[$0].hasPrefix("{\"kind\":\"decision\"") }
        // Two decisions that came to something else, one of them confirmed; one that lacks a member; one under a name
        // that is taken; the same once more; an input that comes behind its decision; damage, and an end in the middle
        // of a line.
        for index in [decisions[1], decisions[6]] {
            lines[index] = lines[index].replacing("\"result\":\"", with: "\"result\":\"0")
        }
        lines[decisions[4]] = lines[decisions[4]].replacing("\"session\":", with: "\"sesion\":")
        let other = lines[decisions[2]].replacing("\"result\":\"", with: "\"result\":\"0")
        let verdict = try #require(lines.firstIndex { $0.hasPrefix("{\"kind\":\"verdict\"") })
        lines.insert(contentsOf: [other, lines[decisions[3]], "no line"], at: decisions[5])
        lines.append(lines.remove(at: verdict))
        let path = "\(fixture.folder)/changed.jsonl"
        try (lines.joined(separator: "\n") + "\n{\"kind\":\"dec").write(
            toFile: path, atomically: true, encoding: .utf8)
        let whole = try Self.told([path], piecesMax: lines.count + 2)
        #expect(whole.counts.different == 3 && whole.differences.count == 3)
        #expect(whole.counts.missing > 0 && whole.counts.malformed >= 3 && whole.counts.doubled == 1)
        #expect(whole.counts.truncatedFiles == 1)
        #expect(whole.problems.contains { $0.hasSuffix("is not in the file") })
        #expect(
            whole.problems.contains {
                $0.hasSuffix("changed.jsonl:\(decisions[5] + 2): is no line of a decision log")
            },
            "\(whole.problems)")
        for piecesMax in 1...lines.count + 1 {
            #expect(try Self.told([path], piecesMax: piecesMax) == whole, "pieces of \(piecesMax) lines")
        }
    }

    @Test
    func `whatever was done to a log, recognizing its lines and reading all of them as JSON tell the same`()
        throws
    {
        let fixture = DecisionFixture()
        let bytes = Array((try Self.lines(fixture).joined(separator: "\n") + "\n").utf8)
        let path = "\(fixture.folder)/changed.jsonl"
        let seed: UInt64 = 20_261_123
        var random = SeededChance(state: seed)
        var odd = 0
        for number in 0..<150 {
            var changed = bytes
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let index = Int.random(in: changed.indices, using: &random)
                switch Int.random(in: 0...3, using: &random) {
                case 0: changed[index] ^= 1 << UInt8.random(in: 0...7, using: &random)
                case 1: changed.remove(at: index)
                case 2: changed.insert(UInt8.random(in: 0...255, using: &random), at: index)
                case _: changed.removeSubrange(index..<min(index + 400, changed.count))
                }
            }
            try Data(changed).write(to: URL(filePath: path))
            let whole = try Self.told([path], piecesMax: 1_000, keepsResiduals: true, recognizes: false)
            if !whole.problems.isEmpty { odd += 1 }
            let piecesMax = Int.random(in: 1...20, using: &random)
            let found = try Self.told([path], piecesMax: piecesMax, keepsResiduals: true)
            #expect(found == whole, "seed \(seed), case \(number), pieces of \(piecesMax) lines")
        }
        #expect(odd > 100, "\(odd) of 150: the cases say little")
    }

    @Test func `lines are the same however many bytes are read at a time`() throws {
        let fixture = DecisionFixture()
        _ = try fixture.log()
        let path = "\(fixture.folder)/lines"
        for (text, wanted) in [
            ("", [String]()), ("\n", [""]), ("a", ["a…"]), ("a\nbc\n\nd", ["a", "bc", "", "d…"]),
            ("123456\n1234567\n12345678\n1234567", ["123456", "1234567", "…", "1234567…"]),
            ("12345678901234567890\nx\n12345678", ["…", "x", "……"]),
        ] {
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            for pieceBytes in 1...text.utf8.count + 1 {
                var feed = try LineFeed(path, lineBytesMax: 7, pieceBytes: pieceBytes)
                var found: [String] = []
                var ends: [Int] = []
                while let line = try feed.next() {
                    switch line {
                    case .line(let bytes): found.append(String(decoding: bytes, as: UTF8.self))
                    case .tooLong: found.append("…")
                    case .partial(let first):
                        found.append(
                            text.utf8.reversed().prefix { $0 != 0x0a }.count > 7
                                ? "……" : String(decoding: first, as: UTF8.self) + "…")
                        continue
                    }
                    ends.append(feed.offset)
                }
                #expect(found == wanted, "\(text), \(pieceBytes) bytes at a time")
                let newlines = text.utf8.enumerated().filter { $0.element == 0x0a }.map { $0.offset + 1 }
                #expect(ends == newlines, "\(text), \(pieceBytes) bytes at a time")
            }
        }
    }

    @Test("products stand in the order of what they are of", arguments: [0, 1, 2, 7, 8, 9, 1_000])
    func order(_ count: Int) {
        let elements = Array(0..<count)
        #expect(onAllCores(elements) { part in part.map { $0 * 2 } } == elements.map { $0 * 2 })
    }
}
