import Access

/// Conditions on clients that prove themselves without a person.
enum ClientConditions {
    static let keys: [KeySpec] = [
        ConditionSection.optional(
            "certificate", .section(table), "The connection proved such a client certificate.",
            "{ subjects: [scanner-7] }"
        ),
        ConditionSection.optional(
            "service", .oneOrMore(.text), "The client proved itself by one of these service tokens.",
            "[backup]"
        ),
    ]
    static let table = KeyTable(
        "applications.<name>.policies[].include[].certificate",
        [
            ConditionSection.optional("subjects", .oneOrMore(.text), "Common names.", "[scanner-7]"),
            ConditionSection.optional(
                "names", .oneOrMore(.text), "Alternative names, with their kind.",
                "[\"dns:scanner-7.corp.example\"]"),
            ConditionSection.optional(
                "issuers", .oneOrMore(.text), "SHA-256 of the issuing certificate, 64 hexadecimal digits.",
                "[9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08]"),
        ])

    static func read(_ name: String, _ reader: SectionReader) -> Condition? {
        switch name {
        case "certificate": certificate(reader)
        case "service": reader.texts(name).map { .service(ServiceCondition(names: $0)) }
        default: nil
        }
    }

    private static func certificate(_ reader: SectionReader) -> Condition? {
        guard let node = reader.node("certificate"),
            let inner = SectionReader(node, table, path: reader.key("certificate"), reader.context)
        else { return nil }
        if inner.presentNames.isEmpty {
            reader.problem("certificate", "asks nothing", "add subjects, names or issuers")
            return nil
        }
        let names = ConditionSection.checked(inner.texts("names")) { text in
            checked(
                text, "names", inner,
                ["dns:", "uri:", "email:"].contains { text.hasPrefix($0) && text != $0 },
                "begin with dns:, uri: or email:")
        }
        let issuers = ConditionSection.checked(inner.texts("issuers")) { text in
            checked(
                text.lowercased(), "issuers", inner, text.utf8.count == 64 && text.allSatisfy(\.isHexDigit),
                "write 64 hexadecimal digits")
        }
        guard names != nil || !inner.has("names"), issuers != nil || !inner.has("issuers") else { return nil }
        return .certificate(
            CertificateCondition(subjects: inner.texts("subjects"), names: names, issuerDigests: issuers))
    }

    private static func checked(
        _ text: String, _ key: String, _ reader: SectionReader, _ isFine: Bool, _ remedy: String
    ) -> String? {
        if isFine { return text }
        reader.problem(key, "\"\(text)\" cannot be compared", remedy)
        return nil
    }
}
