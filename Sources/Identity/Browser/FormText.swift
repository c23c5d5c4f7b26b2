/// `application/x-www-form-urlencoded` text, as in queries and token requests (RFC 6749 appendix B).
public enum FormText {
    static let bytesMax = 8 << 10
    static let parametersMax = 32

    /// Everything but unreserved characters (RFC 3986 §2.3) as %XX.
    static func encode(_ text: String) -> String {
        var out: [UInt8] = []
        let digits = Array("0123456789ABCDEF".utf8)
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f, 0x7e: out.append(byte)
            case _: out += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// `a=b&c=d`, everything but unreserved characters as %XX.
    public static func encode(_ pairs: [(String, String)]) -> String {
        pairs.map { "\(encode($0.0))=\(encode($0.1))" }.joined(separator: "&")
    }

    /// Names and values; nil for anything that could be read in two ways: a broken escape, bytes that are no UTF-8,
    /// a name that occurs twice (RFC 6749 §3.1), too many or too long.
    public static func parse(_ text: String) -> [String: String]? {
        guard text.utf8.count <= bytesMax else { return nil }
        var found: [String: String] = [:]
        for pair in text.utf8.split(separator: UInt8(ascii: "&")) {
            let parts = pair.split(
                separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = decode(parts[0]), let value = parts.count == 2 ? decode(parts[1]) : "",
                found.updateValue(value, forKey: name) == nil, found.count <= parametersMax
            else { return nil }
        }
        return found
    }

    /// One name or value, "+" as a blank; nil for a broken escape and for bytes that are no UTF-8.
    public static func decode(_ text: some Sequence<UInt8>) -> String? {
        var out: [UInt8] = []
        var bytes = text.makeIterator()
        while let byte = bytes.next() {
            if byte == UInt8(ascii: "+") {
                out.append(0x20)
            } else if byte == UInt8(ascii: "%") {
                guard let high = bytes.next().flatMap(hexDigit), let low = bytes.next().flatMap(hexDigit)
                else {
                    return nil
                }
                out.append(high << 4 | low)
            } else {
                out.append(byte)
            }
        }
        return String(validating: out, as: UTF8.self)
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        case _: nil
        }
    }
}

/// The cookies of a request.
enum CookieText {
    static let fieldBytesMax = 32 << 10
    static let valueBytesMax = 4096

    /// Every value of the cookie `name`, in the order sent. Names are compared exactly: `__host-x` is another
    /// cookie, and one that browsers do not protect. Blanks before "=" are no part of a name and values have none at
    /// their ends, as reactors read them: what is doubled there is doubled here.
    ///
    /// Of fields that are longer than any browser's, none counts.
    static func values(of name: String, in fields: [String]) -> [String] {
        guard fields.reduce(0, { $0 + $1.utf8.count }) <= fieldBytesMax else { return [] }
        var found: [String] = []
        for field in fields {
            for pair in field.utf8.split(separator: UInt8(ascii: ";")) {
                let halves = pair.split(
                    separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
                guard halves.count == 2, trimmed(halves[0]).elementsEqual(name.utf8) else { continue }
                found.append(String(decoding: trimmed(halves[1]), as: UTF8.self))
            }
        }
        return found
    }

    private static func trimmed(_ text: Substring.UTF8View) -> Substring.UTF8View {
        var text = text
        while let first = text.first, first == 0x20 || first == 0x09 { text = text.dropFirst() }
        while let last = text.last, last == 0x20 || last == 0x09 { text = text.dropLast() }
        return text
    }

    /// A `Set-Cookie` value with the attributes that every cookie of ours has. `maxAgeSeconds` nil: until the
    /// browser ends; 0 removes the cookie.
    static func set(_ name: String, _ value: String, maxAgeSeconds: Int64?) -> String {
        let age = maxAgeSeconds.map { "; Max-Age=\($0)" } ?? ""
        return "\(name)=\(value); \(attributes)\(age)"
    }

    static let attributes = "Path=/; Secure; HttpOnly; SameSite=Lax"
}

/// Where somebody returns to after signing in: path and query on the application's own host.
enum ReturnTarget {
    /// Longer ones would not fit into `state`; the person lands on the application's root instead.
    static let bytesMax = 1_500

    /// `target` when it is a path on one's own host and nothing else, else `/`. A second slash or any backslash at
    /// the start would name another host in some browser (`//evil`, `/\evil`); a reserved path would send a person
    /// who signed in straight to signing out.
    static func checked(_ target: String) -> String {
        let bytes = Array(target.utf8)
        guard bytes.first == UInt8(ascii: "/"), bytes.count <= bytesMax,
            bytes.allSatisfy({
                (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "\\") && $0 != UInt8(ascii: "#")
            }),
            !bytes.starts(with: [0x2f, 0x2f]),
            !target.hasPrefix(ReservedPath.prefix) || FormPath.id(of: target) != nil
        else { return "/" }
        return target
    }
}
