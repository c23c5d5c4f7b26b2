/// `applications.<name>.request-fields` and `response-fields`: what is set and removed in every message.
enum FieldChangesKey {
    /// The direction of the messages.
    enum Direction: String { case request, response }

    private static func table(_ direction: Direction) -> KeyTable {
        KeyTable(
            "applications.<name>.\(direction.rawValue)-fields",
            [
                .optional(
                    "set", .texts,
                    "Fields and their values, in the place of whatever was sent under that name. There are no "
                        + "variables.",
                    standard: "none",
                    example: direction == .request ? "{ X-Tenant: corp }" : "{ X-Frame-Options: DENY }"),
                .optional(
                    "remove", .list(.text), "Fields that go no further.", standard: "none",
                    example: direction == .request ? "[Authorization]" : "[Server, X-Powered-By]"),
            ])
    }

    private static let tables = [Direction.request: table(.request), .response: table(.response)]

    static let keys: [KeySpec] = [
        .optional(
            "request-fields", .section(table(.request)),
            "What every request to the application carries or lacks.",
            standard: "as clients send it", example: "{ set: { X-Tenant: corp } }"),
        .optional(
            "response-fields", .section(table(.response)),
            "What every answer of the application carries or lacks.",
            standard: "as the application sends it", example: "{ remove: [Server] }"),
    ]

    /// What frames messages, ends at each hop, opens WebSockets, or is written by the gateway alone; folded.
    private static let structural: Set<String> = [
        "host", "connection", "contentlength", "transferencoding", "te", "trailer", "upgrade", "keepalive",
        "expect",
        "http2settings", "traceparent", "date", "forwarded", "xrealip", "location", "contenttype",
        "contentencoding",
        "contentrange", "setcookie",
    ]
    private static let structuralPrefixes = [
        "gatepost", "proxy", "xforwarded", "secwebsocket", "accesscontrol",
    ]

    /// - Parameter identity: names that tell the application who somebody is; folded.
    static func read(
        _ direction: Direction, _ application: SectionReader, identity: Set<String>
    ) -> FieldChangeSettings {
        let name = "\(direction.rawValue)-fields"
        guard let node = application.node(name), let table = tables[direction],
            let reader = SectionReader(node, table, path: application.key(name), application.context)
        else { return FieldChangeSettings() }
        if !reader.has("set"), !reader.has("remove") {
            application.problem(name, "changes nothing", "remove it, or name fields under set or remove")
        }
        var seen: Set<String> = []
        var settings = FieldChangeSettings()
        settings.set = set(reader, direction, identity, &seen)
        settings.removed = removed(reader, direction, identity, &seen)
        if seen.count > FieldsKey.fieldsMax {
            application.problem(name, "names more than \(FieldsKey.fieldsMax) fields", "remove some")
        }
        return settings
    }

    private static func set(
        _ reader: SectionReader, _ direction: Direction, _ identity: Set<String>, _ seen: inout Set<String>
    ) -> [FieldChangeSettings.Line] {
        guard let node = reader.node("set") else { return [] }
        guard case .mapping(let entries) = node.content, !entries.isEmpty else {
            reader.problem("set", "must be a mapping of fields to values", "write { X-Tenant: corp }")
            return []
        }
        var lines: [FieldChangeSettings.Line] = []
        for entry in entries {
            let key = "set.\(entry.name)"
            let isReserved = FieldsKey.reserved.contains(FieldsKey.fold(entry.name))
            guard isFree(entry.name, key, entry.place, reader, identity, &seen, isReserved: isReserved),
                let value = reader.scalar(entry.value, key)?.text
            else { continue }
            guard value.utf8.count <= RestrictionLimits.valueBytesMax,
                value.utf8.allSatisfy({ (0x20...0x7e).contains($0) }), value.first != " ", value.last != " "
            else {
                reader.problem(
                    key, at: entry.place, "has bytes that no field value has, or too many",
                    "use at most \(RestrictionLimits.valueBytesMax) printable ASCII characters")
                continue
            }
            lines.append(.init(name: entry.name, value: value))
        }
        return lines
    }

    private static func removed(
        _ reader: SectionReader, _ direction: Direction, _ identity: Set<String>, _ seen: inout Set<String>
    ) -> [String] {
        guard let texts = reader.texts("remove") else { return [] }
        var names: [String] = []
        for name in texts
        where isFree(name, "remove", reader.place(of: "remove"), reader, identity, &seen, isReserved: false) {
            names.append(name)
        }
        return names
    }

    private static func isFree(
        _ name: String, _ key: String, _ place: Place, _ reader: SectionReader, _ identity: Set<String>,
        _ seen: inout Set<String>, isReserved: Bool
    ) -> Bool {
        let folded = FieldsKey.fold(name)
        guard FieldsKey.isToken(name), !folded.isEmpty else {
            reader.problem(
                key, at: place, "\"\(name)\" is not a field name", "use letters, digits and hyphens")
            return false
        }
        if isReserved || structural.contains(folded) || identity.contains(folded)
            || structuralPrefixes.contains(where: folded.hasPrefix)
        {
            reader.problem(
                key, at: place, "\(name) frames messages, says who somebody is, or is the gateway's own",
                "choose another field")
            return false
        }
        guard seen.insert(folded).inserted else {
            reader.problem(
                key, at: place, "\(name) is named already under this or another spelling", "keep one")
            return false
        }
        return true
    }
}
