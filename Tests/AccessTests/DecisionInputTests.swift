import Foundation
import Testing

@testable import Access

@Suite("What a decision read")
struct DecisionInputTests {
    private static let inputs: [DecisionInput] =
        [
            .device(id: "mac-1"), .device(id: "machine:name:lt-1"), .device(id: ""), .service(id: "t1"),
            .session(id: "s1"), .session(id: "s10"), .session(id: "s\u{e9}"), .session(id: "se\u{301}"),
            .verdict(integration: "a", nativeID: "z"), .verdict(integration: "a-b", nativeID: "a"),
            .verdict(integration: "a1", nativeID: "a"), .verdict(integration: "aa", nativeID: "a"),
            .verdict(integration: "falcon", nativeID: "with:colons:"),
            .verdict(integration: "falcon", nativeID: ""),
        ] + marks.flatMap { [.device(id: $0), .session(id: $0), .verdict(integration: "a", nativeID: $0)] }
    /// What a `Character` joins to a colon in front of it.
    private static let marks = ["\u{301}x", "\u{200d}", "\u{fe0f}:", "\u{20e3}"]

    @Test func `a text names one input, and every input has one`() throws {
        for input in Self.inputs {
            let again = try #require(DecisionInput(input.text))
            #expect(again == input && again.text == input.text)
            let coded = try JSONDecoder().decode([DecisionInput].self, from: JSONEncoder().encode([input]))
            #expect(coded == [input])
        }
    }

    @Test(arguments: ["", "session", "verdict:falcon", "sessions:s1", "Session:s1", " session:s1", ":"])
    func `what names no kind of input is refused`(text: String) throws {
        #expect(DecisionInput(text) == nil)
        let coded = try JSONEncoder().encode([text])
        #expect(throws: DecodingError.self) { try JSONDecoder().decode([DecisionInput].self, from: coded) }
    }

    @Test func `inputs stand as the bytes of their texts do, and other bytes are another input`() {
        for left in Self.inputs {
            for right in Self.inputs {
                let (one, other) = (Array(left.text.utf8), Array(right.text.utf8))
                #expect((left == right) == (one == other), "\(left.text) \(right.text)")
                #expect((left < right) == one.lexicographicallyPrecedes(other), "\(left.text) \(right.text)")
            }
        }
        #expect(Set(Self.inputs).count == Self.inputs.count)
    }

    @Test func `the order is the texts' own, by which logs of before are hashed`() {
        // U+00E9 in two parts: its bytes come before those of "sf", the text does not.
        let inputs = Self.inputs + [.session(id: "sf"), .verdict(integration: "a", nativeID: "e\u{301}")]
        for left in inputs {
            for right in inputs where left.text != right.text {
                #expect((left < right) == (left.text < right.text), "\(left.text) \(right.text)")
            }
        }
        #expect(DecisionInput.session(id: "sf") < .session(id: "se\u{301}"))
    }

    @Test func `a trace keeps each once, in order, however they come`() {
        var generator = SeededGenerator(seed: 11)
        for _ in 0..<200 {
            var trace = Trace(nowSeconds: 0, isRecording: false)
            var read: [DecisionInput] = []
            for _ in 0..<Int.random(in: 0...20, using: &generator) {
                let input = Self.inputs.randomElement(using: &generator) ?? .device(id: "")
                read.append(input)
                trace.read(input)
            }
            #expect(trace.dependsOn == Set(read).sorted())
        }
    }
}
