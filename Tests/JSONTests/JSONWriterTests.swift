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
