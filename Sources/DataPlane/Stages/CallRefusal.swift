import Access
import HTTP

/// gRPC's own way of being refused: status 200, and what is meant in `grpc-status` (gRPC over HTTP/2, "Responses",
/// Trailers-Only). Its clients read nothing else, and no page.
extension Reactor {
    /// Notes at the head whether the request is a call of gRPC: `application/grpc`, with a suffix or parameters.
    ///
    /// - Precondition: the request was parsed in this walk.
    @inline(never)
    func noteGRPC(_ slot: Int32) {
        guard let type = work.pointee.fields.onlyValue(.contentType) else { return }
        let wanted: StaticString = "application/grpc"
        let count = wanted.utf8CodeUnitCount
        guard type.count >= count else { return }
        let value = downstreams[slot].pointee.input.bytes.span.extracting(type.indices)
        for index in 0..<count {
            // A slash has the bit of lower case already.
            guard value[index] | 0x20 == wanted.utf8Start[index] else { return }
        }
        // Not `application/grpc-web`, whose clients are browsers' scripts and read HTTP's status.
        guard value.count == count || value[count] == UInt8(ascii: "+") || value[count] == UInt8(ascii: ";")
        else { return }
        downstreams[slot].pointee.exchange.isGRPC = true
    }

    /// - Parameter status: what another client would be told.
    func refuseCall(_ slot: Int32, _ status: Int, _ reason: Reason) -> Step {
        var head = HeadOutput(work.pointee.output)
        beginOwnResponse(slot, 200, into: &head)
        head.append("Content-Type: application/grpc\r\nCache-Control: no-store\r\n")
        writeCallStatus(Self.callStatus(status), reason, into: &head)
        head.append("Gatepost-Reason: ")
        head.append(reason.rawValue.utf8.span)
        head.append("\r\n")
        return finishOwnResponse(slot, 200, &head, nil, 0)
    }

    private func writeCallStatus(_ status: Int64, _ reason: Reason, into output: inout HeadOutput) {
        output.append("grpc-status: ")
        output.append(decimal: status)
        output.append("\r\ngrpc-message: ")
        // Reasons are words of letters and hyphens, which need no percent-encoding.
        output.append(reason.rawValue.utf8.span)
        output.append("\r\n")
    }

    /// gRPC's numbers (its "Status codes" page). What a client may try again is UNAVAILABLE.
    private static func callStatus(_ status: Int) -> Int64 {
        if status == 401 { return 16 }
        if status == 403 { return 7 }
        if status == 404 || status == 421 || status == 501 { return 12 }
        if status == 413 || status == 431 || status == 414 { return 8 }
        if status == 408 { return 4 }
        return status >= 502 && status <= 504 ? 14 : 13
    }

    // MARK: Revocation

    /// A call that is more than one message and its answer on their way: it may last for ever, so losing the right ends
    /// it at once.
    func isOpenCall(_ slot: Int32) -> Bool {
        let connection = downstreams[slot]
        guard connection.pointee.exchange.isGRPC, connection.pointee.phase == .forwarding else {
            return false
        }
        return connection.pointee.exchange.isResponseBegun || !connection.pointee.exchange.isRequestComplete
    }

    /// Ends an open call with a status, where the client reads.
    ///
    /// - Returns: whether that could be done; otherwise its stream is reset.
    func closeCall(_ slot: Int32, _ reason: Reason) -> Bool {
        let connection = downstreams[slot]
        guard connection.pointee.exchange.isGRPC, connection.pointee.phase == .forwarding,
            let stream = (transports + Int(slot)).stream, !transports[Int(slot)].isFailed
        else { return false }
        let isMissing = reason == .sessionEnded || reason == .signInRequired
        guard connection.pointee.exchange.isResponseBegun else {
            resume(slot, refuse(slot, isMissing ? 401 : 403, reason))
            return true
        }
        guard case .chunked = connection.pointee.exchange.downstreamFraming,
            !connection.pointee.exchange.isResponseComplete, transports[Int(slot)].pending.isEmpty,
            stream.pointee.body.isEmpty
        else { return false }
        var output = HeadOutput(work.pointee.output)
        output.append("0\r\n")
        writeCallStatus(isMissing ? 16 : 7, reason, into: &output)
        output.append("\r\n")
        send(&output, to: slot)
        endExchange(slot)
        resume(slot, beginLinger(slot))
        return true
    }
}
