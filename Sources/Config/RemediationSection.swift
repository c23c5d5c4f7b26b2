import Access

/// A way to repair a device, shown to the person on the pages that refuse it.
public struct RemediationLink: Sendable, Hashable {
    /// What the person reads; at most 80 characters.
    public var text: String
    /// Where it leads: printable ASCII, at most 2,048 bytes, never of a scheme that runs or embeds content.
    public var url: String
    /// The URL's scheme, lower case. It is a link only where `gateway.link-schemes` has it, otherwise text.
    public var scheme: String
}

/// `integrations.<name>.remediation`: what repairs a device, for each platform.
enum RemediationSection {
    static let linksMax = 5
    static let textCharactersMax = 80

    static let key = KeySpec.optional(
        "remediation", .section(table),
        "Links for people whose device this integration does not find good, for each platform.",
        standard: "none", example: "{ ios: [ { text: Open Hub, url: \"https://hub.corp.example/\" } ] }")
    static let table = KeyTable(
        "integrations.<name>.remediation",
        Platform.allCases.map { platform in
            .optional(
                platform.rawValue, .list(.section(linkTable)),
                "At most \(linksMax), for devices of platform `\(platform.rawValue)`.", standard: "none",
                example: "[ { text: Open Company Portal, url: \"https://portal.example/\" } ]")
        })
    static let linkTable = KeyTable(
        "integrations.<name>.remediation.<platform>[]",
        [
            .required(
                "text", .text, "What the person reads; at most \(textCharactersMax) characters.",
                example: "Open Intelligent Hub"),
            .required(
                "url", .text,
                "Where it leads. A link only where `gateway.link-schemes` has the scheme, otherwise shown as text.",
                example: "\"wsonehub://conditionalaccess?partner=Microsoft\""),
        ])

    /// - Parameter platforms: what the integration knows devices of; nil: any.
    static func read(_ reader: SectionReader, platforms: [Platform]?) -> [Platform: [RemediationLink]] {
        guard let section = reader.section("remediation", table) else { return [:] }
        if section.presentNames.isEmpty {
            reader.problem("remediation", "names no platform", "remove the key, or add one")
        }
        var links: [Platform: [RemediationLink]] = [:]
        for platform in Platform.allCases {
            guard let items = section.items(platform.rawValue) else { continue }
            if let platforms, !platforms.contains(platform) {
                section.ineffective(
                    platform.rawValue, because: "the integration knows no such devices",
                    "use it for \(platforms.map(\.rawValue).joined(separator: ", "))")
            }
            if items.count > linksMax {
                section.problem(platform.rawValue, "has \(items.count) links", "use at most \(linksMax)")
            }
            links[platform] = items.enumerated().compactMap { index, item in
                SectionReader(
                    item, linkTable, path: section.key("\(platform.rawValue)[\(index)]"), reader.context
                ).flatMap(link)
            }
        }
        return links
    }

    private static func link(_ reader: SectionReader) -> RemediationLink? {
        let text = reader.text("text")
        if let text, text.count > textCharactersMax {
            reader.problem(
                "text", "has \(text.count) characters", "use at most \(textCharactersMax)")
            return nil
        }
        guard let text, let url = reader.text("url") else { return nil }
        do {
            let scheme = try LinkScheme.of(url)
            if let schemes = reader.context.linkSchemes, !schemes.contains(scheme) {
                reader.context.diagnostics.warn(
                    reader.place(of: "url"), reader.key("url"),
                    "is shown as text: gateway.link-schemes does not have \(scheme)",
                    "add it there if people may follow such links")
            }
            return RemediationLink(text: text, url: url, scheme: scheme)
        } catch {
            reader.problem("url", error.problem, error.remedy)
            return nil
        }
    }
}

/// Schemes of links that people may follow from our pages.
enum LinkScheme {
    static let standard = ["https"]
    static let urlBytesMax = 2_048

    /// Schemes whose URLs are content or code of their own, or read the person's files.
    static let refused: Set<String> = [
        "about", "blob", "data", "file", "filesystem", "intent", "jar", "javascript", "livescript", "mhtml",
        "mocha", "ms-appx", "res", "vbscript", "view-source", "ws", "wss",
    ]

    /// nil when it may be configured: lower case, as RFC 3986 §3.1 writes a scheme, and none that is refused.
    static func problem(_ scheme: String) -> Quantity.Refusal? {
        guard isScheme(scheme), scheme == scheme.lowercased() else {
            return .init(
                problem: "\"\(scheme)\" is no scheme in lower case", remedy: "write for example wsonehub")
        }
        guard !refused.contains(scheme) else {
            return .init(
                problem: "\(scheme) runs or embeds content of its own",
                remedy: "use https, or an app's scheme")
        }
        return nil
    }

    /// The scheme of a URL, lower case; throws for what no page of ours may show as a way to go.
    static func of(_ url: String) throws(Quantity.Refusal) -> String {
        // Browsers drop tabs and line ends inside a scheme and blanks before it (URL standard §4.4).
        guard url.utf8.count <= urlBytesMax, url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw .init(
                problem: "has a byte that no URL may have, or more than \(urlBytesMax) bytes",
                remedy: "percent-encode it")
        }
        guard let colon = url.firstIndex(of: ":"), isScheme(String(url[..<colon])) else {
            throw .init(
                problem: "\"\(url)\" has no scheme", remedy: "write for example https://name.example/")
        }
        let scheme = url[..<colon].lowercased()
        if let problem = problem(scheme) { throw problem }
        guard scheme == "https" || scheme == "http" else { return scheme }
        let rest = url[url.index(after: colon)...]
        let authority = rest.dropFirst(2).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        // A name before "@" is read as the host by people, and as a user by browsers.
        guard rest.hasPrefix("//"), !authority.isEmpty, !authority.contains("@"), !authority.contains("\\")
        else {
            throw .init(
                problem: "\"\(url)\" has no host, or a user before it",
                remedy: "write for example https://name.example/")
        }
        return scheme
    }

    private static func isScheme(_ text: String) -> Bool {
        guard let first = text.utf8.first, (1...32).contains(text.utf8.count) else { return false }
        func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }
        return isLetter(first)
            && text.utf8.allSatisfy { isLetter($0) || (0x30...0x39).contains($0) || "+-.".utf8.contains($0) }
    }
}
