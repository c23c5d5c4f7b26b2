import Foundation
import Glibc
import Testing

@testable import Control

@Suite("Lines come whole, whatever the file's size and end")
struct LineFeedTests {
    private func read(_ text: String, max: Int = 8, from offset: Int = 0) throws -> [String] {
        let path = FileManager.default.temporaryDirectory.appending(path: "feed-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        var feed = try LineFeed(path, from: offset, lineBytesMax: max)
        var lines: [String] = []
        while let line = try feed.next() {
            switch line {
            case .line(let bytes): lines.append(String(decoding: bytes, as: UTF8.self))
            case .tooLong: lines.append("too long")
            case .partial(let first): lines.append("partial: \(String(decoding: first, as: UTF8.self))")
            }
        }
        return lines
    }

    @Test(
        arguments: [
            ("", []), ("\n", [""]), ("a\nb\n", ["a", "b"]), ("a\nb", ["a", "partial: b"]),
            ("12345678\n", ["12345678"]), ("123456789\nb\n", ["too long", "b"]), ("123456789", ["partial: "]),
        ] as [(String, [String])])
    func lines(_ text: String, _ expected: [String]) throws { #expect(try read(text) == expected) }

    @Test func `lines that lie across pieces are whole, and one of many pieces is passed over`() throws {
        let piece = 1 << 20
        for count in [piece - 1, piece, piece + 1, 3 * piece] {
            let line = String(repeating: "x", count: count)
            #expect(try read("a\n\(line)\nb\n", max: 4 * piece) == ["a", line, "b"], "\(count)")
            #expect(try read("a\n\(line)\nb\n") == ["a", "too long", "b"], "\(count)")
            #expect(try read("a\n\(line)") == ["a", "partial: "], "\(count)")
        }
    }

    @Test(arguments: ["/dev/zero", "/tmp", "/dev/null"])
    func `what is no file is refused, not read for ever or taken for an empty one`(_ path: String) {
        #expect(throws: ControlFailure.self) {
            var feed = try LineFeed(path, lineBytesMax: 1 << 20)
            _ = try feed.next()
        }
    }

    @Test func `a pipe that nobody writes to is refused at once`() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "feed-\(UUID().uuidString)").path
        try #require(mkfifo(path, 0o600) == 0)
        defer { unlink(path) }
        #expect(throws: ControlFailure.self) { _ = try LineFeed(path, lineBytesMax: 1) }
    }

    @Test func `a file that cannot be read to its end is an error, not an end`() throws {
        // Offset 0 is never mapped: read(2) says EIO.
        var feed = try LineFeed("/proc/self/mem", lineBytesMax: 1 << 20)
        #expect(throws: ControlFailure.self) { _ = try feed.next() }
    }

    @Test func `reading goes on where it ended, and a file that is not there is an error`() throws {
        #expect(try read("ab\ncd\n", from: 3) == ["cd"])
        #expect(try read("ab\ncd\n", from: 6) == [])
        #expect(throws: ControlFailure.self) { _ = try LineFeed("/nonexistent", lineBytesMax: 1) }
    }
}
