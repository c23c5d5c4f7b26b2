import Access
import Border
import Config
import Foundation
import Glibc
import JSON
import Synchronization
import Testing

@testable import Control
@testable import Posture

@Suite("Decisions are on record, whole and within bounds")
struct DecisionLogTests {
    @Test func `files whose names are no numbers of ours do not stop the log`() throws {
        let fixture = DecisionFixture()
        try FileManager.default.createDirectory(
            atPath: fixture.folder, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        for number in ["9223372036854775807", "-7", "+7", "", "\u{667}", "99999999999999999999"] {
            let path = "\(fixture.folder)/decisions-\(number).jsonl"
            #expect(FileManager.default.createFile(atPath: path, contents: Data()))
        }
        let recorder = DecisionRecorder(log: try fixture.log())
        _ = recorder.record(try fixture.made())
        recorder.finish()
        #expect(fixture.files.map { $0.split(separator: "/").last } == ["decisions-00000001.jsonl"])
        #expect(fixture.lines("decision").count == 1)
    }

    @Test func `who ends does not wait for a disk that hangs, and is told how much is left`() throws {
        let fixture = DecisionFixture()
        let (begun, gate) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let log = try DecisionLog(
            DecisionFolder(fixture.settings), nowSeconds: { DecisionFixture.start }, monotonic: { 0 }
        ) { file, bytes, count in
            begun.signal()
            gate.wait()
            return write(file, bytes, count)
        }
        log.append(.event(kind: "cut", atSeconds: fixture.now, [("number", .integer(0))]))
        begun.wait()
        for number in 1..<500 {
            let members: [(String, JSONValue)] = [("number", .integer(Int64(number)))]
            log.append(.event(kind: "cut", atSeconds: fixture.now, members))
        }
        #expect(log.flush(milliseconds: 0) == 500)
        for _ in 0..<500 { gate.signal() }
        #expect(log.flush(milliseconds: 1) == 0 && log.status.entriesWritten == 500)
        #expect(fixture.lines("cut").compactMap { $0["number"]?.integer } == Array(0..<500))
    }

    @Test func `what an end leaves unwritten is told`() async throws {
        let fixture = DecisionFixture()
        let (begun, gate) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let now = Atomic<UInt64>(0)
        let log = try DecisionLog(
            DecisionFolder(fixture.settings), nowSeconds: { DecisionFixture.start },
            monotonic: { now.wrappingAdd(1_000_000_000, ordering: .relaxed).newValue }
        ) { file, bytes, count in
            begun.signal()
            gate.wait()
            return write(file, bytes, count)
        }
        let recorder = DecisionRecorder(log: log)
        let made = try fixture.made()
        func end() {
            _ = recorder.record(made)
            begun.wait()
            recorder.finish()
        }
        let told = try await heard("decision-log-unfinished") { end() }
        #expect(told.count == 1 && (told.first?["entries_lost"]?.integer ?? 0) > 0)
        for _ in 0..<100 { gate.signal() }
        #expect(log.flush(milliseconds: 60_000) == 0)
    }

    @Test(
        """
        001.25 002.1 a decision stands in the log with its device, its verdict and both ages, the policies that \
        matched and everything that it was made of
        """
    )
    func decision() throws {
        let fixture = DecisionFixture()
        let recorder = DecisionRecorder(log: try fixture.log())
        let made = try fixture.made("vault", device: fixture.device())
        let id = recorder.record(made)
        recorder.finish()
        let line = try #require(fixture.lines("decision").first)
        #expect(line["id"]?.string == id.text)
        #expect(line["application"] == "vault" && line["device"] == "device-1" && line["cause"] == "pull")
        #expect(line["matched"] == ["outside", "healthy-staff"] && line["class"] == "compliant")
        #expect(line["policy"]?.string == DecisionFixture.policy.identity)
        #expect(line["outcome"] == "partly")
        let verdict = try #require(line["verdicts"]?.array?.first)
        #expect(verdict["id"] == "verdict-1" && verdict["state"] == "compliant")
        #expect(verdict["observed_at"]?.integer == fixture.now - 100)
        #expect(verdict["fetched_at"]?.integer == fixture.now - 5)
        // Whoever reads it back has every fact as it was.
        var inputs: [DecisionInputs] = []
        var reader = DecisionFile()
        try reader.read(fixture.files[0]) { item, reader in
            guard case .decision(let decision) = item else { return }
            if let found = try? reader.inputs(of: decision) { inputs.append(found) }
        }
        let found = try #require(inputs.first)
        // But the display name, which decides nothing.
        var session = try #require(made.session)
        session.person.name = nil
        #expect(found.session == session)
        #expect(found.device == made.device)
        #expect(found.policy == made.policy)
        #expect(found.atSeconds == made.atSeconds)
    }

    @Test func `what is said of a person stands in that person's lines only`() throws {
        let fixture = DecisionFixture()
        let recorder = DecisionRecorder(log: try fixture.log())
        _ = recorder.record(try fixture.made("vault", device: fixture.device()))
        recorder.finish()
        for line in fixture.text(fixture.files[0]).split(separator: "\n")
        where !line.hasPrefix("{\"kind\":\"person\"") && !line.hasPrefix("{\"kind\":\"policy\"") {
            // A digest may spell the name by chance.
            let words = line.replacing(#/"[0-9a-f]{32,64}"/#, with: "")
            #expect(words.hasPrefix("{\"kind\":"), "\(line)")
            #expect(!words.contains("ada") && !words.contains("Ada"), "\(line)")
        }
    }

    @Test func `files and folder are their owner's alone, and pseudonyms stay the same over a restart`()
        throws
    {
        let fixture = DecisionFixture()
        var names: Set<String> = []
        for _ in 0..<2 {
            let recorder = DecisionRecorder(log: try fixture.log())
            _ = recorder.record(try fixture.made())
            recorder.finish()
        }
        names.formUnion(fixture.lines("decision").compactMap { $0["person"]?.string })
        #expect(names.count == 1 && fixture.files.count == 2)
        for path in fixture.files + ["\(fixture.folder)/\(DecisionFolder.keyName)"] {
            var status = stat()
            #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600, "\(path)")
        }
    }

    @Test func `renewals that come to the same keep the name and cost one line an hour`() throws {
        let fixture = DecisionFixture()
        let recorder = DecisionRecorder(log: try fixture.log())
        let id = recorder.record(try fixture.made("vault", device: fixture.device()))
        for minute in 1...61 {
            fixture.advance(60)
            // Fetched again: the provider said the same at another time.
            #expect(
                recorder.record(
                    try fixture.made("vault", device: fixture.device(verdict: "verdict-\(minute)"))) == id)
        }
        recorder.finish()
        #expect(fixture.lines("decision").count == 1 && fixture.lines("verdict").count == 1)
        #expect(fixture.lines("confirmed").map { $0["renewals"]?.integer } == [60, 1])
        let replay = try fixture.replay()
        #expect(replay.counts.decisions == 62 && replay.counts.decided == 3)
        #expect(replay.isEqual && replay.counts.different == 0, "\(replay.problems)")
    }

    @Test(
        arguments: [
            (DecisionCause.verdict, "intune", ["registered"]),
            (.signal, SignalVerdicts.provider, ["registered"]),
            (.agent, "intune", ["compliant"]),
        ])
    func `an input that changes makes another decision, and says which it was`(
        _ cause: DecisionCause, _ provider: String, _ labels: [String]
    ) throws {
        let fixture = DecisionFixture()
        let recorder = DecisionRecorder(log: try fixture.log())
        let first = recorder.record(try fixture.made("vault", device: fixture.device()))
        fixture.advance(1)
        var device = fixture.device(labels, verdict: "verdict-2", provider: provider)
        if cause == .agent { device.statement?.verifiedAtSeconds += 1 }
        let second = recorder.record(try fixture.made("vault", device: device))
        recorder.finish()
        #expect(first < second)
        #expect(fixture.lines("decision").map { $0["cause"]?.string } == ["pull", cause.rawValue])
    }

    @Test func `another policy and the mere passing of time are causes of their own`() throws {
        let fixture = DecisionFixture()
        let recorder = DecisionRecorder(log: try fixture.log())
        let device = fixture.device()
        _ = recorder.record(try fixture.made("vault", device: device))
        fixture.advance(20_000)
        _ = recorder.record(try fixture.made("vault", device: device))
        var other = DecisionFixture.policy
        other.deviceDefaultNoMatch = .denied
        other = DecisionFixture.named(other)
        _ = recorder.record(try fixture.made("vault", device: device, policy: other))
        recorder.finish()
        #expect(fixture.lines("decision").map { $0["cause"]?.string } == ["pull", "expiry", "reload"])
        #expect(fixture.text(fixture.files[0]).split(separator: "{\"kind\":\"policy\"").count == 3)
        #expect(try fixture.replay().isEqual)
    }

    @Test func `every file stands alone, and old ones make room for new ones`() throws {
        // Sixteen files of one mebibyte.
        let fixture = DecisionFixture(bytesMax: 16 << 20)
        let log = try fixture.log()
        let recorder = DecisionRecorder(log: log)
        recorder.begin(DecisionFixture.policy)
        var device = fixture.device()
        // Each a line of a quarter of a mebibyte.
        for number in 0..<100 {
            device.statement?.osVersion = "\(number) " + String(repeating: "x", count: 1 << 18)
            _ = recorder.record(try fixture.made("vault", device: device))
            if number % 4 == 3 { log.flush(milliseconds: 10_000) }
        }
        recorder.finish()
        #expect(log.status.entriesLost == 0)
        let files = fixture.files
        #expect((12...16).contains(files.count), "\(files.count)")
        #expect(files.first?.hasSuffix("00000001.jsonl") == false)
        let sizes = files.compactMap {
            try? FileManager.default.attributesOfItem(atPath: $0)[.size] as? Int64
        }
        #expect(sizes.reduce(0, +) <= 16 << 20)
        for file in files {
            var replay = Replay(candidate: nil)
            try replay.add(file)
            #expect(replay.isEqual && replay.counts.decided > 0, "\(file): \(replay.problems)")
        }
    }

    @Test func `files beyond their age go, and the others stay`() throws {
        let fixture = DecisionFixture()
        for _ in 0..<3 { _ = try fixture.log() }
        let files = fixture.files
        let age = Double(fixture.settings.ageSecondsMax)
        for (file, seconds) in zip(files, [age + 60, age - 60]) {
            try FileManager.default.setAttributes(
                [.modificationDate: Date().addingTimeInterval(-seconds)], ofItemAtPath: file)
        }
        _ = try fixture.log()
        #expect(fixture.files.dropLast() == files[1...])
    }

    @Test func `a session in use is written again where a new file begins, so no file needs another`() throws
    {
        let fixture = DecisionFixture()
        let log = try fixture.log()
        let recorder = DecisionRecorder(log: log)
        let first = recorder.record(try fixture.made())
        fixture.advance(60)
        #expect(recorder.record(try fixture.made()) == first)
        log.flush(milliseconds: 10_000)
        fixture.advance(86_400)
        // The line of somebody else begins the new file.
        _ = recorder.record(try fixture.made(session: "session-2"))
        log.flush(milliseconds: 10_000)
        fixture.advance(60)
        let second = recorder.record(try fixture.made())
        recorder.finish()
        #expect(first != second && fixture.files.count == 2)
        #expect(fixture.lines("decision").last?["cause"] == "renew")
        // The renewal in between is told in the new file, and counts.
        let replay = try fixture.replay()
        #expect(replay.isEqual && replay.counts.decisions == 4 && replay.counts.elsewhere == 1)
    }

    @Test func `a full disk costs lines that are counted, and what follows has its inputs again`() throws {
        let fixture = DecisionFixture()
        let log = try fixture.log()
        let recorder = DecisionRecorder(log: log)
        recorder.begin(DecisionFixture.policy)
        _ = recorder.record(try fixture.made())
        log.flush(milliseconds: 10_000)
        fixture.fillDisk(true)
        _ = recorder.record(try fixture.made(session: "session-2"))
        log.flush(milliseconds: 10_000)
        #expect(log.status.entriesLost == 1 && log.status.isFailing)
        fixture.fillDisk(false)
        // The disk is not asked again at once: not one nanosecond before its rest is over, and then it is.
        for (step, isFailing) in [(DecisionPen.retryNanoseconds - 1, true), (1, false)] {
            fixture.advance(monotonicNanoseconds: step)
            fixture.advance(60)
            _ = recorder.record(try fixture.made(session: "session-2"))
            log.flush(milliseconds: 10_000)
            #expect(log.status.isFailing == isFailing)
        }
        recorder.finish()
        let replay = try fixture.replay()
        #expect(replay.isEqual && replay.counts.truncatedFiles == 0, "\(replay.problems)")
        #expect(replay.counts.lost == Int64(log.status.entriesLost))
        #expect(fixture.lines("decision").contains { $0["session"] == "session-2" })
    }

    @Test func `a queue that is full loses entries and keeps nobody waiting`() throws {
        let fixture = DecisionFixture()
        let log = try fixture.log()
        var lost = 0
        for _ in 0..<3 * DecisionLog.entriesMax
        where !log.append(.event(kind: "x", atSeconds: 0, [])) { lost += 1 }
        log.flush(milliseconds: 60_000)
        #expect(log.status.entriesLost == lost)
        #expect(log.status.entriesWritten == 3 * DecisionLog.entriesMax - lost)
    }

    @Test func `a renewal that was on its way when its decision's file ended is counted and no damage`()
        throws
    {
        let fixture = DecisionFixture()
        let log = try fixture.log()
        let recorder = DecisionRecorder(log: log)
        _ = recorder.record(try fixture.made())
        log.flush(milliseconds: 10_000)
        fixture.advance(86_400)
        _ = recorder.record(try fixture.made())
        recorder.finish()
        #expect(fixture.files.count == 2)
        let replay = try fixture.replay()
        #expect(replay.isEqual && replay.counts.elsewhere == 1 && replay.counts.decisions == 2)
    }

    @Test func `a folder that cannot be used is said so at the start`() throws {
        let fixture = DecisionFixture()
        try "x".write(toFile: fixture.folder, atomically: true, encoding: .utf8)
        #expect(throws: ControlFailure.self) { try fixture.log() }
        let other = DecisionFixture()
        _ = try other.log()
        try "short".write(
            toFile: "\(other.folder)/\(DecisionFolder.keyName)", atomically: true, encoding: .utf8)
        #expect(throws: ControlFailure.self) { try other.log() }
        let shown = DecisionFixture()
        _ = try shown.log()
        let key = "\(shown.folder)/\(DecisionFolder.keyName)"
        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: key)
        #expect(throws: ControlFailure.self) { try shown.log() }
    }

    @Test func `names of decisions are in order of time and read back`() {
        let ids = [
            DecisionID(atSeconds: -1, sequence: 5, random: 9),
            DecisionID(atSeconds: 1, sequence: 1, random: 9),
            DecisionID(atSeconds: 1, sequence: 2, random: 0),
            DecisionID(atSeconds: .max, sequence: .max, random: .max),
        ]
        #expect(ids == ids.sorted() && ids.map(\.text) == ids.map(\.text).sorted())
        for id in ids { #expect(DecisionID(id.text) == id) }
        for text in ["", String(repeating: "0", count: 31), String(repeating: "0", count: 33)] {
            #expect(DecisionID(text) == nil)
        }
        for text in ["+", "F", "g", "\u{e9}"] {
            #expect(DecisionID(text + String(repeating: "0", count: 31)) == nil)
        }
    }
}
