/// `applications.<name>.origins`.
enum OriginsKey {
    static func read(_ reader: SectionReader) -> [String] {
        guard let texts = reader.texts("origins") else { return [] }
        return texts.filter { (text: String) -> Bool in
            do throws(Quantity.Refusal) {
                let url = try PlainURL(text)
                guard url.path.isEmpty else {
                    reader.problem("origins", "\"\(text)\" has a path", "write scheme, host and port only")
                    return false
                }
                guard url.isTLS else {
                    // A page that came over plain HTTP may be anybody's.
                    reader.problem("origins", "\"\(text)\" is plain HTTP", "use https://")
                    return false
                }
                guard url.explicitPort != 443 else {
                    reader.problem(
                        "origins", "\"\(text)\" names the default port", "browsers leave :443 out; do too")
                    return false
                }
                return true
            } catch {
                reader.problem("origins", error.problem, error.remedy)
                return false
            }
        }
    }
}

/// `applications.<name>.fields`.
enum FieldsKey {
    static let fieldsMax = 32
    /// Fields that mean something to HTTP, to browsers or to the gateway itself; folded.
    static let reserved: Set<String> = [
        "host", "connection", "contentlength", "contenttype", "transferencoding", "te", "trailer", "upgrade",
        "keepalive", "proxyconnection", "cookie", "setcookie", "authorization", "origin", "referer", "expect",
        "gatepostassertion", "traceparent", "tracestate", "forwarded", "xforwardedfor", "xforwardedhost",
        "xforwardedproto",
    ]

    static func read(_ reader: SectionReader) -> [FieldSettings] {
        guard let node = reader.node("fields") else { return [] }
        guard case .mapping(let entries) = node.content, !entries.isEmpty else {
            reader.problem(
                "fields", "must be a mapping of fields to claims", "write { X-Remote-User: email }")
            return []
        }
        if entries.count > fieldsMax {
            reader.problem("fields", "more than \(fieldsMax) of them", "remove some")
        }
        var seen: [String: String] = [:]
        return entries.compactMap { entry in
            let name = "fields.\(entry.name)"
            let folded = fold(entry.name)
            guard isToken(entry.name), !folded.isEmpty else {
                reader.problem(
                    name, at: entry.place, "is not a field name", "use letters, digits and hyphens")
                return nil
            }
            if reserved.contains(folded) {
                reader.problem(
                    name, at: entry.place, "is a field with a meaning of its own", "choose another name")
                return nil
            }
            if let other = seen[folded] {
                reader.problem(
                    name, at: entry.place, "is the same field as \(other) to many servers", "keep one of them"
                )
                return nil
            }
            seen[folded] = entry.name
            guard let claim = reader.scalar(entry.value, name)?.text else { return nil }
            return FieldSettings(field: entry.name, claim: claim)
        }
    }

    /// Case and punctuation left out, as servers do that hand fields on as variables (`X_User` is `X-User`).
    static func fold(_ name: String) -> String {
        String(
            name.lowercased().unicodeScalars.filter { $0.properties.isAlphabetic || ("0"..."9").contains($0) }
        )
    }

    static func isToken(_ name: String) -> Bool {
        (1...128).contains(name.utf8.count)
            && name.utf8.allSatisfy {
                (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == 45
            }
    }
}
