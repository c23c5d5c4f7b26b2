import Access

/// `token-issuers.<name>`.
public struct TokenIssuerSettings: Sendable, Hashable {
    /// Where the issuer's keys are.
    public enum Keys: Sendable, Hashable {
        /// In the key set that its discovery document names.
        case discovered
        /// In a key set at this address.
        case url(String)
        /// In this key set (RFC 7517), not yet read.
        case file([UInt8])
    }

    /// The configured name: `token` conditions name it.
    public var name: String
    /// As in the `iss` claim, byte for byte.
    public var issuer: String
    /// One of them has to be in `aud`.
    public var audiences: [String]
    /// Where its keys are.
    public var keys: Keys
    /// JOSE names (RFC 7518 §3.1) of the algorithms that are accepted of it.
    public var algorithms: [String]
    /// Where the subject stands in the token: names of members, outermost first.
    public var subject: [String]
    /// Where the claims stand, by what policies call them.
    public var claims: [String: [String]]
    /// A token that lives longer is none.
    public var lifetimeSecondsMax: Int64
    /// PEM of the only authorities trusted for the issuer's server; nil: the system's.
    public var authoritiesPEM: [UInt8]?
    /// Plain HTTP is accepted, on loopback only.
    public var allowsPlainHTTP: Bool
}

/// `token-issuers`: whose bearer tokens count for clients without a person.
enum TokenIssuersSection {
    static let algorithms = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
    private static let claimsMax = 32
    private static let placeDepthMax = 8

    static let table = KeyTable(
        "token-issuers.<name>",
        [
            .required(
                "issuer", .url, "The tokens' `iss`, byte for byte.",
                example: "https://token.actions.githubusercontent.com"),
            .required(
                "audiences", .oneOrMore(.text), "One of these has to be in a token's `aud`.",
                example: "\"https://wiki.corp.example\""),
            .optional(
                "jwks-url", .url, "Where its key set (RFC 7517) is.",
                standard: "what its discovery document says", example: "https://ci.corp.example/keys"),
            .optional(
                "jwks-file", .file, "File with its key set, for issuers that cannot be reached.",
                standard: "fetched", example: "keys/cluster.json"),
            .optional(
                "algorithms", .oneOrMore(.choice(algorithms)),
                "Signature algorithms that are accepted of it.",
                standard: "`[RS256, ES256]`", example: "[RS256]"),
            .optional(
                "subject", .text,
                "The claim that names the client: a claim, or a JSON pointer (RFC 6901) to one.",
                standard: "`sub`", example: "/kubernetes.io/serviceaccount/name"),
            .optional(
                "claims", .texts,
                "Claims that policies may ask for: what they are called there, and the claim or a JSON pointer to it.",
                standard: "none", example: "{ namespace: /kubernetes.io/namespace }"),
            .optional(
                "max-lifetime", .duration(60...31_536_000), "A token that lives longer than this is refused.",
                standard: "`1h`", example: "10m"),
            .optional(
                "authorities", .file, "PEM file with the only authorities trusted for the issuer's server.",
                standard: "the system's", example: "certs/cluster-ca.pem"),
            .optional(
                "unsafe-allow-http", .flag, "Accepts `http://` addresses, on loopback only.",
                standard: "`false`", example: "true"),
        ])

    /// - Parameter people: who signs people in.
    static func read(_ root: SectionReader, people: [IdentityProviderSettings]) -> [TokenIssuerSettings] {
        guard root.has("token-issuers") else { return [] }
        let entries = RootSection.named(root, "token-issuers", offering: "ci: { issuer: … }")
        var issuers: [TokenIssuerSettings] = []
        for entry in entries {
            let path = "token-issuers.\(entry.name)"
            guard let reader = SectionReader(entry.value, table, path: path, root.context),
                let issuer = read(reader, entry.name)
            else { continue }
            check(issuer, against: issuers, people, reader)
            issuers.append(issuer)
        }
        return issuers
    }

    static func warnOfUnused(
        _ issuers: [TokenIssuerSettings], _ root: SectionReader, _ applications: [ApplicationsSection.Read]
    ) {
        let used = applications.flatMap(\.decisions.tokenIssuers)
        for issuer in issuers where !used.contains(issuer.name) {
            root.context.diagnostics.warn(
                root.place(of: "token-issuers"), "token-issuers.\(issuer.name)",
                "no policy asks for its tokens",
                "add a token condition or remove it")
        }
    }

    /// A token has to be of one configuration, and never one that was made to sign a person in.
    private static func check(
        _ issuer: TokenIssuerSettings, against others: [TokenIssuerSettings],
        _ people: [IdentityProviderSettings], _ reader: SectionReader
    ) {
        for audience in issuer.audiences {
            for other in others where other.issuer == issuer.issuer && other.audiences.contains(audience) {
                reader.problem(
                    "audiences", "\(other.name) has the same issuer and \"\(audience)\" too",
                    "give each an audience of its own")
            }
            for provider in people where provider.issuer == issuer.issuer && provider.clientID == audience {
                reader.problem(
                    "audiences", "\"\(audience)\" is the client id of identity provider \(provider.name)",
                    "use another audience: people's id tokens would count as machines'")
            }
        }
    }

    private static func read(_ reader: SectionReader, _ name: String) -> TokenIssuerSettings? {
        let allowsPlain = reader.flag("unsafe-allow-http") ?? false
        let issuer = PlainHTTPRule.url("issuer", reader, allowed: allowsPlain)
        let keysURL = PlainHTTPRule.url("jwks-url", reader, allowed: allowsPlain)
        PlainHTTPRule.refuseUseless(
            reader, urls: reader.has("jwks-url") ? [issuer, keysURL] : [issuer])
        let files = NamedFiles(reader: reader)
        let file = files.document("jwks-file")
        if reader.has("jwks-file") {
            reader.ineffective("jwks-url", because: "jwks-file is set", "keep one of them")
            reader.ineffective("authorities", because: "nothing is fetched", "remove it")
        }
        let authorities = files.file("authorities", holding: "CERTIFICATE")
        let audiences = reader.texts("audiences")
        let algorithms = self.algorithms(reader)
        let subject =
            reader.has("subject") ? reader.text("subject").flatMap { place($0, "subject", reader) } : ["sub"]
        guard let issuer, let audiences, let algorithms, let subject, let claims = claims(reader),
            reader.has("jwks-url") == (keysURL != nil), reader.has("jwks-file") == (file != nil),
            reader.has("authorities") == (authorities != nil)
        else { return nil }
        return TokenIssuerSettings(
            name: name, issuer: issuer.text, audiences: audiences,
            keys: file.map { .file($0) } ?? keysURL.map { .url($0.text) } ?? .discovered,
            algorithms: algorithms, subject: subject, claims: claims,
            lifetimeSecondsMax: reader.duration("max-lifetime") ?? 3_600, authoritiesPEM: authorities,
            allowsPlainHTTP: allowsPlain)
    }

    private static func algorithms(_ reader: SectionReader) -> [String]? {
        guard reader.has("algorithms") else { return ["RS256", "ES256"] }
        return ConditionSection.checked(reader.texts("algorithms")) { reader.choice($0, "algorithms") }
    }

    private static func claims(_ reader: SectionReader) -> [String: [String]]? {
        guard let node = reader.node("claims") else { return [:] }
        guard case .mapping(let entries) = node.content, (1...claimsMax).contains(entries.count) else {
            reader.problem(
                "claims", "must be a mapping of 1 to \(claimsMax) names to claims",
                "write { namespace: /kubernetes.io/namespace }")
            return nil
        }
        var claims: [String: [String]] = [:]
        for entry in entries {
            let key = "claims.\(entry.name)"
            guard isName(entry.name) else {
                reader.problem(
                    key, at: entry.place, "is not a name", "use 1 to 64 letters, digits, -, . and _")
                return nil
            }
            guard let text = reader.scalar(entry.value, key)?.text, let place = place(text, key, reader)
            else {
                return nil
            }
            claims[entry.name] = place
        }
        return claims
    }

    private static func isName(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                    || [0x2d, 0x2e, 0x5f].contains(byte)
            }
    }

    /// A claim's name, or an RFC 6901 pointer: it begins with "/", and `~1` and `~0` stand for "/" and "~".
    private static func place(_ text: String, _ key: String, _ reader: SectionReader) -> [String]? {
        guard text.hasPrefix("/") else { return [text] }
        let parts = text.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        let names = parts.compactMap { part -> String? in
            var name = ""
            var rest = part[...]
            while let first = rest.popFirst() {
                guard first == "~" else {
                    name.append(first)
                    continue
                }
                guard let code = rest.popFirst(), code == "0" || code == "1" else { return nil }
                name.append(code == "0" ? "~" : "/")
            }
            return name.isEmpty ? nil : name
        }
        guard names.count == parts.count, names.count <= placeDepthMax else {
            reader.problem(
                key, "\"\(text)\" is no JSON pointer to a member",
                "write for example /kubernetes.io/namespace")
            return nil
        }
        return names
    }
}

extension NamedFiles {
    /// A JSON document that everybody may read. Empty when files are not read.
    func document(_ name: String) -> [UInt8]? {
        guard let node = reader.node(name), let text = reader.scalar(node, name)?.text else { return nil }
        guard reader.context.readsFiles else { return [] }
        return read(path(text, node.place), name, node.place, isPrivate: false)
    }
}
