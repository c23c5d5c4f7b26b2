/// What counts as an upload and as a download, for `AccessLimit`. Pure functions over field values as bytes; they
/// allocate nothing. In doubt the answer is yes: a limit that a missing field lifts would be none.
public enum ResponseLimits {
    /// Bodies up to this many bytes may be forms and messages; larger ones are uploads whatever they call
    /// themselves.
    public static let messageBytesMax: Int64 = 65_536

    /// Whether a request carries a file: it has a body, and that is no short form, JSON or text.
    ///
    /// - Parameters:
    ///   - contentType: the value of `Content-Type`; empty when there is none.
    ///   - bodyBytes: the declared length; nil when it is not known before the end (chunked).
    public static func isUpload(contentType: borrowing Span<UInt8>, bodyBytes: Int64?) -> Bool {
        guard let bodyBytes else { return true }
        if bodyBytes <= 0 { return false }
        if bodyBytes > messageBytesMax { return true }
        let end = typeEnd(contentType)
        return
            !(isType(contentType, end, "application/x-www-form-urlencoded")
            || isType(contentType, end, "application/json") || isType(contentType, end, "text/plain"))
    }

    /// Whether a browser would save a response instead of showing it: its disposition is not `inline`, or its type is
    /// not one that pages are made of. An empty body is nothing to save.
    ///
    /// - Parameters:
    ///   - contentType: the value of `Content-Type`; empty when there is none: browsers then guess.
    ///   - disposition: the value of `Content-Disposition`; empty when there is none.
    ///   - bodyBytes: the declared length; nil when it is not known before the end.
    public static func isDownload(
        contentType: borrowing Span<UInt8>, disposition: borrowing Span<UInt8>, bodyBytes: Int64?
    ) -> Bool {
        if bodyBytes == 0 { return false }
        let dispositionEnd = typeEnd(disposition)
        // RFC 6266 §4.2: a type that is not known is handled like `attachment`.
        if disposition.count > 0 && !isType(disposition, dispositionEnd, "inline") { return true }
        let end = typeEnd(contentType)
        if hasPrefix(contentType, end, "image/") || hasPrefix(contentType, end, "font/") { return false }
        return
            !(isType(contentType, end, "text/html") || isType(contentType, end, "text/css")
            || isType(contentType, end, "text/plain") || isType(contentType, end, "text/javascript")
            || isType(contentType, end, "text/event-stream")
            || isType(contentType, end, "application/javascript")
            || isType(contentType, end, "application/json")
            || isType(contentType, end, "application/manifest+json")
            || isType(contentType, end, "application/xhtml+xml")
            || isType(contentType, end, "application/wasm"))
    }

    /// Whether a response is a page that a sentence can be put into.
    ///
    /// - Parameter contentType: the value of `Content-Type`; empty when there is none.
    public static func isPage(contentType: borrowing Span<UInt8>) -> Bool {
        isType(contentType, typeEnd(contentType), "text/html")
    }

    /// The banner as HTML: one element with the text escaped, so that no text can become markup.
    public static func bannerHTML(_ text: String) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return "<div role=\"status\" class=\"gatepost-banner\">\(escaped)</div>"
    }

    /// The end of what stands before the first parameter, blanks around it left out.
    private static func typeEnd(_ value: borrowing Span<UInt8>) -> Int {
        var end = 0
        while end < value.count, value[end] != 0x3b { end += 1 }
        while end > 0, value[end - 1] == 0x20 || value[end - 1] == 0x09 { end -= 1 }
        return end
    }

    private static func isType(_ value: borrowing Span<UInt8>, _ end: Int, _ type: StaticString) -> Bool {
        let start = firstByte(value)
        return end - start == type.utf8CodeUnitCount && hasPrefix(value, end, type)
    }

    private static func firstByte(_ value: borrowing Span<UInt8>) -> Int {
        var start = 0
        while start < value.count, value[start] == 0x20 || value[start] == 0x09 { start += 1 }
        return start
    }

    /// Case-insensitive in the letters of ASCII (RFC 9110 §8.3.1).
    private static func hasPrefix(_ value: borrowing Span<UInt8>, _ end: Int, _ prefix: StaticString) -> Bool
    {
        let start = firstByte(value)
        guard end - start >= prefix.utf8CodeUnitCount else { return false }
        var index = 0
        while index < prefix.utf8CodeUnitCount {
            let byte = value[start + index]
            let folded = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
            if folded != prefix.utf8Start[index] { return false }
            index += 1
        }
        return true
    }
}
