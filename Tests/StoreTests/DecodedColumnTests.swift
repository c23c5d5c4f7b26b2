import Testing

@testable import Store

@Suite("Decoded columns are remembered by their bytes")
struct DecodedColumnTests {
    let column = DecodedColumn<[String]>(textsMax: 2)

    private func value(_ text: String) throws -> [String] { try column.value(text, "groups", file: "f") }

    @Test func `a text means the same the second time`() throws {
        #expect(try value(#"["a","b"]"#) == ["a", "b"])
        #expect(try value(#"["a","b"]"#) == ["a", "b"])
        #expect(column.count == 1)
    }

    @Test func `equivalent letters are two texts`() throws {
        let (composed, decomposed) = ("[\"caf\u{e9}\"]", "[\"cafe\u{301}\"]")
        #expect(try value(composed)[0].utf8.elementsEqual("caf\u{e9}".utf8))
        #expect(try value(decomposed)[0].utf8.elementsEqual("cafe\u{301}".utf8))
        #expect(try value(composed)[0].utf8.elementsEqual("caf\u{e9}".utf8))
    }

    @Test func `a text that cannot be read is an error every time, and nothing is remembered of it`() {
        for _ in 0..<2 { #expect(throws: StoreError.self) { try value("[1]") } }
        #expect(column.count == 0)
    }

    @Test func `at most twice the bound is remembered, and what is in use stays`() throws {
        for number in 0..<20 {
            _ = try value(#"["kept"]"#)
            #expect(try value("[\"\(number)\"]") == ["\(number)"])
            #expect(column.count <= 4)
        }
    }

    @Test(arguments: [4_096, 4_097]) func `a text beyond the bound is read and not remembered`(bytes: Int)
        throws
    {
        let word = String(repeating: "x", count: bytes - 4)
        #expect(try value("[\"\(word)\"]") == [word])
        #expect(column.count == (bytes <= 4_096 ? 1 : 0))
    }
}
