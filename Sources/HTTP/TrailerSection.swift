/// The lines behind a chunked body (RFC 9110 §6.5): which of them go on.
///
/// Some receivers merge trailers into the head, after it was judged. So nothing goes on that frames, routes,
/// authenticates, identifies, or changes what a message means.
public enum TrailerSection {
    private static let forbiddenPrefixes: [StaticString] = [
        "content", "if", "accesscontrol", "sec", "authenticat", "authoriz", "cookie", "setcookie", "cache",
        "strict", "crossorigin", "cdn", "xaccel",
    ]
    private static let forbiddenNames: [StaticString] = [
        "wwwauthenticate", "age", "date", "expires", "location", "retryafter", "vary", "warning", "pragma",
        "maxforwards", "range", "acceptranges", "clearsitedata", "refresh", "link", "altsvc", "via", "origin",
        "referer", "useragent", "accept", "xsendfile", "xlighttpdsendfile", "xframeoptions",
        "referrerpolicy", "permissionspolicy", "earlydata", "priority", "signature", "signatureinput", "dpop",
        "xapikey", "xauthtoken", "xcsrftoken", "status",
    ]

    /// Writes the lines that may go on, each with its CRLF.
    ///
    /// - Parameters:
    ///   - section: whole lines with their CRLF, as `ChunkedDecoder` has checked them; an empty line ends it.
    ///   - identity: further names that only the gateway may set.
    /// - Returns: how many lines were left out.
    public static func copy(
        _ section: Span<UInt8>, identity: IdentityFieldNames, leavingOut names: FieldNames = .none,
        into output: inout HeadOutput
    ) -> Int {
        var leftOut = 0
        var index = 0
        while index < section.count, section[index] != 13 {
            let name = index
            while index < section.count, section[index] != 58 { index += 1 }
            let colon = index
            while index < section.count, section[index] != 13 { index += 1 }
            guard index < section.count else { return leftOut + 1 }
            let value = ByteClass.trimmed(section, (colon + 1)..<index)
            if isForbidden(section, name..<colon, identity) || names.contains(section, name..<colon) {
                leftOut += 1
            } else {
                output.append(section, name..<colon)
                output.append(": ")
                output.append(section, value)
                output.append("\r\n")
            }
            index += 2
        }
        return leftOut
    }

    /// Names are compared folded, as receivers may fold them.
    private static func isForbidden(
        _ bytes: Span<UInt8>, _ name: Range<Int>, _ identity: IdentityFieldNames
    ) -> Bool {
        if KnownField(classifying: bytes, name) != .other || identity.contains(bytes, name) { return true }
        for prefix in forbiddenPrefixes where starts(bytes, name, prefix, wholly: false) { return true }
        for word in forbiddenNames where starts(bytes, name, word, wholly: true) { return true }
        return false
    }

    private static func starts(
        _ bytes: Span<UInt8>, _ name: Range<Int>, _ word: StaticString, wholly: Bool
    ) -> Bool {
        var matched = 0
        for index in name where ByteClass.isAlphanumeric(bytes[index]) {
            guard matched < word.utf8CodeUnitCount else { return !wholly }
            guard ByteClass.lowered(bytes[index]) == word.utf8Start[matched] else { return false }
            matched += 1
        }
        return matched == word.utf8CodeUnitCount
    }

    /// Whether the sender of a head reads trailers (RFC 9110 §10.1.4). Of two TE fields neither counts.
    public static func isAccepted(_ head: Span<UInt8>, _ fields: borrowing FieldTable) -> Bool {
        guard let value = fields.onlyValue(.te) else { return false }
        var start = value.indices.lowerBound
        let end = value.indices.upperBound
        while start <= end {
            let comma = ByteClass.find(44, head, start..<end)
            if ByteClass.equalFolded(head, ByteClass.trimmed(head, start..<comma), "trailers") { return true }
            start = comma + 1
        }
        return false
    }
}
