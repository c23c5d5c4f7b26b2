public import Access

/// `gateway.listeners[].proxy-protocol` and `forwarded`: whose word counts for a client's address.
enum ClientAddressKeys {
    static let rangesMax = 64

    static let proxyTable = KeyTable(
        "gateway.listeners[].proxy-protocol",
        [
            .required(
                "from", .list(.text),
                "Addresses of load balancers that begin every connection with a PROXY protocol v2 header. One "
                    + "without it is closed, and so is anybody else's with one.",
                example: "[ 10.0.0.8/31 ]")
        ])

    static let forwardedTable = KeyTable(
        "gateway.listeners[].forwarded",
        [
            .required(
                "from", .list(.text),
                "Addresses of proxies whose field names the client: the rightmost address that is none of theirs. A "
                    + "request of theirs without such an address is refused.",
                example: "[ 10.0.0.0/24 ]"),
            .optional(
                "field", .choice(["x-forwarded-for", "forwarded"]),
                "The field that they write; the other is ignored.",
                standard: "`x-forwarded-for`", example: "forwarded"),
        ])

    static let keys: [KeySpec] = [
        .optional(
            "proxy-protocol", .section(proxyTable),
            "Load balancers in front that say whom a connection comes from.",
            standard: "nobody is believed", example: "{ from: [ 10.0.0.8/31 ] }"),
        .optional(
            "forwarded", .section(forwardedTable), "Proxies in front that say whom a request comes from.",
            standard: "nobody is believed", example: "{ from: [ 10.0.0.0/24 ] }"),
    ]

    static func read(_ listener: SectionReader) -> ClientAddressSettings {
        var settings = ClientAddressSettings()
        if let reader = listener.section("proxy-protocol", proxyTable) {
            settings.proxyProtocolFrom = ranges(reader)
        }
        if let reader = listener.section("forwarded", forwardedTable) {
            settings.forwardedFrom = ranges(reader)
            settings.readsForwardedField = reader.choice("field") == "forwarded"
        }
        return settings
    }

    private static func ranges(_ reader: SectionReader) -> [NetworkRange] {
        guard let texts = reader.texts("from") else { return [] }
        if texts.count > rangesMax {
            reader.problem("from", "more than \(rangesMax) of them", "name wider ranges")
        }
        return texts.compactMap { text -> NetworkRange? in
            do throws(Quantity.Refusal) {
                let range = try HostSyntax.range(text)
                guard text.hasSuffix("/0") else { return range }
                throw .init(problem: "\"\(text)\" is everybody", remedy: "name the balancers' own addresses")
            } catch {
                reader.problem("from", error.problem, error.remedy)
                return nil
            }
        }
    }
}

/// Whose word one listener takes for a client's address.
public struct ClientAddressSettings: Sendable, Hashable {
    /// Peers that send a PROXY protocol v2 header.
    public var proxyProtocolFrom: [NetworkRange] = []
    /// Peers whose requests name the client.
    public var forwardedFrom: [NetworkRange] = []
    /// They write `Forwarded`, not `X-Forwarded-For`.
    public var readsForwardedField = false

    /// Nobody is believed.
    public init() {}

    /// Whether anybody is believed.
    public var isEmpty: Bool { proxyProtocolFrom.isEmpty && forwardedFrom.isEmpty }
}
