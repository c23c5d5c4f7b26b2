import Border
import HTTP

/// Fields of answers that the configuration writes in the place of the application's: its own ones, and those of
/// cross-origin rules.
extension Reactor {
    /// Noted while the request's head is there, anew in every walk.
    @inline(never)
    func noteRewriting(_ slot: Int32, _ route: Route) {
        noteCrossOrigin(slot, route)
        let isCrossOrigin = downstreams[slot].pointee.exchange.crossOrigin != .asSent
        downstreams[slot].pointee.exchange.rewritesHead = isCrossOrigin || route.responseChanges != nil
    }

    /// One writer of `Access-Control-*`: what the application says of other origins goes no further.
    @inline(never)
    func beginRewrittenHead(
        _ slot: Int32, _ response: ResponseHead, _ head: Span<UInt8>, _ framing: BodyFraming,
        _ keepsAlive: Bool, into output: inout HeadOutput
    ) {
        work.pointee.responseWriter.begin(
            response, head: head, fields: work.pointee.responseFields, framing: framing,
            keepsAlive: keepsAlive, leavingOut: changedNames(slot),
            keepsCrossOrigin: downstreams[slot].pointee.exchange.crossOrigin == .asSent, into: &output)
        writeChanges(slot, response, except: .none, into: &output)
    }

    @inline(never)
    func writeDate(into output: inout HeadOutput) {
        output.append("Date: ")
        HTTPDate.write(nowSeconds, into: &output)
        output.append("\r\n")
    }

    func changedNames(_ slot: Int32) -> FieldNames {
        guard downstreams[slot].pointee.exchange.rewritesHead else { return .none }
        return downstreams[slot].pointee.route?.responseChanges?.names ?? .none
    }

    /// Interim answers and upgrades say nothing of a document: there fields are only left out.
    func writeChanges(
        _ slot: Int32, _ response: ResponseHead, except names: FieldNames, into output: inout HeadOutput
    ) {
        guard downstreams[slot].pointee.exchange.rewritesHead, !response.isInterim else { return }
        if response.status != 101 {
            downstreams[slot].pointee.route?.responseChanges?.write(except: names, into: &output)
        }
        writeCrossOriginAnswer(slot, into: &output)
    }
}

/// The changes of one application's answers, as they are compared and sent.
final class PreparedChanges {
    /// What is left out of every answer.
    let names: FieldNames
    private let lines: [(name: [UInt8], line: [UInt8])]

    /// - Returns: nil when nothing is changed.
    init?(_ changes: FieldChanges) {
        guard !changes.isEmpty else { return nil }
        names = FieldNames(changes.names)
        lines = changes.written.map { (Array($0.name.utf8), Array("\($0.name): \($0.value)\r\n".utf8)) }
    }

    /// - Parameter names: fields that a policy writes, which goes before.
    func write(except names: FieldNames, into output: inout HeadOutput) {
        for (name, line) in lines where !names.contains(name.span, name.indices) { output.append(line.span) }
    }
}

@available(*, unavailable) extension PreparedChanges: Sendable {}

extension FieldNames {
    func contains(_ name: StaticString) -> Bool {
        let bytes = UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
        return contains(bytes.span, 0..<bytes.count)
    }
}
