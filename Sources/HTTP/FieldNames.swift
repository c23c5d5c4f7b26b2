/// A few field names, compared without case (RFC 9110 §5.1), for what is taken out of a head.
public struct FieldNames: Sendable, Hashable {
    /// In lower case.
    private let names: [[UInt8]]

    /// No name at all.
    public static let none = FieldNames([])

    /// - Parameter names: in any case; each is compared with every line of a head, so there are few.
    public init(_ names: [String]) { self.names = names.map { $0.utf8.map(ByteClass.lowered) } }

    /// Whether the field name at `range` is one of them. Allocates nothing.
    ///
    /// - Precondition: `range` lies in `bytes`.
    public func contains(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        var index = 0
        while index < names.count {
            if equals(index, bytes, range) { return true }
            index += 1
        }
        return false
    }

    private func equals(_ index: Int, _ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        guard names[index].count == range.count else { return false }
        for offset in 0..<range.count
        where ByteClass.lowered(bytes[range.lowerBound + offset]) != names[index][offset] { return false }
        return true
    }
}
