import Testing

@testable import DataPlane

@Suite("The chunked coding of an answer becomes DATA and trailers")
struct HTTP2ChunksTests {
    private struct Read: Equatable {
        var body: [UInt8] = []
        var trailers: [String] = []
        var isEnded = false
        var isBroken = false
    }

    /// Feeds the parts one after the other, as they would wait to be sent.
    private func read(_ parts: [[UInt8]]) -> Read {
        var chunks = HTTP2Chunks()
        var read = Read()
        var waiting: [UInt8] = []
        for part in parts {
            waiting += part
            var isMore = true
            while isMore {
                let piece = waiting.withUnsafeBufferPointer { chunks.next($0) }
                switch piece {
                case .data(let range, let consumed):
                    read.body += waiting[range]
                    waiting.removeFirst(consumed)
                case .framing(let consumed): waiting.removeFirst(consumed)
                case .trailer(let range, let consumed):
                    read.trailers.append(String(decoding: waiting[range], as: UTF8.self))
                    waiting.removeFirst(consumed)
                case .needMore: isMore = false
                case .broken:
                    read.isBroken = true
                    return read
                }
            }
        }
        read.isEnded = chunks.isEnded
        return read
    }

    @Test func `wherever the bytes are cut, body, trailers and end are the same`() {
        let text = Array(
            "3\r\nabc\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nX-A: 1\r\ngrpc-status: 0\r\n\r\n".utf8)
        let whole = read([text])
        #expect(String(decoding: whole.body, as: UTF8.self) == "abcabcdefghijklmnopqrstuvwxyz")
        #expect(whole.trailers == ["X-A: 1", "grpc-status: 0"])
        #expect(whole.isEnded && !whole.isBroken)
        for cut in 1..<text.count {
            #expect(read([Array(text[..<cut]), Array(text[cut...])]) == whole, "cut at \(cut)")
        }
        #expect(read(text.map { [$0] }) == whole)
    }

    @Test(arguments: [
        "x\r\n", "\r\n", "3\r\nabcd\r\n", "3\r\nabc\n0\r\n\r\n", "0\r\n\r\nmore",
        "1234567890123456789012\r\n",
        "fffffffffffffffff\r\n",
    ])
    func `what this gateway does not write is broken`(_ text: String) {
        #expect(read([Array(text.utf8)]).isBroken)
    }

    @Test(arguments: ["", "3", "3\r\nab", "3\r\nabc\r\n", "0\r\n", "0\r\nx: y\r\n"])
    func `half a body is not a whole one`(_ text: String) {
        let read = read([Array(text.utf8)])
        #expect(!read.isEnded && !read.isBroken)
    }
}
