import JSON
import Testing

@Suite("Bounds of a parse")
struct JSONLimitTests {
    static func nested(_ depth: Int) -> [UInt8] {
        Array((String(repeating: "[", count: depth) + String(repeating: "]", count: depth)).utf8)
    }

    @Test func `depth is accepted exactly at the bound and refused one past it`() throws {
        let limits = JSONLimits(depthMax: 8)
        _ = try JSONValue(parsing: Self.nested(8), limits: limits)
        #expect(throws: JSONError.self) { try JSONValue(parsing: Self.nested(9), limits: limits) }
        let object = Array(
            (String(repeating: "{\"a\":", count: 9) + "1" + String(repeating: "}", count: 9)).utf8)
        #expect(throws: JSONError.self) { try JSONValue(parsing: object, limits: limits) }
    }

    @Test func `depth counts what is open, not what was`() throws {
        _ = try JSONValue(parsing: Array("[[],[],[[]],{\"a\":[]}]".utf8), limits: JSONLimits(depthMax: 3))
    }

    @Test func `a million opening brackets are refused without a stack to match`() {
        let flood = [UInt8](repeating: UInt8(ascii: "["), count: 1 << 20)
        #expect(throws: JSONError.self) { try JSONValue(parsing: flood) }
        #expect(throws: JSONError.self) { try JSONValue(parsing: flood, limits: JSONLimits(depthMax: 256)) }
    }

    @Test func `bytes are accepted exactly at the bound and refused one past it`() throws {
        let limits = JSONLimits(bytesMax: 10)
        _ = try JSONValue(parsing: Array("\"12345678\"".utf8), limits: limits)
        #expect(throws: JSONError.self) {
            try JSONValue(parsing: Array("\"123456789\"".utf8), limits: limits)
        }
    }

    @Test func `values are counted over the whole document, containers included`() throws {
        let limits = JSONLimits(membersMax: 4)
        _ = try JSONValue(parsing: Array("[1,[2]]".utf8), limits: limits)
        #expect(throws: JSONError.self) { try JSONValue(parsing: Array("[1,[2],3]".utf8), limits: limits) }
        #expect(throws: JSONError.self) {
            try JSONValue(parsing: Array("{\"a\":1,\"b\":[1,2]}".utf8), limits: limits)
        }
    }

    @Test func `a number has at most 128 bytes`() throws {
        let digits = String(repeating: "1", count: 126)
        _ = try JSONValue(parsing: Array("0.\(digits)".utf8))
        #expect(throws: JSONError.self) { try JSONValue(parsing: Array("0.\(digits)1".utf8)) }
    }

    @Test func `the limits of tokens and providers are the documented ones`() {
        #expect(JSONLimits.token.bytesMax == 16_384 && JSONLimits.token.depthMax == 8)
        #expect(JSONLimits.provider.bytesMax == 16_777_216 && JSONLimits.provider.depthMax == 64)
        #expect(JSONLimits().bytesMax == 1_048_576 && JSONLimits().depthMax == 32)
    }

    @Test func `a wide object finds doubled members too, wherever they stand`() throws {
        let names = (0..<5_000).map { "\"m\($0)\":\($0)" }
        let text = "{" + names.joined(separator: ",") + "}"
        let object = try #require(try JSONValue(parsing: Array(text.utf8)).object)
        #expect(object.count == 5_000)
        #expect(object["m4999"] == 4999)
        #expect(object["m5000"] == nil)
        for doubled in [0, 11, 12, 13, 2_500, 4_999] {
            let text = "{" + names.joined(separator: ",") + ",\"m\(doubled)\":0}"
            #expect(throws: JSONError.self) { try JSONValue(parsing: Array(text.utf8)) }
        }
    }

    @Test func `a depth that the stack does not allow stops the program`() async {
        await #expect(processExitsWith: .failure) { _ = JSONLimits(depthMax: 257) }
    }
}
