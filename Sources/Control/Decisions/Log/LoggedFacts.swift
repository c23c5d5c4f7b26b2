import Access
import JSON

extension CheckWarning {
    /// What a decision's line says of it.
    var logged: JSONValue {
        var members: [(String, JSONValue)] = [
            ("policy", .string(policy)), ("rule", .integer(Int64(rule))), ("condition", .string(condition)),
            ("outcome", .string(outcome.rawValue)), ("reason", .string(reason.rawValue)),
            ("effect", .string(effect.rawValue)),
        ]
        if let untilSeconds { members.append(("until", .integer(untilSeconds))) }
        return .object(JSONObject(members))
    }
}

extension TokenFacts {
    /// As in a line of the decision log.
    var logged: JSONValue {
        let claims = claims.sorted { $0.key < $1.key }.map { ($0.key, $0.value.logged) }
        return .object(
            JSONObject([
                ("issuer", .string(issuer)), ("subject", .string(subject)),
                ("claims", .object(JSONObject(claims))),
            ]))
    }

    /// nil when this is none of ours.
    init?(logged value: JSONValue) {
        guard let issuer = value["issuer"]?.string, let subject = value["subject"]?.string,
            let members = value["claims"]?.object?.members
        else { return nil }
        var claims: [String: ClaimValue] = [:]
        for (name, value) in members {
            guard let claim = ClaimValue(logged: value), claims.updateValue(claim, forKey: name) == nil else {
                return nil
            }
        }
        self.init(issuer: issuer, subject: subject, claims: claims)
    }
}

extension ClaimValue {
    fileprivate var logged: JSONValue {
        switch self {
        case .text(let text): .string(text)
        case .list(let texts): .array(texts.map { .string($0) })
        case .flag(let flag): .bool(flag)
        case .integer(let number): .integer(number)
        }
    }

    fileprivate init?(logged value: JSONValue) {
        switch value {
        case .string(let text): self = .text(text)
        case .bool(let flag): self = .flag(flag)
        case .integer(let number): self = .integer(number)
        case .array(let values):
            let texts = values.compactMap(\.string)
            guard texts.count == values.count else { return nil }
            self = .list(texts)
        case .null, .number, .object: return nil
        }
    }
}

extension Verdict.Provenance {
    /// Which call it was, for a line of JSON.
    var members: [(String, JSONValue)] {
        [("endpoint", .string(endpoint))] + (requestID.map { [("request_id", .string($0))] } ?? [])
    }

    /// The same with how it came.
    var json: JSONValue {
        .object(JSONObject([("transport", .string(transport.rawValue))] + members))
    }
}
