import Access
import HTTP

/// Where a page stands that is given a banner: what was looked at, and the few bytes that cannot be judged
/// yet. An object of its own, so that connections without such a page have no room for it.
final class PageEdit {
    fileprivate let banner: [UInt8]
    fileprivate var prologue = HTMLPrologue()
    private var held = InlineArray<16, UInt8>(repeating: 0)
    fileprivate private(set) var heldCount = 0

    init(banner: [UInt8]) { self.banner = banner }

    /// Of what is held and `bytes` behind it. `range` counts the held bytes first.
    fileprivate func append(_ bytes: Span<UInt8>, _ range: Range<Int>, to output: inout HeadOutput) {
        for index in range.lowerBound..<max(range.lowerBound, min(range.upperBound, heldCount)) {
            output.append(held[index])
        }
        let start = max(range.lowerBound, heldCount)
        if start < range.upperBound {
            output.append(bytes, (start - heldCount)..<(range.upperBound - heldCount))
        }
    }

    /// Keeps the rest of both, from `start` on.
    fileprivate func hold(_ bytes: Span<UInt8>, from start: Int) {
        let count = heldCount + bytes.count - start
        // Downwards in place: no byte is written over before it was read.
        for index in 0..<count {
            let at = start + index
            held[index] = at < heldCount ? held[at] : bytes[at - heldCount]
        }
        heldCount = count
    }
}

@available(*, unavailable) extension PageEdit: Sendable {}

/// One sentence into the application's page, while it streams by.
extension Reactor {
    /// Whether, and how the body goes on when it does. What is not a whole, uncoded page of HTML is left
    /// alone.
    func beginEdit(
        _ slot: Int32, _ response: ResponseHead, _ head: Span<UInt8>, _ framing: BodyFraming
    ) -> BodyFraming {
        let connection = downstreams[slot]
        guard let banner = connection.pointee.limits?.banner, !banner.isEmpty, isPage(response, head) else {
            return framing
        }
        var edited = framing
        if case .length(let length) = framing {
            let (sum, isTooLong) = length.addingReportingOverflow(Int64(banner.count))
            guard !isTooLong else { return framing }
            edited = .length(sum)
        }
        connection.pointee.exchange.isEdited = true
        connection.pointee.page = PageEdit(banner: banner)
        return edited
    }

    private func isPage(_ response: ResponseHead, _ head: Span<UInt8>) -> Bool {
        // A part of a page has no beginning to put it at.
        guard response.framing != .none, response.framing != .length(0), response.status != 206,
            let range = work.pointee.responseFields.onlyValue(.contentType)
        else { return false }
        let type = head.extracting(range.indices)
        guard ResponseLimits.isPage(contentType: type), !contains("utf-16", in: type, wholly: false),
            !contains("utf-32", in: type, wholly: false)
        else { return false }
        guard work.pointee.responseFields.contains(.contentEncoding) else { return true }
        // Coded although nothing of the kind was asked for.
        guard let coding = work.pointee.responseFields.onlyValue(.contentEncoding) else { return false }
        return contains("identity", in: head.extracting(coding.indices), wholly: true)
    }

    /// As `forwardBody`, as long as the banner is not in.
    func forwardPage(
        _ slot: Int32, _ record: UnsafeMutablePointer<Upstream>, _ output: inout HeadOutput
    ) -> Bool {
        let connection = downstreams[slot]
        let waiting = record.pointee.input.bytes
        var consumed = waiting.count
        switch connection.pointee.exchange.upstreamFraming {
        case .none: break
        case .length:
            consumed = Int(min(Int64(waiting.count), connection.pointee.exchange.responseRemaining))
            edit(slot, waiting.span.extracting(0..<consumed), &output)
            connection.pointee.exchange.responseRemaining -= Int64(consumed)
            if connection.pointee.exchange.responseRemaining == 0 { completePage(slot, &output) }
        case .chunked:
            guard let offset = editChunks(slot, waiting.span, &output) else { return false }
            if connection.pointee.exchange.isResponseComplete { consumed = offset }
        case .untilClose: edit(slot, waiting.span, &output)
        }
        guard !output.isOverflowed else { return false }
        send(&output, to: slot)
        record.pointee.input.consume(consumed, pool)
        return true
    }

    /// - Returns: how many bytes were read; nil when the upstream's framing is broken.
    private func editChunks(_ slot: Int32, _ waiting: Span<UInt8>, _ output: inout HeadOutput) -> Int? {
        let connection = downstreams[slot]
        var offset = 0
        while true {
            switch connection.pointee.exchange.responseDecoder.next(waiting, from: &offset) {
            case .data(let range): edit(slot, waiting.extracting(range), &output)
            case .needMore: return offset
            case .end:
                completePage(slot, &output)
                return offset
            case .refused: return nil
            }
        }
    }

    private func completePage(_ slot: Int32, _ output: inout HeadOutput) {
        endEdit(slot, &output)
        if isRecoded(slot) { ChunkEncoding.last(into: &output) }
        downstreams[slot].pointee.exchange.isResponseComplete = true
    }

    /// The body is over: what never began to be visible gets the banner at its end, because its length was
    /// promised.
    func endEdit(_ slot: Int32, _ output: inout HeadOutput) {
        guard downstreams[slot].pointee.exchange.isEdited, let page = downstreams[slot].pointee.page else {
            return
        }
        let nothing = UnsafeBufferPointer<UInt8>(start: nil, count: 0).span
        put(slot, page, nothing, bannerAt: page.heldCount, keeping: 0, &output)
    }

    private func edit(_ slot: Int32, _ bytes: Span<UInt8>, _ output: inout HeadOutput) {
        guard !bytes.isEmpty else { return }
        guard downstreams[slot].pointee.exchange.isEdited, let page = downstreams[slot].pointee.page else {
            if isRecoded(slot) { ChunkEncoding.begin(bytes.count, into: &output) }
            output.append(bytes)
            if isRecoded(slot) { ChunkEncoding.end(into: &output) }
            return
        }
        if let found = page.prologue.find(in: bytes) {
            put(slot, page, bytes, bannerAt: page.heldCount + found, keeping: 0, &output)
        } else {
            put(slot, page, bytes, bannerAt: nil, keeping: Int(page.prologue.undecided), &output)
        }
    }

    /// Writes what was held and `bytes` behind it as one run, with the banner at an offset into it.
    ///
    /// - Parameter kept: so many of the last bytes are held instead.
    private func put(
        _ slot: Int32, _ page: PageEdit, _ bytes: Span<UInt8>, bannerAt: Int?, keeping kept: Int,
        _ output: inout HeadOutput
    ) {
        let end = page.heldCount + bytes.count - kept
        precondition(end >= 0 && kept <= HTMLPrologue.undecidedBytesMax, "\(kept) of \(bytes.count) are held")
        let total = end + (bannerAt == nil ? 0 : page.banner.count)
        if total > 0 {
            if isRecoded(slot) { ChunkEncoding.begin(total, into: &output) }
            page.append(bytes, 0..<(bannerAt ?? end), to: &output)
            if let bannerAt {
                let banner = page.banner
                output.append(banner.span)
                page.append(bytes, bannerAt..<end, to: &output)
            }
            if isRecoded(slot) { ChunkEncoding.end(into: &output) }
        }
        if bannerAt != nil { downstreams[slot].pointee.exchange.isEdited = false }
        page.hold(bytes, from: end)
    }

    private func isRecoded(_ slot: Int32) -> Bool {
        if case .chunked = downstreams[slot].pointee.exchange.downstreamFraming { return true }
        return false
    }
}
