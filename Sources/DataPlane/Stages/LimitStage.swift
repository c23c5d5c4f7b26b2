import Access
import HTTP

/// Partial access: what a policy limits beyond method and path, enforced before a byte goes upstream. A
/// request whose policy limits nothing pays for a look at nil.
extension Reactor {
    @inline(never)
    func noteLimits(_ slot: Int32, _ limits: PolicyLimits?, _ policy: Int) {
        // Also back to none: a walk that is repeated may be let in by another policy.
        downstreams[slot].pointee.limits = limits?.of(policy)
        downstreams[slot].pointee.exchange.isPage = false
    }

    /// - Returns: nil when the request may go on.
    @inline(never)
    func enforceLimits(on request: CanonicalRequest, _ slot: Int32, _ route: Route, _ session: Int32) -> Step?
    {
        guard let limits = downstreams[slot].pointee.limits else { return nil }
        let connection = downstreams[slot]
        if connection.pointee.exchange.wantsUpgrade {
            // What goes through a tunnel cannot be told apart: a message, a file, in either direction.
            if limits.blocksUploads { return turnAway(slot, request, .restrictedUpload) }
            if limits.blocksDownloads { return turnAway(slot, request, .restrictedDownload) }
        }
        if limits.blocksUploads, isUpload(slot, request) { return turnAway(slot, request, .restrictedUpload) }
        if limits.blocksDownloads, connection.pointee.exchange.isDownload {
            return turnAway(slot, request, .restrictedDownload)
        }
        // A record is of another configuration than the one in force here while a reload is under way. Its
        // field would be one that clients can write as well, so a record of the present one is asked for.
        guard limits.areUpstreamFieldsProtected(by: route.requestWriter.identity) else {
            return pullAgain(slot, session)
        }
        connection.pointee.exchange.isPage =
            !limits.banner.isEmpty && connection.pointee.exchange.method != .head && asksForPage(slot)
        return nil
    }

    func writeUpstreamFields(_ slot: Int32, into output: inout HeadOutput) {
        guard let lines = downstreams[slot].pointee.limits?.upstreamLines else { return }
        output.append(lines.span)
    }

    /// In doubt yes: of two types either may be the one that is read, and what is coded may be any size.
    private func isUpload(_ slot: Int32, _ request: CanonicalRequest) -> Bool {
        let bytes: Int64?
        switch request.framing {
        case .none: return false
        case .length(let length): bytes = length
        case .chunked, .untilClose: bytes = nil
        }
        let head = downstreams[slot].pointee.input.bytes.span
        var type = 0..<0
        if !work.pointee.fields.contains(.contentEncoding),
            let only = work.pointee.fields.onlyValue(.contentType)
        {
            type = only.indices
        }
        return ResponseLimits.isUpload(contentType: head.extracting(type), bodyBytes: bytes)
    }
}
