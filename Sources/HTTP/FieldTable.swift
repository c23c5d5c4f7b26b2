/// The field lines of one parsed head as ranges into its bytes: fixed capacity, allocated once, reused.

/// One field line. Both ranges point into the head buffer; the value is without surrounding whitespace.
@frozen
public struct FieldLine: Sendable, Hashable {
    /// As sent, in any case.
    public var name: ByteRange
    /// May be empty.
    public var value: ByteRange
    /// `.other` for names that the gateway does not look at.
    public var known: KnownField
    /// Known to stand as it would be written: one space behind the colon, nothing behind the value but CRLF. False
    /// says nothing.
    @usableFromInline var isTight = false

    /// A line of a head.
    @inlinable
    public init(name: ByteRange, value: ByteRange, known: KnownField) {
        self.name = name
        self.value = value
        self.known = known
    }
}

/// Owned by the caller (one per reactor and direction is enough when heads are parsed and written in one
/// turn). A parse empties it first; after `.needMore` or `.refused` its content means nothing.
public struct FieldTable: ~Copyable {
    /// Most lines it holds.
    public let capacity: Int
    /// Lines of the head parsed last.
    public private(set) var count = 0
    @usableFromInline let lines: UnsafeMutablePointer<FieldLine>
    @usableFromInline var present: UInt64 = 0
    var repeated: UInt64 = 0
    /// Of a request: which of its cookies are ours.
    var ownCookies = OwnCookies()
    /// Counts the parses into this table: lines of another parse are other lines.
    private(set) var parse: UInt64 = 0

    /// - Parameter capacity: `HeadLimits.fieldsMax` of the parser it is used with; 1...10,000.
    public init(capacity: Int = HeadLimits().fieldsMax) {
        precondition(capacity > 0 && capacity <= 10_000, "capacity \(capacity)")
        self.capacity = capacity
        lines = .allocate(capacity: capacity)
    }

    deinit { lines.deallocate() }  // FieldLine is trivial: nothing to deinitialize.

    /// - Precondition: `index` is in `0..<count`.
    public subscript(index: Int) -> FieldLine {
        precondition(index >= 0 && index < count, "field \(index) of \(count)")
        return lines[index]
    }

    /// Whether at least one line of this name is there. Always true or meaningless for `.other`.
    @inlinable
    public func contains(_ known: KnownField) -> Bool { present & (1 << UInt64(known.rawValue)) != 0 }

    /// Whether two or more lines of this name are there.
    public func isRepeated(_ known: KnownField) -> Bool { repeated & (1 << UInt64(known.rawValue)) != 0 }

    /// The value of the first line of this name, nil when there is none.
    @inline(__always)
    public func value(_ known: KnownField) -> ByteRange? { contains(known) ? firstValue(known) : nil }

    @inline(never)
    private func firstValue(_ known: KnownField) -> ByteRange? {
        for index in 0..<count where lines[index].known == known { return lines[index].value }
        return nil
    }

    /// The value of the only line of this name; nil when there is none **or more than one**.
    public func onlyValue(_ known: KnownField) -> ByteRange? { isRepeated(known) ? nil : value(known) }

    /// The value of the first line whose name equals `name` (compared without case), for names that are not
    /// known.
    public func value(named name: StaticString, in head: Span<UInt8>) -> ByteRange? {
        for index in 0..<count where Int(lines[index].name.count) == name.utf8CodeUnitCount {
            if ByteClass.startsFolded(head, lines[index].name.indices, name) { return lines[index].value }
        }
        return nil
    }

    /// Whether two or more lines have this name (compared without case), for names that are not known.
    public func isRepeated(named name: StaticString, in head: Span<UInt8>) -> Bool {
        var found = 0
        for index in 0..<count where ByteClass.equalFolded(head, lines[index].name.indices, name) {
            found += 1
        }
        return found > 1
    }

    mutating func removeAll() {
        parse &+= 1
        count = 0
        present = 0
        repeated = 0
        ownCookies = OwnCookies()
    }

    /// The lines of a head that is still being read, so that the table itself is written once.
    struct Filling {
        private var next: UnsafeMutablePointer<FieldLine>
        private let limit: UnsafeMutablePointer<FieldLine>
        let lines: UnsafeMutablePointer<FieldLine>
        fileprivate var present: UInt64 = 0
        fileprivate var repeated: UInt64 = 0

        /// - Precondition: `fieldsMax` is at most the capacity of `table`, which outlives this.
        init(_ table: borrowing FieldTable, fieldsMax: Int) {
            precondition(fieldsMax <= table.capacity, "field table of \(table.capacity)")
            lines = table.lines
            next = table.lines
            limit = table.lines + fieldsMax
        }

        fileprivate var count: Int { next - lines }
        var room: Int { limit - next }
        @inline(__always)
        var isFull: Bool { next == limit }

        /// - Precondition: not `isFull`.
        @inline(__always)
        mutating func append(_ line: FieldLine) {
            assert(next < limit, "no room was asked for")
            next.initialize(to: line)
            next += 1
            let bit = UInt64(1) &<< UInt64(line.known.rawValue)
            repeated |= present & bit
            present |= bit
        }

        /// Lines that were read before.
        ///
        /// - Precondition: this is empty and has the room.
        mutating func append(
            _ known: UnsafeMutablePointer<FieldLine>, _ count: Int, present: UInt64, repeated: UInt64
        ) {
            precondition(next == lines && count <= room, "\(count) lines")
            lines.update(from: known, count: count)
            next = lines + count
            self.present = present
            self.repeated = repeated
        }

        /// Says that all lines stand further behind.
        mutating func move(by shift: UInt32) {
            for index in 0..<count { lines[index] = lines[index].moved(by: shift) }
        }
    }

    /// - Precondition: `filling` was made of this table.
    mutating func fill(_ filling: Filling) {
        precondition(filling.lines == lines, "lines of another table")
        count = filling.count
        present = filling.present
        repeated = filling.repeated
    }
}

// Confined to one reactor: it is memory that one thread reuses.
@available(*, unavailable)
extension FieldTable: Sendable {}
