/// The response head that was parsed last into a table, so that the same bytes are not read a second time: servers
/// repeat whole heads for everything that they answer alike within a second.
///
/// Nothing is trusted that was not compared. What a head means depends on its bytes alone and on whether it answers
/// HEAD; so a head of the same bytes means the same, its lines still stand in the table, and what is written for it
/// is the same too.
public struct ResponseMemo: ~Copyable {
    /// Longer heads, and longer output, are not remembered.
    private static var bytesMax: Int { 2_048 }

    /// The head, and behind it what was written for it.
    private let storage: UnsafeMutablePointer<UInt8>
    /// Bytes of the head; 0 while none is remembered.
    private var headBytes = 0
    private var answersHead = false
    private var response: ResponseHead?
    /// Which parse into the table it came from.
    private var parse: UInt64 = 0
    /// The head was found again: what is written for it is worth remembering.
    private var isRepeated = false
    /// Bytes that were written for it; 0 while that is not known.
    private var writtenBytes = 0
    private var writtenFraming = BodyFraming.none
    private var writtenKeepsAlive = false

    /// One that remembers nothing; it takes 4 KiB.
    public init() { storage = .allocate(capacity: 2 * Self.bytesMax) }

    deinit { storage.deallocate() }

    /// What `bytes` begin with, when that is the head before, and `fields` are still its lines.
    @inline(__always)
    mutating func recall(
        _ bytes: Span<UInt8>, answering method: Method, _ fields: borrowing FieldTable
    ) -> ResponseHead? {
        guard headBytes > 0, bytes.count >= headBytes, parse == fields.parse,
            answersHead == (method == .head), isEqual(bytes)
        else { return nil }
        isRepeated = true
        return response
    }

    private func isEqual(_ bytes: Span<UInt8>) -> Bool {
        let known = UnsafeBufferPointer(start: storage, count: headBytes)
        return WordScan.starts(bytes, at: 0, with: known.span)
    }

    /// Remembers a good head, whose lines `fields` are.
    mutating func note(
        _ bytes: Span<UInt8>, answering method: Method, _ response: ResponseHead,
        _ fields: borrowing FieldTable
    ) {
        headBytes = 0
        isRepeated = false
        writtenBytes = 0
        guard response.headBytes <= Self.bytesMax else { return }
        bytes.extracting(first: response.headBytes).withUnsafeBufferPointer { source in
            if let first = source.baseAddress { storage.update(from: first, count: source.count) }
        }
        headBytes = response.headBytes
        answersHead = method == .head
        parse = fields.parse
        self.response = response
    }

    /// Whether `fields` are the lines of a head that came at least twice in a row.
    @inline(__always)
    func isRepeated(_ fields: borrowing FieldTable) -> Bool { isRepeated && parse == fields.parse }

    /// Writes what was written for this head before.
    ///
    /// - Returns: false when it was never written like this.
    /// - Precondition: `isRepeated` for the fields of the head that is written.
    @inline(__always)
    func write(framing: BodyFraming, keepsAlive: Bool, into output: inout HeadOutput) -> Bool {
        guard writtenBytes > 0, writtenKeepsAlive == keepsAlive, writtenFraming == framing else {
            return false
        }
        output.append(UnsafeBufferPointer(start: storage + Self.bytesMax, count: writtenBytes).span)
        return true
    }

    /// Remembers what stands in `output` from `start` on.
    ///
    /// - Precondition: as for `write`.
    mutating func noteWritten(
        _ output: borrowing HeadOutput, from start: Int, framing: BodyFraming, keepsAlive: Bool
    ) {
        guard !output.isOverflowed, let base = output.base else { return }
        let count = output.count - start
        guard count > 0, count <= Self.bytesMax else { return }
        UnsafeMutableRawPointer(storage + Self.bytesMax).copyMemory(from: base + start, byteCount: count)
        writtenBytes = count
        writtenFraming = framing
        writtenKeepsAlive = keepsAlive
    }
}

@available(*, unavailable)
extension ResponseMemo: Sendable {}
