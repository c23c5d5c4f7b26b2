import Foundation
import Testing

@testable import HTTP

/// `UPDATE_CORPUS=1` writes every row to `.run/fuzz`, from where `scripts/fuzz --keep` merges what reaches something new.
@Suite("The fuzzers' first inputs are the rows of the tables")
struct CorpusTests {
    static let inputs: [(target: String, inputs: [[UInt8]])] = [
        (
            "request-head",
            RFC9112Rows.all.map(\.bytes)
                + (SmugglingTests.encodings + SmugglingTests.lengths).map {
                    latin(
                        "POST /a?b HTTP/1.1\r\nHost: a\r\n" + $0
                            + "\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
                }
        ),
        ("response-head", (ResponseHeadTests.statusLine + ResponseHeadTests.framing).map(\.bytes)),
        ("chunked-body", ChunkedTests.table.map(\.bytes)),
        (
            "path",
            CanonicalPathTests.accepted.map { latin($0.sent) }
                + CanonicalPathTests.refusals.map { latin($0.sent) }
        ),
        (
            "cookies",
            [
                "a=1; __Host-gatepost=secret; b=2", "__Host-gatepost=x", "__host-gatepost-login1=y; z",
                "=__Host-gatepost",
                "__Host-gatepost =x;", ";;;", "__Host-gatepost=a; __Host-gatepost=b",
                "a=1\n__Host-gatepost=\"q\"",
            ].map { latin($0) }
        ),
    ]

    @Test("every table has rows, and no row is longer than its target reads")
    func rows() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        for (target, inputs) in Self.inputs {
            #expect(
                inputs.count >= 8 && inputs.allSatisfy { $0.count <= 5_000 }, "\(target): \(inputs.count)")
            guard ProcessInfo.processInfo.environment["UPDATE_CORPUS"] == "1" else { continue }
            let folder = root.appendingPathComponent(".run/fuzz/\(target)/corpus")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            for (number, input) in inputs.enumerated() {
                try Data(input).write(to: folder.appendingPathComponent("row-\(number)"))
            }
        }
    }
}
