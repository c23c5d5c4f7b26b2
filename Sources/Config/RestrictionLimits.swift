import Access

/// The keys of `restrict` beyond methods and paths.
enum RestrictionLimits {
    static let bannerCharactersMax = 256
    static let valueBytesMax = 1_024

    static let keys: [KeySpec] = [
        .optional(
            "downloads", .choice(["block"]),
            "Responses that a browser would save are refused, and WebSockets, through which files can come.",
            standard: "allowed", example: "block"
        ),
        .optional(
            "uploads", .choice(["block"]),
            "Requests that carry a file are refused, and WebSockets, through which files can go.",
            standard: "allowed", example: "block"
        ),
        .optional(
            "response-fields", .texts, "Fields that replace the application's own on every response.",
            standard: "none", example: "{ Content-Security-Policy: \"sandbox allow-scripts\" }"
        ),
        .optional(
            "upstream-field", .texts,
            "One field for the application, so that it can limit itself; clients can never send it.",
            standard: "none", example: "{ X-Access: partial }"
        ),
        .optional(
            "banner", .text,
            "One sentence above the application's HTML pages; at most \(bannerCharactersMax) characters.",
            standard: "none", example: "\"Read-only: this device is not managed.\""
        ),
    ]

    /// nil when something is wrong (reported).
    static func read(_ reader: SectionReader) -> [AccessLimit]? {
        var limits: [AccessLimit] = []
        if reader.choice("downloads") != nil { limits.append(.blocksDownloads) }
        if reader.choice("uploads") != nil { limits.append(.blocksUploads) }
        guard let responses = fields("response-fields", reader, refusing: ofResponses),
            let upstream = fields("upstream-field", reader, refusing: ofRequests)
        else { return nil }
        if upstream.count > 1 {
            reader.problem("upstream-field", "more than one of them", "keep one")
            return nil
        }
        limits += responses.map { .responseField(name: $0.0, value: $0.1) }
        limits += upstream.map { .upstreamField(name: $0.0, value: $0.1) }
        if let banner = reader.text("banner") {
            guard isBanner(banner, reader) else { return nil }
            limits.append(.banner(banner))
        }
        return limits
    }

    /// Scalars, not what people see as one character: any number of marks may stand over a single letter.
    private static func isBanner(_ text: String, _ reader: SectionReader) -> Bool {
        let scalars = text.unicodeScalars
        if scalars.count > bannerCharactersMax {
            reader.problem(
                "banner", "has \(scalars.count) characters", "use at most \(bannerCharactersMax)")
            return false
        }
        let isReadable = scalars.contains { !$0.properties.isWhitespace }
        let hasControls = scalars.contains { $0.properties.generalCategory == .control }
        if !isReadable || hasControls {
            reader.problem(
                "banner", "is no sentence on one line", "write one sentence without control characters")
            return false
        }
        return true
    }

    /// What the gateway says of the answer itself; folded. A name that begins with `gatepost` or `proxy` is
    /// refused in both directions.
    private static let ofResponses: Set<String> = ["contentencoding", "contentrange", "date"]
    /// What the gateway asks for or says of the client itself; folded.
    private static let ofRequests: Set<String> = [
        "acceptencoding", "ifnonematch", "ifmodifiedsince", "range", "contentencoding", "xrealip",
        "xforwardedport",
    ]

    private static func isRefused(_ folded: String, _ others: Set<String>) -> Bool {
        FieldsKey.reserved.contains(folded) || others.contains(folded) || folded.hasPrefix("gatepost")
            || folded.hasPrefix("proxy")
    }

    private static func fields(
        _ key: String, _ reader: SectionReader, refusing others: Set<String>
    ) -> [(String, String)]? {
        guard let node = reader.node(key) else { return [] }
        guard case .mapping(let entries) = node.content, !entries.isEmpty else {
            reader.problem(key, "must be a mapping of fields to values", "write { X-Access: partial }")
            return nil
        }
        if entries.count > FieldsKey.fieldsMax {
            reader.problem(key, "more than \(FieldsKey.fieldsMax) of them", "remove some")
            return nil
        }
        var seen: Set<String> = []
        let read = entries.compactMap { entry -> (String, String)? in
            let name = "\(key).\(entry.name)"
            let folded = FieldsKey.fold(entry.name)
            guard FieldsKey.isToken(entry.name), !folded.isEmpty, !isRefused(folded, others) else {
                reader.problem(
                    name, at: entry.place, "is no field that can be set here", "choose another name")
                return nil
            }
            guard seen.insert(folded).inserted else {
                reader.problem(name, at: entry.place, "is set already under another spelling", "keep one")
                return nil
            }
            guard let value = reader.scalar(entry.value, name)?.text else { return nil }
            guard value.utf8.count <= valueBytesMax, value.utf8.allSatisfy({ (0x20...0x7e).contains($0) })
            else {
                reader.problem(
                    name, at: entry.place, "has bytes that no field value has, or too many",
                    "use at most \(valueBytesMax) printable ASCII characters")
                return nil
            }
            return (entry.name, value)
        }
        return read.count == entries.count ? read : nil
    }

    /// A field that tells the application who somebody is cannot tell it something else as well.
    static func check(
        _ policies: [ApplicationPolicy], against fields: [FieldSettings], _ application: SectionReader
    ) {
        let identity = Set(fields.map { FieldsKey.fold($0.field) })
        for policy in policies {
            for field in policy.restriction?.upstreamFields ?? []
            where identity.contains(FieldsKey.fold(field.name)) {
                application.problem(
                    "policies", "policy \(policy.name) sets \(field.name), which fields sets already",
                    "choose another name for upstream-field")
            }
        }
    }
}
