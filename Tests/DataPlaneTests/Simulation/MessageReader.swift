/// Reads messages of HTTP/1.1 as a plain peer does, and trusts nothing: a second, slow parser beside the product's.
struct MessageReader {
    enum Framing: Equatable { case none, length(Int), chunked, untilClose }
    enum Event: Equatable {
        case head
        /// The body of the message whose head came before is whole.
        case complete
        case broken(String)
    }

    private enum State {
        case head, awaitingFraming, body(Int), chunkSize, chunkEnd, trailers, untilClose, broken
    }

    private var state = State.head
    private var buffer: [UInt8] = []
    private var chunked = false
    private(set) var startLine = ""
    private(set) var fields: [String: [String]] = [:]
    private(set) var headBytes = 0
    var body: [UInt8] = []

    /// Nothing of a message has been read.
    var isBetweenMessages: Bool { if case .head = state { buffer.isEmpty } else { false } }
    /// All of it has come that ever will, if no length was announced.
    var endsWithConnection: Bool { if case .untilClose = state { true } else { false } }

    mutating func feed(_ bytes: [UInt8]) { buffer += bytes }

    func field(_ name: String) -> String? { fields[name]?.first }

    /// How the body is delimited, by the head alone (RFC 9112 §6.3, without what depends on the request).
    func framing(isResponse: Bool) -> Framing? {
        let codings = fields["transfer-encoding"] ?? []
        let lengths = fields["content-length"] ?? []
        guard codings.count + lengths.count <= 1 else { return nil }
        if let coding = codings.first { return coding == "chunked" ? .chunked : nil }
        if let length = lengths.first { return Int(length).map { .length($0) } }
        return isResponse ? .untilClose : Framing.none
    }

    /// What the head was followed by; call once after `.head`.
    mutating func setFraming(_ framing: Framing) {
        body = []
        switch framing {
        case .none: state = .body(0)
        case .length(let length): state = .body(length)
        case .chunked: state = .chunkSize
        case .untilClose: state = .untilClose
        }
        chunked = framing == .chunked
    }

    /// The next thing in what has come, nil when more is needed.
    mutating func next() -> Event? {
        while true {
            switch state {
            case .head:
                guard let end = Self.find([13, 10, 13, 10], in: buffer) else { return nil }
                return readHead(end + 4)
            case .awaitingFraming, .broken: return nil
            case .body(let left):
                let taken = min(left, buffer.count)
                body += buffer[..<taken]
                buffer.removeFirst(taken)
                state = .body(left - taken)
                guard left == taken else { return nil }
                state = chunked ? .chunkEnd : .head
                if !chunked { return .complete }
            case .chunkEnd:
                guard buffer.count >= 2 else { return nil }
                guard buffer[0] == 13, buffer[1] == 10 else { return fail("no line end behind a chunk") }
                buffer.removeFirst(2)
                state = .chunkSize
            case .chunkSize:
                guard let line = takeLine() else { return nil }
                guard let size = Int(line, radix: 16) else { return fail("chunk size \(line)") }
                state = size == 0 ? .trailers : .body(size)
            case .trailers:
                guard let line = takeLine() else { return nil }
                guard line.isEmpty else { continue }
                state = .head
                return .complete
            case .untilClose:
                body += buffer
                buffer = []
                return nil
            }
        }
    }

    private mutating func fail(_ what: String) -> Event {
        state = .broken
        return .broken(what)
    }

    private mutating func readHead(_ count: Int) -> Event {
        let text = String(decoding: buffer[..<(count - 4)], as: UTF8.self)
        buffer.removeFirst(count)
        headBytes = count
        fields = [:]
        startLine = ""
        for (index, line) in text.split(separator: "\r\n", omittingEmptySubsequences: false).enumerated() {
            if index == 0 {
                startLine = String(line)
                continue
            }
            guard let colon = line.utf8.firstIndex(of: 58) else { return fail("field line \(line)") }
            var value = line[line.utf8.index(after: colon)...]
            while value.utf8.first == 32 { value = value.dropFirst() }
            fields[line[..<colon].lowercased(), default: []].append(String(value))
        }
        state = .awaitingFraming
        return .head
    }

    private mutating func takeLine() -> String? {
        guard let end = Self.find([13, 10], in: buffer) else { return nil }
        defer { buffer.removeFirst(end + 2) }
        return String(decoding: buffer[..<end], as: UTF8.self)
    }

    /// Where `pattern` begins. By hand, because the generic search takes most of an unoptimised run.
    static func find(_ pattern: [UInt8], in bytes: [UInt8]) -> Int? {
        bytes.withUnsafeBufferPointer { bytes in
            pattern.withUnsafeBufferPointer { pattern in
                guard bytes.count >= pattern.count else { return nil }
                var start = 0
                while start <= bytes.count - pattern.count {
                    var index = 0
                    while index < pattern.count, bytes[start + index] == pattern[index] { index += 1 }
                    if index == pattern.count { return start }
                    start += 1
                }
                return nil
            }
        }
    }
}
