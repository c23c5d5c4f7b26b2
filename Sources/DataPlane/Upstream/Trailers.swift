import HTTP

/// The lines behind a chunked body, in both directions. Whatever did not arrive by one read is kept until all of them
/// are there; the decoder bounds them.
extension Reactor {
    /// Keeps what of the bytes that were just decoded is trailers: it stands at their end.
    ///
    /// - Parameter before: what the decoder had seen of them in front of these bytes.
    func keepTrailers(
        of decoder: ChunkedDecoder, _ bytes: UnsafeBufferPointer<UInt8>, _ offset: Int, since before: Int,
        in kept: inout ByteBuffer
    ) {
        let count = decoder.trailerSectionBytes - before
        guard count > 0, let start = bytes.baseAddress else { return }
        // The line feed of the empty line is none of them.
        let end = decoder.isDone ? offset - 1 : offset
        guard end >= count else { return }
        kept.append(start + end - count, count, pool)
    }

    /// The body of a request is over.
    /// - Returns: false when its trailers have a line that no upstream may see: what a request says is not repaired.
    func endRequest(
        _ slot: Int32, _ bytes: UnsafeBufferPointer<UInt8>, _ offset: Int, since before: Int,
        into output: inout HeadOutput
    ) -> Bool {
        let connection = downstreams[slot]
        guard connection.pointee.exchange.requestDecoder.hasTrailers else {
            connection.pointee.collected.release(pool)
            ChunkEncoding.last(into: &output)
            return true
        }
        keepTrailers(
            of: connection.pointee.exchange.requestDecoder, bytes, offset, since: before,
            in: &connection.pointee.collected)
        defer { connection.pointee.collected.release(pool) }
        guard let route = connection.pointee.route else { return false }
        output.append("0\r\n")
        let leftOut = TrailerSection.copy(
            connection.pointee.collected.bytes.span, identity: route.requestWriter.identity, into: &output)
        output.append("\r\n")
        return leftOut == 0
    }

    /// The body of an answer is over. Of its trailers those go on that may, to whoever reads them: an answer is not
    /// lost for a line behind it.
    func endAnswer(
        _ slot: Int32, _ record: UnsafeMutablePointer<Upstream>, _ bytes: UnsafeBufferPointer<UInt8>,
        _ offset: Int, since before: Int, _ isRecoded: Bool, into output: inout HeadOutput
    ) {
        let exchange = downstreams[slot]
        guard exchange.pointee.exchange.responseDecoder.hasTrailers else {
            record.pointee.trailers.release(pool)
            if isRecoded { ChunkEncoding.last(into: &output) }
            return
        }
        keepTrailers(
            of: exchange.pointee.exchange.responseDecoder, bytes, offset, since: before,
            in: &record.pointee.trailers)
        defer { record.pointee.trailers.release(pool) }
        let isRead = exchange.pointee.exchange.acceptsTrailers || (transports + Int(slot)).stream != nil
        guard isRecoded, isRead else {
            counters.add(.trailersDropped)
            if isRecoded { ChunkEncoding.last(into: &output) }
            return
        }
        output.append("0\r\n")
        let leftOut = TrailerSection.copy(
            record.pointee.trailers.bytes.span, identity: .builtIn, leavingOut: changedNames(slot),
            into: &output)
        output.append("\r\n")
        if leftOut > 0 { counters.add(.trailersDropped, UInt64(leftOut)) }
    }
}
