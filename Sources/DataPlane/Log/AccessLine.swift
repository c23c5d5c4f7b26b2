import Access
import Border
import HTTP
import JSON

/// One line per request, put together on the reactor without a `String` of our own making and written
/// elsewhere.
extension Reactor {
    private static let pathBytesMax = 1_024

    func writeAccessLine(_ slot: Int32) {
        let connection = downstreams[slot]
        var line = work.pointee.logLine
        work.pointee.logLine = JSONLineWriter()
        line = JSONLineWriter(reusing: line.bytes)
        line.beginObject()
        var time = InlineArray<32, UInt8>(repeating: 0)
        let written = withUnsafeMutableBytes(of: &time) { raw -> Int in
            var output = HeadOutput(raw)
            HTTPDate.writeTimestamp(milliseconds: Clock.wallMilliseconds(), into: &output)
            return output.count
        }
        line.field("time", bytes: time.span.extracting(0..<written))
        addNames(slot, to: &line)
        line.field("host", connection.pointee.route?.host ?? "-")
        line.field("application", connection.pointee.route?.name ?? "-")
        line.field("method", "\(connection.pointee.exchange.accessMethod.rawValue)")
        line.field("protocol", protocolName(slot))
        connection.pointee.decidedPath.withBytes { path in
            line.field("path", bytes: path.extracting(0..<min(path.count, Self.pathBytesMax)))
        }
        line.field("status", Int64(connection.pointee.exchange.status))
        line.field("reason", Self.reason(connection.pointee.exchange))
        addDecision(slot, to: &line)
        let session = connection.pointee.loggedSession
        if let session { line.field("session", session.id) }
        if let device = session?.device { line.field("device", device) }
        line.field("bytes_in", Int64(connection.pointee.exchange.bytesIn))
        line.field("bytes_out", Int64(connection.pointee.exchange.bytesOut))
        addDurations(slot, to: &line)
        line.endObject()
        if !log.write(line.bytes.span) { counters.add(.logLinesDropped) }
        work.pointee.logLine = line
    }

    /// Its registered name (RFC 7301 §6).
    private func protocolName(_ slot: Int32) -> String {
        if (transports + Int(slot)).stream != nil { return "h2" }
        return downstreams[slot].pointee.exchange.isHTTP10 ? "http/1.0" : "http/1.1"
    }

    /// Why it was answered as it was. The control plane's pages under `/.gatepost/` are nobody's decision, and a
    /// client that leaves before anything was decided gets none.
    private static func reason(_ exchange: Exchange) -> String {
        if let reason = exchange.reason ?? exchange.decision { return reason.rawValue }
        return exchange.status == 0 ? "undecided" : "reserved-path"
    }

    /// What the request was decided by: together with the decision log it is all that deciding it again takes.
    private func addDecision(_ slot: Int32, to line: inout JSONLineWriter) {
        let connection = downstreams[slot]
        if let id = connection.pointee.exchange.decidedBy {
            var name = InlineArray<32, UInt8>(repeating: 0)
            withUnsafeMutableBytes(of: &name) { raw in
                var output = HeadOutput(raw)
                Hex.write(id.high, into: &output)
                Hex.write(id.low, into: &output)
            }
            line.field("decision", bytes: name.span)
        } else if connection.pointee.exchange.isDecidedByRoute, let route = connection.pointee.route {
            line.field("decision", route.anonymousDecision)
        }
    }

    private func addNames(_ slot: Int32, to line: inout JSONLineWriter) {
        let connection = downstreams[slot]
        var name = InlineArray<40, UInt8>(repeating: 0)
        func hex(_ high: UInt64, _ low: UInt64) {
            withUnsafeMutableBytes(of: &name) { raw in
                var output = HeadOutput(raw)
                Hex.write(high, into: &output)
                Hex.write(low, into: &output)
            }
        }
        hex(connection.pointee.exchange.names.requestIDHigh, connection.pointee.exchange.names.requestIDLow)
        line.field("request_id", bytes: name.span.extracting(0..<32))
        hex(connection.pointee.exchange.names.traceHigh, connection.pointee.exchange.names.traceLow)
        line.field("trace_id", bytes: name.span.extracting(0..<32))
        let address = AddressText(connection.pointee.client)
        line.field("client", bytes: address.bytes.span.extracting(0..<address.count))
        let source = connection.pointee.addressSource
        if source != .connection { line.field("client_from", source.rawValue) }
    }

    /// Microseconds: in all, parked, and from the request's last byte sent to the upstream's head.
    private func addDurations(_ slot: Int32, to line: inout JSONLineWriter) {
        let connection = downstreams[slot]
        let total = Clock.monotonicNanoseconds() &- connection.pointee.exchange.beganNanoseconds
        line.field("total_us", Int64(total / 1_000))
        line.field("parked_us", Int64(connection.pointee.exchange.parkNanoseconds / 1_000))
        guard connection.pointee.exchange.headNanoseconds > 0 else { return }
        let upstream =
            connection.pointee.exchange.headNanoseconds &- connection.pointee.exchange.sentNanoseconds
        line.field("upstream_us", Int64(upstream / 1_000))
    }
}
