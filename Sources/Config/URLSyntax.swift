/// An http or https URL without the parts that no setting here may have (user, fragment).
struct PlainURL: Hashable {
    var isTLS: Bool
    /// Without brackets.
    var host: String
    var isNumericV6: Bool
    /// nil: the scheme's own.
    var explicitPort: UInt16?
    /// From the first slash on; may be empty.
    var path: String

    var port: UInt16 { explicitPort ?? (isTLS ? 443 : 80) }

    /// Reads the URL; the refusal says what is wrong with it.
    init(_ text: String) throws(Quantity.Refusal) {
        let remedy = "write for example https://name.example"
        var rest = Substring(text)
        if text.hasPrefix("https://") {
            isTLS = true
        } else if text.hasPrefix("http://") {
            isTLS = false
        } else {
            throw .init(problem: "\"\(text)\" does not begin with https://", remedy: remedy)
        }
        rest = rest.dropFirst(isTLS ? 8 : 7)
        guard !rest.utf8.contains(where: { $0 <= 0x20 || $0 >= 0x7F || $0 == 0x5C }), !rest.contains("#")
        else {
            throw .init(problem: "\"\(text)\" has a fragment or a byte that no URL may have", remedy: remedy)
        }
        guard !rest.contains("?") else {
            throw .init(problem: "\"\(text)\" has a query", remedy: "leave it out")
        }
        let authority = rest.prefix { $0 != "/" }
        path = String(rest.dropFirst(authority.count))
        guard !authority.contains("@") else {
            throw .init(problem: "has a user or a password in the URL", remedy: "leave it out")
        }
        (host, isNumericV6, explicitPort) = try Self.split(authority, text, remedy)
    }

    private static func split(
        _ authority: Substring, _ text: String, _ remedy: String
    ) throws(Quantity.Refusal) -> (String, Bool, UInt16?) {
        let bad = Quantity.Refusal(problem: "\"\(text)\" has no valid host", remedy: remedy)
        var host = authority
        var portText: Substring?
        let isBracketed = authority.first == "["
        if isBracketed {
            guard let end = authority.firstIndex(of: "]") else { throw bad }
            host = authority[authority.index(after: authority.startIndex)..<end]
            let after = authority[authority.index(after: end)...]
            guard after.isEmpty || after.first == ":" else { throw bad }
            portText = after.isEmpty ? nil : after.dropFirst()
        } else if let colon = authority.firstIndex(of: ":") {
            host = authority[..<colon]
            portText = authority[authority.index(after: colon)...]
        }
        let name = String(host)
        let isValid = isBracketed ? name.contains(":") && HostSyntax.address(name) != nil : isNameOrV4(name)
        guard isValid else { throw bad }
        guard let portText else { return (name, isBracketed, nil) }
        guard let port = port(String(portText)), port > 0 else {
            throw .init(problem: "\"\(text)\" has a port that is not 1 to 65535", remedy: "write 1 to 65535")
        }
        return (name, isBracketed, port)
    }

    private static func isNameOrV4(_ name: String) -> Bool {
        HostSyntax.v4(name) != nil || HostSyntax.nameProblem(name) == nil
    }

    /// Decimal, without sign and leading zeros.
    static func port(_ text: String) -> UInt16? {
        guard let port = UInt16(text), String(port) == text else { return nil }
        return port
    }
}

/// Paths in policies: whole segments, in the canonical form that requests have when they are judged.
enum PathSyntax {
    private static let patternBytes = Set("^$*|\\()[]{}?".utf8)

    /// nil when fine.
    static func problem(_ path: String) -> Quantity.Refusal? {
        guard path.hasPrefix("/") else {
            return .init(problem: "\"\(path)\" does not begin with a slash", remedy: "write /\(path)")
        }
        if path.utf8.contains(where: { patternBytes.contains($0) }) || path.contains(".+") {
            return .init(
                problem: "\"\(path)\" looks like a pattern",
                remedy: "paths match exactly or by whole segments only")
        }
        if path.utf8.contains(where: { $0 <= 0x20 || $0 >= 0x7F || $0 == 0x23 || $0 == 0x3B }) {
            return .init(
                problem: "\"\(path)\" has a byte that no canonical path has",
                remedy: "percent-encode it, and leave out # and ;")
        }
        if path != "/" && path.hasSuffix("/") {
            return .init(
                problem: "\"\(path)\" ends with a slash",
                remedy: "write \(path.dropLast()); it matches everything below too")
        }
        let segments = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        if segments.contains(where: { $0 == "." || $0 == ".." }) || (path != "/" && segments.contains("")) {
            return .init(
                problem: "\"\(path)\" has an empty or dot segment", remedy: "write the path it means")
        }
        return encodingProblem(path)
    }

    /// Requests are judged with unreserved characters decoded and other escapes in upper case (RFC 3986
    /// §6.2.2).
    private static func encodingProblem(_ path: String) -> Quantity.Refusal? {
        var bytes = Array(path.utf8)[...]
        while let byte = bytes.popFirst() {
            guard byte == 0x25 else { continue }
            let digits = String(decoding: bytes.prefix(2), as: UTF8.self)
            guard digits.utf8.count == 2, let value = UInt8(digits, radix: 16), !digits.hasPrefix("+") else {
                return .init(problem: "\"\(path)\" has a broken escape", remedy: "write % and two hex digits")
            }
            let isUnreserved =
                (0x30...0x39).contains(value) || (0x41...0x5A).contains(value)
                || (0x61...0x7A).contains(value)
                || [0x2D, 0x2E, 0x5F, 0x7E].contains(value)
            if isUnreserved {
                return .init(
                    problem: "\"\(path)\" escapes a character that needs none",
                    remedy: "write \(Character(Unicode.Scalar(value))) for %\(digits)")
            }
            if [0x00, 0x2F, 0x5C].contains(value) {
                return .init(
                    problem: "\"\(path)\" has an encoded separator or zero byte",
                    remedy: "no request has it; remove it")
            }
            if digits != digits.uppercased() {
                return .init(
                    problem: "\"\(path)\" has a lower-case escape", remedy: "write %\(digits.uppercased())")
            }
        }
        return nil
    }
}
