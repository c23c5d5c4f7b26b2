import JSON
import Testing

@Suite("Writing a log line")
struct JSONWriterTests {
    @Test func `a line is one JSON object and ends with a line feed`() throws {
        var writer = JSONLineWriter()
        writer.beginObject()
        writer.field("host", "wiki \"quoted\"\n")
        writer.field("status", 200)
        writer.field("smallest", Int64.min)
        writer.field("hit", true)
        writer.beginObject("timing")
        writer.endObject()
        writer.beginObject("bytes")
        writer.field("in", 0)
        writer.field("out", -17)
        writer.endObject()
        writer.field("path", bytes: [0x2F, 0xC3, 0xA9, 0x22, 0x0A, 0x7F].span)
        writer.endObject()
        #expect(writer.bytes.last == 0x0A)
        #expect(writer.bytes.dropLast().allSatisfy { $0 >= 0x20 })
        let expected: JSONValue = [
            "host": "wiki \"quoted\"\n", "status": 200, "smallest": .integer(.min), "hit": true,
            "timing": [:],
            "bytes": ["in": 0, "out": -17], "path": "/\u{C3}\u{A9}\"\n\u{7F}",
        ]
        #expect(try JSONValue(parsing: writer.bytes) == expected)
    }

    /// Eight bytes are looked at together: each byte at each place must come out as it does alone.
    @Test func `every byte is written alike at every place of a text`() throws {
        func escaped(_ byte: UInt8) -> String {
            switch byte {
            case 0x22: "\\\""
            case 0x5C: "\\\\"
            case 0x20..<0x7F: String(UnicodeScalar(byte))
            default: "\\u00" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        for byte in UInt8.min...UInt8.max {
            for length in [1, 7, 8, 9, 16, 19] {
                for place in 0..<length {
                    var value = [UInt8](repeating: UInt8(ascii: "a"), count: length)
                    value[place] = byte
                    if place + 1 < length { value[place + 1] = UInt8(ascii: "!") }
                    var writer = JSONLineWriter()
                    writer.beginObject()
                    writer.field("n", bytes: value.span)
                    writer.endObject()
                    let expected = "{\"n\":\"" + value.map(escaped).joined() + "\"}\n"
                    #expect(String(decoding: writer.bytes, as: UTF8.self) == expected)
                    guard byte < 0x80 else { continue }
                    let text = String(decoding: value, as: UTF8.self)
                    let written = JSONValue.string(text).serializedText()
                    let kept = byte == 0x7F ? written.replacing("\u{7F}", with: "\\u007f") : written
                    #expect("{\"n\":" + kept + "}\n" == expected)
                }
            }
        }
    }

    @Test func `storage is reused without its content, and every line stands alone`() throws {
        var writer = JSONLineWriter(reusing: Array("left over".utf8))
        for number in 0..<2 {
            writer.beginObject()
            writer.field("number", number)
            writer.endObject()
        }
        #expect(String(decoding: writer.bytes, as: UTF8.self) == "{\"number\":0}\n{\"number\":1}\n")
    }

    @Test func `closing an object that was not opened stops the program`() async {
        await #expect(processExitsWith: .failure) {
            var writer = JSONLineWriter()
            writer.endObject()
        }
    }

    @Test func `a member outside of an object stops the program`() async {
        await #expect(processExitsWith: .failure) {
            var writer = JSONLineWriter()
            writer.field("name", 1)
        }
    }
}
