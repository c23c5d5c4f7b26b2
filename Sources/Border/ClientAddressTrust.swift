public import Access

/// Whose word one listener takes for a client's address; nothing is believed by default.
public struct ClientAddressTrust: Sendable, Codable, Hashable {
    /// Which field a trusted peer writes.
    public enum Field: String, Sendable, Codable, CaseIterable {
        case xForwardedFor = "x-forwarded-for"
        case forwarded
    }
    /// Peers that begin every connection with a PROXY protocol v2 header; nobody else may send one.
    public var proxyProtocolFrom: [NetworkRange]
    /// Peers whose field names the client of each request.
    public var forwardedFrom: [NetworkRange]
    public var field: Field

    public init(
        proxyProtocolFrom: [NetworkRange] = [], forwardedFrom: [NetworkRange] = [],
        field: Field = .xForwardedFor
    ) {
        self.proxyProtocolFrom = proxyProtocolFrom
        self.forwardedFrom = forwardedFrom
        self.field = field
    }
}
