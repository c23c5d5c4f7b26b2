import Access
import HTTP

/// Partial access on the way back: downloads that are not relayed, fields that are replaced.
extension Reactor {
    /// - Returns: nil when the answer may be relayed.
    @inline(never)
    func enforceLimits(on response: ResponseHead, _ head: Span<UInt8>, _ slot: Int32) -> Step? {
        guard let limits = downstreams[slot].pointee.limits else { return nil }
        guard !response.isInterim else { return nil }
        if response.status == 101 {
            // The limits came after the request had gone: an upgrade asked for under them is refused before.
            guard limits.blocksUploads || limits.blocksDownloads else { return nil }
            return turnDownloadAway(slot, response)
        }
        guard limits.blocksDownloads, isDownload(response, head) else { return nil }
        return turnDownloadAway(slot, response)
    }

    @inline(never)
    func beginLimitedHead(
        _ slot: Int32, _ response: ResponseHead, _ head: Span<UInt8>, _ framing: BodyFraming,
        _ keepsAlive: Bool, into output: inout HeadOutput
    ) {
        guard let limits = downstreams[slot].pointee.limits else { return }
        let replacement = downstreams[slot].pointee.exchange.isEdited ? limits.pages : limits.responses
        work.pointee.responseWriter.begin(
            response, head: head, fields: work.pointee.responseFields, framing: framing,
            keepsAlive: keepsAlive, leavingOut: replacement.names, and: changedNames(slot),
            keepsCrossOrigin: downstreams[slot].pointee.exchange.crossOrigin == .asSent, into: &output)
        output.append(replacement.lines.span)
        writeChanges(slot, response, except: replacement.names, into: &output)
    }

    /// In doubt yes, as for uploads: of two types or dispositions browsers may heed either.
    private func isDownload(_ response: ResponseHead, _ head: Span<UInt8>) -> Bool {
        let type = work.pointee.responseFields.value(.contentType)
        let disposition = work.pointee.responseFields.value(named: "content-disposition", in: head)
        let bytes: Int64?
        switch response.framing {
        case .none:
            // Nothing to save: the client's own copy (304), or what a GET would bring (HEAD), judged as that
            // GET.
            if response.status == 204 || response.status == 304 { return false }
            if type == nil, disposition == nil, response.contentLength == nil { return false }
            bytes = response.contentLength
        case .length(let length): bytes = length
        case .chunked, .untilClose: bytes = nil
        }
        if bytes != 0,
            work.pointee.responseFields.isRepeated(.contentType)
                || work.pointee.responseFields.isRepeated(named: "content-disposition", in: head)
        {
            return true
        }
        return ResponseLimits.isDownload(
            contentType: head.extracting(type?.indices ?? 0..<0),
            disposition: head.extracting(disposition?.indices ?? 0..<0), bodyBytes: bytes)
    }

    /// The client gets a refusal instead. A request that may be repeated is walked once more while its head
    /// is there, so that a person gets a page as with every other refusal.
    private func turnDownloadAway(_ slot: Int32, _ response: ResponseHead) -> Step {
        let connection = downstreams[slot]
        letGo(slot, response)
        let method = connection.pointee.exchange.method
        guard connection.pointee.exchange.isBodyless, method == .get || method == .head else {
            consumeHead(slot)
            return refuse(slot, 403, .restrictedDownload)
        }
        detachSession(slot)
        connection.pointee.exchange.isDownload = true
        connection.pointee.phase = .head
        return .again
    }

    /// The upstream connection is used again only when all of the answer is here already; nothing is read to
    /// throw it away.
    private func letGo(_ slot: Int32, _ response: ResponseHead) {
        let connection = downstreams[slot]
        let record = upstreams[connection.pointee.exchange.upstream]
        let waiting = record.pointee.input.count - response.headBytes
        var isWhole = response.keepsAlive && connection.pointee.exchange.isRequestComplete
        switch response.framing {
        case .none: isWhole = isWhole && waiting == 0 && response.status != 101
        case .length(let length): isWhole = isWhole && length == Int64(waiting)
        case .chunked, .untilClose: isWhole = false
        }
        if isWhole { record.pointee.input.consume(record.pointee.input.count, pool) }
        releaseUpstream(slot, isReusable: isWhole)
    }
}
