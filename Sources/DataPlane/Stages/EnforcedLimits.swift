import Access
import HTTP

/// The limits of one policy as a reactor enforces them: prepared when a record or a configuration arrives, so
/// that a request under them writes bytes that stand ready.
///
/// Names and values were checked when the configuration was read, as those of identity fields are.
final class EnforcedLimits {
    /// Fields that leave a head, and the lines that come in their place.
    struct Replacement {
        let names: FieldNames
        let lines: [UInt8]
    }

    let blocksUploads: Bool
    let blocksDownloads: Bool
    /// For every request to the upstream; empty when there is none.
    let upstreamLines: [UInt8]
    private let upstreamNames: [[UInt8]]
    /// On every response.
    let responses: Replacement
    /// On a page that is given the banner.
    let pages: Replacement
    /// ASCII alone, so that it says the same in every charset that pages are written in; empty when there is
    /// none.
    let banner: [UInt8]

    /// nil when nothing is limited beyond the request line.
    init?(_ limits: [AccessLimit]?) {
        guard let limits, !limits.isEmpty else { return nil }
        let restriction = Restriction(limits: limits)
        blocksUploads = restriction.blocksUploads
        blocksDownloads = restriction.blocksDownloads
        let upstream = Self.firstOfEachName(restriction.upstreamFields)
        upstreamLines = Self.lines(upstream)
        upstreamNames = upstream.map { Array($0.name.utf8) }
        var fields = restriction.responseFields
        // A type that lies is no way around: what is called text is shown as text and not saved as what it
        // looks like.
        let sniffing = "X-Content-Type-Options"
        if blocksDownloads, !fields.contains(where: { $0.name.lowercased() == sniffing.lowercased() }) {
            fields.append((sniffing, "nosniff"))
        }
        responses = Self.replacement(fields)
        pages = Self.replacement(fields, of: Self.ofTheWholePage)
        banner = restriction.banner.map(Self.bytes) ?? []
    }

    /// What names, dates, hashes or stores the page as the application wrote it (RFC 9110 §8.8 and §14.3, RFC
    /// 9530, RFC 1864). Whether there is a banner depends on the device, so nothing keeps such a page
    /// unasked.
    private static let ofTheWholePage = [
        "ETag", "Last-Modified", "Content-MD5", "Digest", "Content-Digest", "Repr-Digest", "Accept-Ranges",
        "Expires", "Age",
    ]
    private static let pageCaching = ("Cache-Control", "private, no-cache")

    private static func replacement(_ fields: [(name: String, value: String)], of page: [String] = [])
        -> Replacement
    {
        var all = fields
        if !page.isEmpty, !fields.contains(where: { $0.name.lowercased() == "cache-control" }) {
            all.append(pageCaching)
        }
        return Replacement(names: FieldNames(all.map(\.name) + page), lines: lines(all))
    }

    private static func lines(_ fields: [(name: String, value: String)]) -> [UInt8] {
        fields.flatMap { Array("\($0.name): \($0.value)\r\n".utf8) }
    }

    /// Two policies may say different things of one field when it cannot be known which of them matches. The
    /// earlier one would decide; and an application that reads one of two lines must not be left the choice.
    private static func firstOfEachName(_ fields: [(name: String, value: String)])
        -> [(name: String, value: String)]
    {
        var seen: Set<[UInt8]> = []
        return fields.filter { field in
            let folded = field.name.lowercased().utf8.filter {
                (0x30...0x39).contains($0) || (0x61...0x7a).contains($0)
            }
            return seen.insert(Array(folded)).inserted
        }
    }

    private static func bytes(_ banner: String) -> [UInt8] {
        ResponseLimits.bannerHTML(banner).unicodeScalars.flatMap { scalar in
            scalar.isASCII ? [UInt8(scalar.value)] : Array("&#\(scalar.value);".utf8)
        }
    }

    /// Whether clients can set none of the upstream fields themselves: the route removes them from every
    /// request.
    func areUpstreamFieldsProtected(by identity: IdentityFieldNames) -> Bool {
        upstreamNames.allSatisfy { identity.contains($0.span, $0.indices) }
    }
}

/// The limits of all policies of one residual.
final class PolicyLimits {
    private let byPolicy: [EnforcedLimits?]

    fileprivate init(_ byPolicy: [EnforcedLimits?]) { self.byPolicy = byPolicy }

    /// - Parameter policy: an index into `Residual.policies` of the residual that this was made of.
    func of(_ policy: Int) -> EnforcedLimits? { byPolicy[policy] }
}

/// What was prepared already: many sessions are let in by one policy, and share what it limits.
struct PreparedLimits {
    /// Distinct sets of limits; a configuration has one per policy, and old ones are forgotten with the rest.
    private static let knownMax = 1_024
    private var known: [[AccessLimit]: EnforcedLimits] = [:]

    /// nil when no policy limits more than the request line: the usual case, and a request then pays for a look
    /// at nil.
    mutating func limits(of residual: Residual) -> PolicyLimits? {
        guard residual.policies.contains(where: { $0.restriction?.limits?.isEmpty == false }) else {
            return nil
        }
        return PolicyLimits(residual.policies.map { prepared($0.restriction?.limits) })
    }

    private mutating func prepared(_ limits: [AccessLimit]?) -> EnforcedLimits? {
        guard let limits, !limits.isEmpty else { return nil }
        if let prepared = known[limits] { return prepared }
        if known.count >= Self.knownMax { known.removeAll() }
        let made = EnforcedLimits(limits)
        known[limits] = made
        return made
    }
}

@available(*, unavailable) extension EnforcedLimits: Sendable {}
@available(*, unavailable) extension PolicyLimits: Sendable {}
