/// What an Accept field asks for (RFC 9110 §12.5.1), as far as it tells a person's browser from a program.
public struct AcceptedTypes: Sendable, Hashable {
    /// `text/html` is listed by its name, and not with a weight of nothing.
    public private(set) var listsHTML = false
    /// `application/json`, or a type on top of it, is listed.
    public private(set) var listsJSON = false

    /// Browsers ask for pages by name and never for JSON; a program that takes both can be told in JSON.
    public var isPageWanted: Bool { listsHTML && !listsJSON }

    /// Reads the field value at `range`. Allocates nothing; whatever is no media range is passed over.
    ///
    /// - Precondition: `range` lies in `bytes`.
    public init(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        var start = range.lowerBound
        while start < range.upperBound {
            var end = start
            while end < range.upperBound, bytes[end] != UInt8(ascii: ",") { end += 1 }
            note(bytes, start..<end)
            start = end + 1
        }
    }

    private mutating func note(_ bytes: Span<UInt8>, _ element: Range<Int>) {
        var nameEnd = element.lowerBound
        while nameEnd < element.upperBound, bytes[nameEnd] != UInt8(ascii: ";") { nameEnd += 1 }
        let name = ByteClass.trimmed(bytes, element.lowerBound..<nameEnd)
        let isHTML = ByteClass.equalFolded(bytes, name, "text/html")
        let isJSON =
            ByteClass.equalFolded(bytes, name, "application/json")
            || name.count > 5
                && ByteClass.equalFolded(bytes, (name.upperBound - 4)..<name.upperBound, "json")
                && bytes[name.upperBound - 5] == UInt8(ascii: "+")
        guard isHTML || isJSON, !AcceptedTypes.isRefused(bytes, nameEnd..<element.upperBound) else { return }
        if isHTML { listsHTML = true }
        if isJSON { listsJSON = true }
    }

    /// `;q=0`, `; q=0.000`: the type is named in order not to get it.
    private static func isRefused(_ bytes: Span<UInt8>, _ parameters: Range<Int>) -> Bool {
        var start = parameters.lowerBound
        while start < parameters.upperBound {
            start += 1
            var end = start
            while end < parameters.upperBound, bytes[end] != UInt8(ascii: ";") { end += 1 }
            let parameter = ByteClass.trimmed(bytes, start..<end)
            if parameter.count > 2, ByteClass.lowered(bytes[parameter.lowerBound]) == UInt8(ascii: "q"),
                bytes[parameter.lowerBound + 1] == UInt8(ascii: "=")
            {
                return ((parameter.lowerBound + 2)..<parameter.upperBound).allSatisfy {
                    bytes[$0] == UInt8(ascii: "0") || bytes[$0] == UInt8(ascii: ".")
                }
            }
            start = end
        }
        return false
    }
}
