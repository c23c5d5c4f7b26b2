import Access

/// The keys of `restrict` beyond methods and paths.
enum RestrictionLimits {
    static let bannerCharactersMax = 256
    static let valueBytesMax = 1_024
    private static let why = "the data plane does not enforce it yet"

    static let keys: [KeySpec] = [
        .optional(
            "downloads", .choice(["block"]), "Responses that a browser would save are refused.",
            standard: "allowed", example: "block"
        )
        .unenforced(because: why),
        .optional(
            "uploads", .choice(["block"]), "Requests that carry a file are refused.", standard: "allowed",
            example: "block"
        )
        .unenforced(because: why),
        .optional(
            "response-fields", .texts, "Fields that replace the application's own on every response.",
            standard: "none", example: "{ Content-Security-Policy: \"sandbox allow-scripts\" }"
        )
        .unenforced(because: why),
        .optional(
            "upstream-field", .texts, "One field for the application, so that it can limit itself.",
            standard: "none", example: "{ X-Access: partial }"
        )
        .unenforced(because: why),
        .optional(
            "banner", .text, "One sentence above every page; at most \(bannerCharactersMax) characters.",
            standard: "none", example: "\"Read-only: this device is not managed.\""
        )
        .unenforced(because: why),
    ]

    /// nil when something is wrong (reported).
    static func read(_ reader: SectionReader) -> [AccessLimit]? {
        var limits: [AccessLimit] = []
        if reader.choice("downloads") != nil { limits.append(.blocksDownloads) }
        if reader.choice("uploads") != nil { limits.append(.blocksUploads) }
        guard let responses = fields("response-fields", reader),
            let upstream = fields("upstream-field", reader)
        else { return nil }
        if upstream.count > 1 {
            reader.problem("upstream-field", "more than one of them", "keep one")
            return nil
        }
        limits += responses.map { .responseField(name: $0.0, value: $0.1) }
        limits += upstream.map { .upstreamField(name: $0.0, value: $0.1) }
        if let banner = reader.text("banner") {
            if banner.count > bannerCharactersMax {
                reader.problem(
                    "banner", "has \(banner.count) characters", "use at most \(bannerCharactersMax)")
                return nil
            }
            limits.append(.banner(banner))
        }
        return limits
    }

    private static func fields(_ key: String, _ reader: SectionReader) -> [(String, String)]? {
        guard let node = reader.node(key) else { return [] }
        guard case .mapping(let entries) = node.content, !entries.isEmpty else {
            reader.problem(key, "must be a mapping of fields to values", "write { X-Access: partial }")
            return nil
        }
        if entries.count > FieldsKey.fieldsMax {
            reader.problem(key, "more than \(FieldsKey.fieldsMax) of them", "remove some")
            return nil
        }
        let read = entries.compactMap { entry -> (String, String)? in
            let name = "\(key).\(entry.name)"
            let folded = FieldsKey.fold(entry.name)
            guard FieldsKey.isToken(entry.name), !folded.isEmpty, !FieldsKey.reserved.contains(folded) else {
                reader.problem(
                    name, at: entry.place, "is no field that can be set here", "choose another name")
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
}
