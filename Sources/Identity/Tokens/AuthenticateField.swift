/// One challenge of a `WWW-Authenticate` field (RFC 9110 §11.6.1).
struct AuthenticateChallenge: Equatable {
    /// As it was sent; case does not matter.
    var scheme: String
    /// Names in lower case. Empty for a challenge in the form of a token68.
    var parameters: [(name: String, value: String)] = []

    static func == (left: Self, right: Self) -> Bool {
        left.scheme.utf8.elementsEqual(right.scheme.utf8)
            && left.parameters.elementsEqual(right.parameters) {
                $0.name.utf8.elementsEqual($1.name.utf8) && $0.value.utf8.elementsEqual($1.value.utf8)
            }
    }

    func isScheme(_ name: String) -> Bool { scheme.lowercased().utf8.elementsEqual(name.utf8) }

    /// The value of a parameter; `name` in lower case.
    subscript(name: String) -> String? {
        parameters.first { $0.name.utf8.elementsEqual(name.utf8) }?.value
    }
}

/// Reads the challenges of a 401. What breaks the grammar makes all of it unreadable: after a quote that does
/// not end, nothing says what is a name and what is a value.
struct AuthenticateField {
    static let bytesMax = 8 << 10
    static let challengesMax = 16
    static let parametersMax = 16

    private var bytes: ArraySlice<UInt8>

    /// Every challenge of every field, in order; nil when one of them is malformed, names a parameter twice,
    /// or there are too many.
    static func challenges(in fields: [String]) -> [AuthenticateChallenge]? {
        guard fields.reduce(0, { $0 + $1.utf8.count }) <= bytesMax else { return nil }
        var all: [AuthenticateChallenge] = []
        for field in fields {
            var reader = AuthenticateField(bytes: Array(field.utf8)[...])
            guard let found = reader.read() else { return nil }
            all += found
            guard all.count <= challengesMax else { return nil }
        }
        return all
    }

    /// A list whose elements are challenges and the further parameters of the one before: both are separated
    /// by commas, and what follows a word tells them apart.
    private mutating func read() -> [AuthenticateChallenge]? {
        var found: [AuthenticateChallenge] = []
        while true {
            // RFC 9110 §5.6.1.2: recipients read past empty elements.
            while skipBlanks() || take(UInt8(ascii: ",")) {}
            guard !bytes.isEmpty else { return found }
            guard let word = token() else { return nil }
            let blanks = skipBlanks()
            if let last = found.indices.last, isParameterNext {
                guard parameter(word, into: &found[last]) else { return nil }
            } else {
                guard found.count < Self.challengesMax else { return nil }
                found.append(AuthenticateChallenge(scheme: word))
                if blanks, !first(of: &found[found.count - 1]) { return nil }
            }
            skipBlanks()
            guard bytes.isEmpty || bytes.first == UInt8(ascii: ",") else { return nil }
        }
    }

    /// What follows a scheme and a blank: nothing, a parameter or a token68.
    private mutating func first(of challenge: inout AuthenticateChallenge) -> Bool {
        guard let next = bytes.first, next != UInt8(ascii: ",") else { return true }
        let start = bytes
        if let name = token() {
            skipBlanks()
            if isParameterNext { return parameter(name, into: &challenge) }
        }
        bytes = start
        let text = bytes.prefix { Self.isToken68($0) }
        bytes = bytes[text.endIndex...].drop { $0 == UInt8(ascii: "=") }
        return !text.isEmpty
    }

    /// "=" and a value. A token68 may end with "=", but nothing follows it there.
    private var isParameterNext: Bool {
        guard bytes.first == UInt8(ascii: "=") else { return false }
        let rest = bytes.dropFirst().drop { $0 == 0x20 || $0 == 0x09 }
        return rest.first.map { $0 == UInt8(ascii: "\"") || Self.isTokenByte($0) } ?? false
    }

    private mutating func parameter(_ name: String, into challenge: inout AuthenticateChallenge) -> Bool {
        guard take(UInt8(ascii: "=")) else { return false }
        skipBlanks()
        let name = name.lowercased()
        guard let value = bytes.first == UInt8(ascii: "\"") ? quoted() : token(), challenge[name] == nil,
            challenge.parameters.count < Self.parametersMax
        else { return false }
        challenge.parameters.append((name, value))
        return true
    }

    private mutating func token() -> String? {
        let text = bytes.prefix { Self.isTokenByte($0) }
        bytes = bytes[text.endIndex...]
        return text.isEmpty ? nil : String(decoding: text, as: UTF8.self)
    }

    /// RFC 9110 §5.6.4.
    private mutating func quoted() -> String? {
        bytes = bytes.dropFirst()
        var value: [UInt8] = []
        while let byte = bytes.popFirst() {
            switch byte {
            case UInt8(ascii: "\""): return String(validating: value, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let escaped = bytes.popFirst(), Self.isText(escaped) else { return nil }
                value.append(escaped)
            case _:
                guard Self.isText(byte) else { return nil }
                value.append(byte)
            }
        }
        return nil
    }

    @discardableResult
    private mutating func skipBlanks() -> Bool {
        let count = bytes.count
        bytes = bytes.drop { $0 == 0x20 || $0 == 0x09 }
        return bytes.count < count
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard bytes.first == byte else { return false }
        bytes = bytes.dropFirst()
        return true
    }

    private static func isText(_ byte: UInt8) -> Bool { byte == 0x09 || (byte >= 0x20 && byte != 0x7f) }

    /// RFC 9110 §5.6.2.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
        case 0x21, 0x23...0x27, 0x2a, 0x2b, 0x2d, 0x2e, 0x5e...0x60, 0x7c, 0x7e: true
        case _: false
        }
    }

    /// RFC 9110 §11.2, without the "=" at its end.
    private static func isToken68(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2b, 0x2d...0x2f, 0x5f, 0x7e: true
        case _: false
        }
    }
}
