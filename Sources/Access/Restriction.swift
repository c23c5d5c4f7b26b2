/// What a match grants less than everything: partial access.
public struct Restriction: Sendable, Codable, Hashable {
    /// nil: every method.
    public var methods: [RequestMethod]?
    /// nil: every path. Each begins with "/" and matches whole segments.
    public var pathPrefixes: [String]?
    /// What holds for the exchange beyond its request line; nil: nothing. One reference, because every
    /// residual policy carries it.
    public var limits: [AccessLimit]?
    /// Takes the members as they are; nothing is checked here.
    public init(
        methods: [RequestMethod]? = nil, pathPrefixes: [String]? = nil, limits: [AccessLimit]? = nil
    ) {
        self.methods = methods
        self.pathPrefixes = pathPrefixes
        self.limits = limits
    }
}

/// One limit on an exchange that was forwarded.
public enum AccessLimit: Sendable, Codable, Hashable {
    /// Responses that a browser would save are refused (`ResponseLimits.isDownload`).
    case blocksDownloads
    /// Requests that carry a file are refused (`ResponseLimits.isUpload`).
    case blocksUploads
    /// Set on every response in place of the application's own field of that name.
    case responseField(name: String, value: String)
    /// Set on every request to the upstream, so that the application can limit itself.
    case upstreamField(name: String, value: String)
    /// One sentence for the person, shown above the application's pages.
    case banner(String)
}

extension Restriction {
    /// Whether responses that a browser would save are refused.
    public var blocksDownloads: Bool { limits?.contains(.blocksDownloads) ?? false }
    /// Whether requests that carry a file are refused.
    public var blocksUploads: Bool { limits?.contains(.blocksUploads) ?? false }

    /// Fields to set on responses, in the administrator's order.
    public var responseFields: [(name: String, value: String)] {
        (limits ?? []).compactMap {
            if case .responseField(let name, let value) = $0 { (name, value) } else { nil }
        }
    }

    /// Fields to set on requests to the upstream, in the administrator's order.
    public var upstreamFields: [(name: String, value: String)] {
        (limits ?? []).compactMap {
            if case .upstreamField(let name, let value) = $0 { (name, value) } else { nil }
        }
    }

    /// The first banner, if there is one.
    public var banner: String? {
        for case .banner(let text)? in (limits ?? []).map(Optional.some) { return text }
        return nil
    }

    /// This restriction with the limits of an earlier policy that may have matched as well: they come first,
    /// and no limit stands twice.
    func adding(_ earlier: [AccessLimit]) -> Restriction {
        var all = earlier
        for limit in limits ?? [] where !all.contains(limit) { all.append(limit) }
        return Restriction(methods: methods, pathPrefixes: pathPrefixes, limits: all)
    }
}
