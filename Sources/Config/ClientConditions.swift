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
        ConditionSection.optional(
            "token", .section(tokenTable), "The client proved itself by such a bearer token.",
            "{ issuer: ci, subjects: [\"repo:corp/wiki:ref:refs/heads/main\"] }"),
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

    static let tokenTable = KeyTable(
        "applications.<name>.policies[].include[].token",
        [
            .required("issuer", .text, "One of `token-issuers`.", example: "ci"),
            ConditionSection.optional(
                "subjects", .oneOrMore(.text), "The token's subject is one of these, exactly.",
                "[\"repo:corp/wiki:ref:refs/heads/main\"]"),
            ConditionSection.optional(
                "claims", .facts,
                "For each name of the issuer's `claims`: the token's value is one of these, or its list holds one.",
                "{ environment: [production] }"),
        ])

    static func read(_ name: String, _ reader: SectionReader) -> Condition? {
        switch name {
        case "certificate": certificate(reader)
        case "service": services(reader).map { .service(ServiceCondition(names: $0)) }
        case "token": token(reader).map { .token($0) }
        default: nil
        }
    }

    /// Service tokens only: what a certificate or a bearer token is called has a colon, and conditions of its own.
    private static func services(_ reader: SectionReader) -> [String]? {
        ConditionSection.checked(reader.texts("service")) { text in
            let isName =
                (1...64).contains(text.utf8.count)
                && text.utf8.allSatisfy { byte in
                    (0x30...0x39).contains(byte) || (0x61...0x7a).contains(byte)
                        || [0x2d, 0x2e, 0x5f].contains(byte)
                }
            return checked(text, "service", reader, isName, "write a name of gatepost service-token create")
        }
    }

    private static func token(_ reader: SectionReader) -> TokenCondition? {
        guard let inner = reader.section("token", tokenTable),
            let issuer = inner.text("issuer")
        else { return nil }
        let issuers = reader.context.names.tokenClaims
        guard let known = issuers[issuer] else {
            inner.problem(
                "issuer", "no token issuer is named \(issuer)",
                nearest(issuer, Array(issuers.keys), otherwise: "add it under token-issuers"))
            return nil
        }
        guard let claims = claims(inner, known) else { return nil }
        let subjects = inner.texts("subjects")
        guard subjects != nil || !inner.has("subjects") else { return nil }
        return TokenCondition(issuer: issuer, subjects: subjects, claims: claims)
    }

    /// nil when one is wrong: a condition that lost a claim must not be used.
    private static func claims(_ reader: SectionReader, _ known: [String]) -> [ClaimCondition]? {
        guard let node = reader.node("claims") else { return [] }
        guard case .mapping(let entries) = node.content, !entries.isEmpty else {
            reader.problem(
                "claims", "must be a mapping of claims to values", "write { environment: [production] }")
            return nil
        }
        let claims = entries.compactMap { entry -> ClaimCondition? in
            guard known.contains(entry.name) else {
                reader.problem(
                    "claims.\(entry.name)", at: entry.place, "is not among the issuer's claims",
                    nearest(entry.name, known, otherwise: "add it to claims of the token issuer"))
                return nil
            }
            let values = ClaimValues.read(entry.value, reader, "claims.\(entry.name)")
            return values.isEmpty ? nil : ClaimCondition(name: entry.name, values: values)
        }
        return claims.count == entries.count ? claims.sorted { $0.name < $1.name } : nil
    }

    private static func nearest(_ name: String, _ known: [String], otherwise: String) -> String {
        if known.isEmpty { return otherwise }
        let nearest = NearestName.of(name, among: known).map { "did you mean \($0)? " } ?? ""
        return "\(nearest)name one of \(known.sorted().joined(separator: ", "))"
    }

    private static func certificate(_ reader: SectionReader) -> Condition? {
        guard let inner = reader.section("certificate", table) else { return nil }
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
