import COpenSSL

/// The name of a certificate's subject or issuer, for comparing with how somebody else writes it. Order and case do not
/// count: it finds one of our own authorities among few, and decides nothing alone.
public struct DistinguishedName: Sendable, Hashable {
    static let textBytesMax = 1_024

    /// `type=value`, folded.
    private let parts: Set<String>

    /// Reads `CN=Devices,O=Corp` (RFC 4514) or `/O=Corp/CN=Devices`; nil for what is neither, and for an empty name.
    public init?(_ text: String) {
        guard (1...Self.textBytesMax).contains(text.utf8.count) else { return nil }
        var parts: Set<String> = []
        for part in Self.split(text) {
            guard let sign = part.firstIndex(of: "=") else { return nil }
            let type = Self.trimmed(part[..<sign])
            let value = Self.trimmed(part[part.index(after: sign)...].replacing("\\", with: ""))
            guard !type.isEmpty, !value.isEmpty else { return nil }
            parts.insert("\(type)=\(value)")
        }
        guard !parts.isEmpty else { return nil }
        self.parts = parts
    }

    /// At the separators that no backslash stands before.
    private static func split(_ text: String) -> [String] {
        let isSlashed = text.hasPrefix("/")
        var parts = [""]
        var isEscaped = false
        for character in isSlashed ? text.dropFirst() : Substring(text) {
            let isSeparator = isSlashed ? character == "/" : character == "," || character == "+"
            if isSeparator, !isEscaped {
                parts.append("")
            } else {
                parts[parts.count - 1].append(character)
            }
            isEscaped = character == "\\" && !isEscaped
        }
        return parts
    }

    private static func trimmed(_ text: some StringProtocol) -> String {
        var rest = Substring(text)
        while rest.first == " " { rest.removeFirst() }
        while rest.last == " " { rest.removeLast() }
        return rest.lowercased()
    }
}

extension Certificate {
    /// The subject's name; nil when it has none that can be compared.
    public var subjectName: DistinguishedName? {
        guard let handle = try? CertificateHandle(der: der) else { return nil }
        defer { withExtendedLifetime(handle) {} }
        var text = [CChar](repeating: 0, count: DistinguishedName.textBytesMax)
        guard let name = X509_get_subject_name(handle.raw),
            X509_NAME_oneline(name, &text, CInt(text.count)) != nil
        else { return nil }
        let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return DistinguishedName(String(decoding: bytes, as: UTF8.self))
    }
}
