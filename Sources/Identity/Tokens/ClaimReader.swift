import Access
import JSON

/// Reduces a provider's claims to what policy can compare.
///
/// Bounds refuse and never cut: with half of the groups, a rule that excludes a group would let somebody through.
struct ClaimReader {
    var claims: JSONObject
    /// Only an address that the provider says to be verified counts.
    var demandsVerifiedEmail = false

    static let subjectBytesMax = 255
    static let groupsMax = 2_000
    static let claimsMax = 128
    static let textBytesMax = 4_096
    static let nameBytesMax = 128
    /// The claim with which Entra says that there are groups which the token does not hold. While it is true, nothing
    /// is known about any group.
    static let unknownGroupsClaim = "hasgroups"
    /// Names of ours: a provider cannot set them.
    static let ownPrefix = "gatepost"

    /// Claims about the token, not about the person.
    private static let protocolClaims: Set<String> = [
        "iss", "sub", "aud", "exp", "iat", "nbf", "nonce", "at_hash", "c_hash", "azp", "auth_time", "jti",
        "groups",
        "email", "name",
    ]

    func person(issuer: String, authenticatedAtSeconds: Int64) throws(IdentityError) -> PersonFacts {
        PersonFacts(
            issuer: issuer, subject: try subject(), email: try email(), name: name(), groups: try groups(),
            claims: try otherClaims(), authenticatedAtSeconds: authenticatedAtSeconds)
    }

    func subject() throws(IdentityError) -> String {
        guard let subject = claims["sub"]?.string, (1...Self.subjectBytesMax).contains(subject.utf8.count),
            subject.utf8.allSatisfy({ (0x20...0x7e).contains($0) })
        else {
            throw IdentityError(.tokenInvalid, "sub is not 1 to \(Self.subjectBytesMax) ASCII characters")
        }
        return subject
    }

    /// The address, lower-cased, unless the provider says that nobody verified it. Many providers say nothing about
    /// verification; such an address counts, unless a verified one is demanded, and the claim `email_verified` then
    /// reads `absent`.
    func email() throws(IdentityError) -> String? {
        guard let value = claims["email"], !value.isNull, value != "" else { return nil }
        guard let text = value.string else { throw IdentityError(.tokenInvalid, "email is no text") }
        let said = [claims["email_verified"], claims["xms_edov"]].compactMap { $0 }
        guard said.allSatisfy(isConfirmed), !said.isEmpty || !demandsVerifiedEmail else { return nil }
        return Self.address(text)
    }

    /// false, "false", 0 and "0" are all in use; what is neither yes nor no is no.
    private func isConfirmed(_ value: JSONValue) -> Bool {
        value == true || value == "true" || value == 1 || value == "1"
    }

    /// One mailbox in the form that is compared; nil for what is none.
    static func address(_ text: String) -> String? {
        let bytes = Array(text.utf8)
        let ats = bytes.indices.filter { bytes[$0] == UInt8(ascii: "@") }
        // Two "@" have two readings of the domain.
        guard ats.count == 1, let at = ats.first, at > 0, at < bytes.count - 1, bytes.count <= 254,
            bytes.allSatisfy({ $0 > 0x20 && $0 != 0x7f })
        else { return nil }
        return EmailAddress.folded(text)
    }

    func name() -> String? {
        let text = claims["name"]?.string ?? claims["preferred_username"]?.string
        guard let text, !text.isEmpty, text.utf8.count <= 256,
            text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f })
        else { return nil }
        return text
    }

    func groups() throws(IdentityError) -> [String] {
        switch claims["groups"] {
        case nil, .null:
            return []
        case .string(let one):
            return one.isEmpty ? [] : [one]
        case .array(let several):
            let names = several.compactMap(\.string)
            guard names.count == several.count, names.count <= Self.groupsMax,
                names.allSatisfy({ $0.utf8.count <= Self.textBytesMax })
            else { throw IdentityError(.tokenInvalid, "groups: not texts, or more than \(Self.groupsMax)") }
            return names
        case .bool, .integer, .number, .object:
            throw IdentityError(.tokenInvalid, "groups is no list")
        }
    }

    func otherClaims() throws(IdentityError) -> [String: ClaimValue] {
        var found: [String: ClaimValue] = [:]
        for (name, value) in claims.members where !Self.protocolClaims.contains(name) {
            guard name.utf8.count <= Self.nameBytesMax else {
                throw IdentityError(.tokenInvalid, "a claim's name is longer than \(Self.nameBytesMax) bytes")
            }
            if name.hasPrefix(Self.ownPrefix) { continue }
            guard let claim = try reduced(value) else { continue }
            // Two names that are one to a dictionary (composed and decomposed letters): which of them policy
            // asks for could not be told.
            guard found.updateValue(claim, forKey: name) == nil else {
                throw IdentityError(.tokenInvalid, "two claims have canonically equivalent names")
            }
        }
        guard found.count <= Self.claimsMax else {
            throw IdentityError(.tokenInvalid, "more than \(Self.claimsMax) claims")
        }
        if claims["email"]?.string != nil, claims["email_verified"] == nil {
            found["email_verified"] = .text("absent")
        }
        // Entra leaves out groups beyond 200 and says so in one of two ways; policy may ask for this.
        if namesHiddenGroups { found[Self.unknownGroupsClaim] = .flag(true) }
        return found
    }

    /// nil for what policy has no comparison for: null, objects, mixed lists, fractions.
    func reduced(_ value: JSONValue) throws(IdentityError) -> ClaimValue? {
        switch value {
        case .string(let text):
            guard text.utf8.count <= Self.textBytesMax else {
                throw IdentityError(.tokenInvalid, "a claim is longer than \(Self.textBytesMax) bytes")
            }
            return .text(text)
        case .bool(let flag): return .flag(flag)
        case .integer, .number: return value.integer.map { .integer($0) }
        case .array(let values):
            let texts = values.compactMap(\.string)
            guard texts.count == values.count else { return nil }
            guard texts.count <= Self.groupsMax, texts.allSatisfy({ $0.utf8.count <= Self.textBytesMax })
            else {
                throw IdentityError(.tokenInvalid, "a claim has more than \(Self.groupsMax) values")
            }
            return .list(texts)
        case .null, .object: return nil
        }
    }
}
