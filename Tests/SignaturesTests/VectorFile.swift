import Foundation
import JSON
import Signatures
import Testing

/// The vectors that `Vectors/generate.py` made with other implementations.
enum VectorFile {
    static func load(_ name: String) throws -> JSONObject {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
            "Vectors")
        let bytes = [UInt8](try Data(contentsOf: folder.appendingPathComponent(name)))
        return try #require(try JSONValue(parsing: bytes).object)
    }

    static func bytes(_ value: JSONValue?) throws -> [UInt8] {
        try #require(value?.string.flatMap(Base64.decode))
    }

    static func chain(_ value: JSONValue?) throws -> [[UInt8]] {
        try #require(value?["chain"]?.array).map { try bytes($0) }
    }
}

/// A token of one's own making: header and payload as text, signature as bytes.
func token(header: String, payload: String = "{}", signature: [UInt8] = [1, 2, 3]) -> String {
    [Array(header.utf8), Array(payload.utf8), signature].map { Base64URL.encode($0) }.joined(separator: ".")
}

/// Signs whatever header stands there, so that only the header can be the reason of a refusal.
func signed(header: String, payload: String = "{}", with key: SigningKey) -> String {
    let input = Base64URL.encode(Array(header.utf8)) + "." + Base64URL.encode(Array(payload.utf8))
    return input + "." + Base64URL.encode(key.sign(Array(input.utf8)))
}
