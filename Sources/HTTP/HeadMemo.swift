/// The field lines of a connection's last request, so that the next request's equal ones are taken over
/// instead of scanned: clients repeat most of their lines byte for byte.
///
/// Nothing is trusted that was not compared. Lines are read from the front, and what a line becomes depends
/// on its own bytes alone; so as far as the bytes equal those of the last head, its lines are what a scan
/// would find. From the first line that differs on, everything is scanned.
public struct HeadMemo {
    /// Bytes of storage that one takes.
    public static var storageBytes: Int { 2_048 }
    private static var linesMax: Int { 32 }
    private static var linesAt: Int { 192 }
    private static var bytesAt: Int { linesAt + MemoryLayout<FieldLine>.stride * linesMax }
    private static var bytesMax: Int { storageBytes - bytesAt }

    /// What is at the front of the storage; the lines and their bytes stand behind it.
    private struct Known {
        /// Bytes of the lines together with the empty line; 0 while nothing is remembered.
        var count = 0
        /// Where the first line stood in its head, to which all offsets in here count.
        var start = 0
        var lineCount = 0
        var present: UInt64 = 0
        var repeated: UInt64 = 0
        /// What was read from these lines alone, whatever the request line said.
        var cookies = OwnCookies()
        var host: Authority?
        /// How much further all lines stand in the head that is being read, nil when they are not the same.
        var shift: Int?
    }

    private let known: UnsafeMutablePointer<Known>?

    /// One that remembers nothing.
    public init() { known = nil }

    /// - Parameter storage: stays the caller's and outlives this value.
    /// - Precondition: it has `storageBytes` and is aligned to eight.
    public init(_ storage: UnsafeMutableRawPointer) {
        precondition(MemoryLayout<Known>.size <= Self.linesAt, "\(MemoryLayout<Known>.size) bytes")
        known = storage.bindMemory(to: Known.self, capacity: 1)
        known?.initialize(to: Known())
    }

    /// What it was made of, to be given back.
    public var storage: UnsafeMutableRawPointer? { UnsafeMutableRawPointer(known) }

    private static func lines(of known: UnsafeMutablePointer<Known>) -> UnsafeMutablePointer<FieldLine> {
        (UnsafeMutableRawPointer(known) + linesAt).assumingMemoryBound(to: FieldLine.self)
    }

    private static func bytes(of known: UnsafeMutablePointer<Known>) -> UnsafeMutableBufferPointer<UInt8> {
        let start = (UnsafeMutableRawPointer(known) + bytesAt).assumingMemoryBound(to: UInt8.self)
        return UnsafeMutableBufferPointer(start: start, count: bytesMax)
    }

    /// Takes over the lines that stand at `first` as they stood in the last head.
    ///
    /// - Returns: where the first line begins that was not taken over.
    func recall(_ head: Span<UInt8>, from first: Int, into filling: inout FieldTable.Filling) -> Int {
        guard let known else { return first }
        known.pointee.shift = nil
        let count = known.pointee.count
        guard count > 0 else { return first }
        let lineCount = known.pointee.lineCount
        let whole = Self.bytes(of: known).span.extracting(first: count)
        guard WordScan.starts(head, at: first, with: whole), filling.room >= lineCount else {
            let equal = WordScan.commonPrefix(head, from: first, whole)
            return Self.recallSome(known, equal, first, into: &filling)
        }
        let shift = first &- known.pointee.start
        known.pointee.shift = shift
        filling.append(
            Self.lines(of: known), lineCount, present: known.pointee.present, repeated: known.pointee.repeated
        )
        if shift != 0 { filling.move(by: UInt32(truncatingIfNeeded: shift)) }
        return first &+ count &- 2
    }

    /// The lines that end within the first `equal` bytes.
    private static func recallSome(
        _ known: UnsafeMutablePointer<Known>, _ equal: Int, _ first: Int,
        into filling: inout FieldTable.Filling
    ) -> Int {
        let (start, lineCount) = (known.pointee.start, known.pointee.lineCount)
        let lines = lines(of: known)
        let shift = UInt32(truncatingIfNeeded: first &- start)
        var next = start
        for index in 0..<lineCount {
            let end =
                index &+ 1 < lineCount
                ? Int(lines[index &+ 1].name.start) : start &+ known.pointee.count &- 2
            guard end &- start <= equal, !filling.isFull else { break }
            filling.append(lines[index].moved(by: shift))
            next = end
        }
        return first &+ (next &- start)
    }

    /// What the same lines said the last time; nil when they are not the same.
    @inline(__always)
    var said: (cookies: OwnCookies, host: Authority)? {
        guard let known, let shift = known.pointee.shift, let host = known.pointee.host else { return nil }
        let cookies = known.pointee.cookies
        return shift == 0 ? (cookies, host) : (cookies.moved(by: shift), host.moved(by: shift))
    }

    /// Remembers the lines of a good head; too long ones are not remembered.
    ///
    /// - Parameter block: from the first line to behind the empty line.
    func note(_ head: Span<UInt8>, _ block: Range<Int>, _ fields: borrowing FieldTable, _ host: Authority?) {
        guard let known, known.pointee.shift == nil else { return }
        known.pointee.count = 0
        guard block.count <= Self.bytesMax, fields.count <= Self.linesMax else { return }
        head.extracting(block).withUnsafeBufferPointer { source in
            if let first = source.baseAddress {
                Self.bytes(of: known).baseAddress?.update(from: first, count: source.count)
            }
        }
        Self.lines(of: known).update(from: fields.lines, count: fields.count)
        known.pointee = Known(
            count: block.count, start: block.lowerBound, lineCount: fields.count, present: fields.present,
            repeated: fields.repeated, cookies: fields.ownCookies, host: host)
    }
}

@available(*, unavailable)
extension HeadMemo: Sendable {}

extension FieldLine {
    func moved(by shift: UInt32) -> FieldLine {
        var line = self
        line.name.start &+= shift
        line.value.start &+= shift
        return line
    }
}

extension OwnCookies {
    fileprivate func moved(by shift: Int) -> OwnCookies {
        var moved = self
        if case .value(let value) = session { moved.session = .value(value.moved(by: shift)) }
        if case .one(let pair) = left { moved.left = .one(pair.moved(by: shift)) }
        return moved
    }
}

extension Authority {
    fileprivate func moved(by shift: Int) -> Authority {
        var moved = self
        moved.name = (name.lowerBound &+ shift)..<(name.upperBound &+ shift)
        moved.asSent = asSent?.moved(by: shift)
        return moved
    }
}

extension ByteRange {
    fileprivate func moved(by shift: Int) -> ByteRange {
        ByteRange(from: Int(start) &+ shift, to: end &+ shift)
    }
}
