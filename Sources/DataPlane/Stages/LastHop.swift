import HTTP

/// Who asks with `Max-Forwards` how far a request gets (RFC 9110 §7.6.2). Only OPTIONS may: TRACE goes nowhere here.
extension Reactor {
    /// - Returns: nil when the request goes on; it does where the field says no number at all.
    @inline(never)
    func answerLastHop(_ slot: Int32) -> Step? {
        let head = downstreams[slot].pointee.input.bytes.span
        guard let range = work.pointee.fields.value(named: "max-forwards", in: head), range.count > 0 else {
            return nil
        }
        for index in range.indices where head[index] != UInt8(ascii: "0") { return nil }
        if !downstreams[slot].pointee.exchange.isRequestComplete {
            downstreams[slot].pointee.endsAfterResponse = true
        }
        var output = HeadOutput(work.pointee.output)
        beginOwnResponse(slot, 204, into: &output)
        return finishOwnResponse(slot, 204, &output, nil, 0)
    }
}
