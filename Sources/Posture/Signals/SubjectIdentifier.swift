import Access
import JSON

/// Who or what an event is about (RFC 9493, Shared Signals 1.0 §3).
enum SubjectIdentifier: Sendable, Hashable {
    case simple(SimpleSubject)
    /// Several names of the same thing; never nested.
    case aliases([SimpleSubject])
    /// Members by name (`user`, `device`, `session`, `tenant`, …); meant is what all of them name.
    case complex([String: [SimpleSubject]])
}

/// An identifier of one format.
enum SimpleSubject: Sendable, Hashable {
    case account(uri: String)
    case email(String)
    case issuerSubject(issuer: String, subject: String)
    case opaque(String)
    case tokenID(issuer: String, id: String)
    /// A format that names nothing we know: `phone_number`, `did`, `uri`, `saml_assertion_id`,
    /// `ip-addresses`, others.
    case other(format: String)
}

extension SubjectIdentifier {
    static let aliasesMax = 16
    static let membersMax = 16
    static let textBytesMax = 1_024

    /// Reads `sub_id`.
    ///
    /// - Parameter isDraft: `subject` of an implementer's draft: a complex subject has no `format`, and
    ///   `iss_sub` was once `iss-sub`.
    /// - Throws: `invalid_request` for a format without its members, for nesting, and beyond the bounds.
    init(_ object: JSONObject, isDraft: Bool = false) throws(SignalRefusal) {
        let named = object["format"]?.string ?? (isDraft ? object["subject_type"]?.string : nil)
        let format = named ?? (isDraft ? "complex" : "")
        switch format {
        case "": throw SignalRefusal(.invalidRequest, "sub_id has no format")
        case "aliases": self = .aliases(try Self.aliases(object, isDraft))
        case "complex": self = .complex(try Self.members(object, isDraft))
        case _: self = .simple(try SimpleSubject(object, format: format))
        }
    }

    private static func aliases(
        _ object: JSONObject, _ isDraft: Bool
    ) throws(SignalRefusal) -> [SimpleSubject] {
        guard let list = object["identifiers"]?.array, (1...aliasesMax).contains(list.count) else {
            throw SignalRefusal(.invalidRequest, "aliases has no identifiers, or more than \(aliasesMax)")
        }
        var found: [SimpleSubject] = []
        for value in list {
            guard let object = value.object, let format = object["format"]?.string,
                format != "aliases", format != "complex"
            else {
                throw SignalRefusal(.invalidRequest, "an identifier of aliases is nested or has no format")
            }
            found.append(try SimpleSubject(object, format: format))
        }
        return found
    }

    private static func members(
        _ object: JSONObject, _ isDraft: Bool
    ) throws(SignalRefusal) -> [String: [SimpleSubject]] {
        var found: [String: [SimpleSubject]] = [:]
        for (name, value) in object.members where name != "format" && name != "subject_type" {
            // Members that are no subjects are unknown extensions, and those are ignored.
            guard let member = value.object else { continue }
            switch try SubjectIdentifier(member, isDraft: isDraft) {
            case .simple(let subject): found[name] = [subject]
            case .aliases(let subjects): found[name] = subjects
            case .complex: throw SignalRefusal(.invalidRequest, "a complex subject is nested")
            }
        }
        guard (1...membersMax).contains(found.count) else {
            throw SignalRefusal(
                .invalidRequest, "a complex subject has no member, or more than \(membersMax)")
        }
        return found
    }
}

extension SimpleSubject {
    fileprivate init(_ object: JSONObject, format: String) throws(SignalRefusal) {
        func text(_ name: String) throws(SignalRefusal) -> String {
            guard let text = object[name]?.string,
                (1...SubjectIdentifier.textBytesMax).contains(text.utf8.count)
            else { throw SignalRefusal(.invalidRequest, "a subject of format \(format) lacks \(name)") }
            return text
        }
        switch format {
        case "account": self = .account(uri: try text("uri"))
        case "email": self = .email(try text("email"))
        case "iss_sub", "iss-sub": self = .issuerSubject(issuer: try text("iss"), subject: try text("sub"))
        case "opaque": self = .opaque(try text("id"))
        case "jwt_id", "jwt-id": self = .tokenID(issuer: try text("iss"), id: try text("jti"))
        case _:
            guard format.utf8.count <= 64 else { throw SignalRefusal(.invalidRequest, "format is too long") }
            self = .other(format: format)
        }
    }
}
