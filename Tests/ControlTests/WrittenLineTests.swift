import Access
import Border
import Foundation
import JSON
import Testing

@testable import Control

@Suite("Lines that are recognized say what they say when they are read as JSON")
struct WrittenLineTests {
    /// What a line says, in a form that two ways of reading can be compared by.
    private enum Said: Equatable {
        case person(String, String, PersonFacts?)
        case device(String, DeviceFacts)
        case verdict(String, Verdict)
        case event(JSONValue)
        /// Everything else has no dictionaries, so its description is always the same.
        case other(String)

        init(_ line: ReadLine) {
            switch line {
            case .person(let digest, let name, let facts): self = .person(digest, name, facts?.content)
            case .device(let digest, let facts): self = .device(digest, facts.content)
            case .verdict(let digest, let verdict): self = .verdict(digest, verdict.content)
            case .decision(let decision, _): self = .other("\(decision.content)")
            case .confirmed(let id, let renewals, let confirmation, _):
                self = .other("\(id) \(renewals) \(String(describing: confirmation))")
            case .event(let value): self = .event(value)
            case .policy, .problem, .partial: self = .other("\(line)")
            }
        }
    }

    private static func isRecognized(_ line: [UInt8]) -> Bool {
        (try? ReadLine(asWritten: line, keepsLine: false)) != nil
    }

    private static func expectSame(_ line: [UInt8], _ decoder: JSONDecoder) {
        let recognizing = ReadLine(.line(line), decoder, keepsLine: false)
        let reading = ReadLine(.line(line), decoder, keepsLine: false, recognizes: false)
        let isSame = Said(recognizing) == Said(reading)
        #expect(isSame, "\(String(decoding: line, as: UTF8.self))")
    }

    /// One line of each kind, with every member that a line may have.
    private static func lines() throws -> [(kind: String, bytes: [UInt8])] {
        let fixture = DecisionFixture()
        let recorder = DecisionRecorder(log: try fixture.log())
        var made = try fixture.made("vault", device: fixture.device(statementSeconds: 300))
        made.session?.person.groups = ["staff", "board"]
        made.session?.person.claims = [
            "level": .integer(-3), "on": .flag(true), "unit": .text("press"), "roles": .list(["a", "b"]),
        ]
        made.session?.keyProvenAtSeconds = 7
        made.device?.statement?.mode = HandshakeMode.allCases.first
        made.device?.statement?.transport = HandshakeTransport.allCases.first
        made.device?.statement?.isUnasked = false
        _ = recorder.record(made)
        fixture.advance(3_600)
        made.atSeconds = fixture.now
        made.device?.verdicts[0].fetchedAtSeconds += 3_600
        _ = recorder.record(made)
        recorder.finish()
        let kinds = ["person", "device", "verdict", "decision", "confirmed"]
        let lines = fixture.text(fixture.files[0]).split(separator: "\n")
        return try kinds.map { kind in
            (kind, Array(try #require(lines.first { $0.hasPrefix("{\"kind\":\"\(kind)\"") }).utf8))
        }
    }

    /// The line with another value, under the digest of that.
    private static func line(_ line: [UInt8], value change: (inout [UInt8]) -> Void) throws -> [UInt8] {
        let mark = Array(",\"value\":".utf8)
        let at = try #require(line.firstRange(of: mark))
        var value = Array(line[at.upperBound...].dropLast())
        let old = DecisionLines.digest(value)
        change(&value)
        let head = String(decoding: line[..<at.upperBound], as: UTF8.self)
            .replacing(old, with: DecisionLines.digest(value))
        return Array(head.utf8) + value + [0x7d]
    }

    @Test func `every kind of line that decisions are made of is recognized as the gateway writes it`()
        throws
    {
        for (kind, line) in try Self.lines() {
            #expect(Self.isRecognized(line), "\(kind): \(String(decoding: line, as: UTF8.self))")
            Self.expectSame(line, JSONDecoder())
        }
    }

    @Test func `with any byte changed, left out or put in, a line says the same either way`() throws {
        let decoder = JSONDecoder()
        for (_, line) in try Self.lines() {
            for changed in Self.changes(of: line) { Self.expectSame(changed, decoder) }
        }
    }

    @Test func `so does a value whose digest was made to fit`() throws {
        let decoder = JSONDecoder()
        var recognized = 0
        for (kind, line) in try Self.lines() where ["device", "verdict"].contains(kind) {
            let value = Array(
                line[try #require(line.firstRange(of: Array(",\"value\":".utf8))).upperBound...]
            )
            .dropLast()
            for changed in Self.changes(of: Array(value)) {
                let line = try Self.line(line) { $0 = changed }
                if Self.isRecognized(line) { recognized += 1 }
                Self.expectSame(line, decoder)
            }
        }
        #expect(recognized > 100, "a name with another letter is a name like any")
    }

    /// One byte is another, is missing, or stands there beside one that means something to JSON.
    private static func changes(of bytes: [UInt8]) -> [[UInt8]] {
        let put = Array("0-\\\" ,}\u{7f}".utf8)
        return bytes.indices.flatMap { index in
            var flipped = bytes
            flipped[index] ^= 1 << UInt8(index % 8)
            var shorter = bytes
            shorter.remove(at: index)
            var longer = bytes
            longer.insert(put[index % put.count], at: index)
            return [flipped, shorter, longer]
        }
    }

    /// What is written differently, and what is put in its place.
    static let oddities = [
        (",\"at\":", ",\"at\": "), ("\"at\":1", "\"at\":01"), ("\"at\":1", "\"at\":-1"),
        ("\"at\":1", "\"at\":1e3,\"x\":1"), ("\"at\":1", "\"at\":1.0,\"x\":1"),
        ("\"at\":1", "\"at\":-0,\"x\":1"),
        ("\"at\":1", "\"at\":9223372036854775807,\"x\":1"),
        ("\"at\":1", "\"at\":9223372036854775808,\"x\":1"),
        ("\"at\":1", "\"at\":null,\"x\":1"), ("\"at\":1", "\"at\":\"1\",\"x\":1"),
        ("\"at\":1", "\"at\":1,\"at\":1"), ("\"at\":1", "\"at\":1,\"\\u0061t\":1"),
        ("\"at\":1", "\"later\":true,\"at\":1"), ("\"cause\":\"pull\"", "\"cause\":\"p\\u0075ll\""),
        ("\"cause\":\"pull\"", "\"cause\":\"p\u{fc}ll\""), ("\"cause\":\"pull\"", "\"cause\":7"),
        ("\"cause\":\"pull\"", "\"cause\":\"\""), ("\"cause\":\"pull\",", ""),
        ("\"matched\":[", "\"matched\":[1,"), ("\"matched\":[", "\"matched\":[[],"),
        ("\"matched\":[", "\"matched\":[],\"more\":["), ("\"verdicts\":[", "\"verdicts\":[1,"),
        ("\"verdicts\":[", "\"verdicts\":[],\"more\":["), ("\"verdicts\":[", "\"verdicts\":{},\"more\":["),
        ("\"renewals\":1", "\"renewals\":0"), ("\"renewals\":1", "\"renewals\":1000001,\"x\":1"),
        ("\"open_until\":", "\"open_untl\":"), ("\"open_result\":", "\"open_reslt\":"),
        ("\"device\":", "\"devise\":"), ("\"device_facts\":", "\"devise_facts\":"),
        ("\"level\":", "\"on\":"), ("\"level\":{\"integer\"", "\"level\":{\"flag\""),
        ("\"level\":{\"integer\":{\"_0\":-3}}", "\"level\":{\"integer\":{\"_0\":3,\"_0\":4}}"),
        ("\"level\":{", "\"level\":{\"text\":{\"_0\":\"a\"},"), ("\"_0\":-3", "\"_0\":-3.0"),
        ("\"groups\":[", "\"groups\":[\"staff\",null,"), ("\"groups\":[", "\"groups\":[\"sta\\u0066f\","),
        ("\"email\":", "\"name\":\"Ada\",\"email\":"), ("\"email\":\"", "\"email\":null,\"x\":\""),
        ("\"subject\":", "\"subject\":\"other\",\"subject\":"),
        ("\"kind\":\"person\",", "\"kind\":\"person\",\"person\":\"x\","),
        ("\"kind\":\"decision\",", "\"kind\":\"decision\",\"kind\":\"confirmed\","),
        ("\"kind\":\"confirmed\",", "\"kind\":\"decision\","), ("{\"kind\"", " {\"kind\""),
    ]

    @Test(arguments: oddities)
    func `what is JSON but written differently says the same either way`(
        _ found: String, _ changed: String
    ) throws {
        var count = 0
        for (kind, line) in try Self.lines() {
            let text = String(decoding: line, as: UTF8.self)
            guard text.contains(found) else { continue }
            count += 1
            Self.expectSame(Array(text.replacing(found, with: changed).utf8), JSONDecoder())
            guard ["device", "verdict"].contains(kind) else { continue }
            Self.expectSame(
                try Self.line(line) {
                    $0 = Array(String(decoding: $0, as: UTF8.self).replacing(found, with: changed).utf8)
                }, JSONDecoder())
        }
        #expect(count > 0, "no line has \(found)")
    }

    @Test func `a line as long as the bound is recognized, and one byte beyond is read as JSON`() throws {
        let line = try #require(try Self.lines().first { $0.kind == "decision" }).bytes
        let text = String(decoding: line, as: UTF8.self)
        for (count, isRecognized) in [(WrittenText.bytesMax, true), (WrittenText.bytesMax + 1, false)] {
            let long = text.replacing(
                "\"cause\":\"",
                with: "\"cause\":\"\(String(repeating: "x", count: count - text.utf8.count))")
            #expect(Self.isRecognized(Array(long.utf8)) == isRecognized, "\(count) bytes")
            Self.expectSame(Array(long.utf8), JSONDecoder())
        }
    }

    @Test func `a value that begins too late in its line is refused either way`() throws {
        let line = try #require(try Self.lines().first { $0.kind == "person" }).bytes
        let text = String(decoding: line, as: UTF8.self)
        let at = try #require(line.firstRange(of: Array(",\"value\":".utf8))).lowerBound
        for (begin, isRecognized) in [(1_015, true), (1_016, false), (1_023, false), (1_024, false)] {
            let long = Array(
                text.replacing(
                    "\"person\":\"", with: "\"person\":\"\(String(repeating: "x", count: begin - at))"
                ).utf8)
            #expect(Self.isRecognized(long) == isRecognized, "at \(begin)")
            Self.expectSame(long, JSONDecoder())
        }
    }
}

@Suite("A policy that is decoded in parts")
struct PolicyTextTests {
    private static func text() throws -> String {
        String(decoding: try DecisionLines.encoded(DecisionFixture.policy), as: UTF8.self)
    }

    private static func expectSame(_ bytes: [UInt8]) {
        let whole = try? JSONDecoder().decode(PolicySnapshot.self, from: Data(bytes))
        #expect((try? PolicyText.decoded(bytes)) == whole, "\(String(decoding: bytes, as: UTF8.self))")
    }

    @Test func `is the policy, and each damage is found as if it were decoded in one piece`() throws {
        let bytes = Array(try Self.text().utf8)
        #expect(try PolicyText.decoded(bytes) == DecisionFixture.policy)
        for index in bytes.indices {
            var flipped = bytes
            flipped[index] ^= 1 << UInt8(index % 8)
            Self.expectSame(flipped)
            var shorter = bytes
            shorter.remove(at: index)
            Self.expectSame(shorter)
        }
    }

    @Test func `is decoded in one piece where its applications stand there twice, under whatever name`()
        throws
    {
        let text = try Self.text()
        for name in ["applications", "\\u0061pplications"] {
            for other in ["[]", "null", "[{}]"] {
                Self.expectSame(Array((text.dropLast() + ",\"\(name)\":\(other)}").utf8))
                Self.expectSame(Array(("{\"\(name)\":\(other)," + text.dropFirst()).utf8))
            }
        }
    }

    @Test(arguments: [
        ("[{", "[{},{"), ("[{", "[,{"), ("[{", "[[],{"), ("}],\"device", "},],\"device"),
        ("\"wiki\"", "\"wi\\\"}],{[\\\\\""), ("\"wiki\"", "\"wiki\",\"x\":\"]}\""),
        ("\"wiki\"", "\"wi\\u006bi\""),
    ])
    func `is the same with text that looks like its borders`(_ found: String, _ changed: String) throws {
        let text = try Self.text()
        let range = try #require(text.range(of: found))
        Self.expectSame(Array(text.replacingCharacters(in: range, with: changed).utf8))
    }

    @Test(arguments: [10, 60, 70, 600]) func `is the same however deep it is`(_ depth: Int) throws {
        let deep = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        Self.expectSame(
            Array(
                try Self.text().replacing("\"name\":\"wiki\"", with: "\"deep\":\(deep),\"name\":\"wiki\"")
                    .utf8))
    }
}
