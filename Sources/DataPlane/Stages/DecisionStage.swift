import Access
import Border
import HTTP

/// The residual applied to this request's own facts. Nothing is cached: every request is decided.
extension Reactor {
    func decide(_ slot: Int32, _ request: CanonicalRequest, _ route: Route, _ session: Int32) -> Decision {
        let exchange = downstreams[slot]
        let facts = RequestFacts(
            method: exchange.pointee.exchange.accessMethod, client: exchange.pointee.client,
            certificate: exchange.pointee.machine == nil ? nil : certificate(slot, for: route))
        let head = exchange.pointee.input.bytes.span
        let path = (request.path.isInScratch ? work.pointee.scratch.bytes.span : head)
            .extracting(request.path.range.indices)
        let decision: Decision
        if session >= 0 {
            decision = sessions[session].pointee.decide(
                facts, path: path, atSeconds: nowSeconds)
        } else {
            decision = route.anonymous.decide(facts, path: path, atSeconds: nowSeconds)
        }
        if decision != .recompute {
            exchange.pointee.exchange.decidedBy =
                session >= 0 ? sessions[session].pointee.record.decision : nil
            exchange.pointee.exchange.isDecidedByRoute = session < 0
        }
        if case .forward(let policy) = decision {
            // Looks at nil alone: no reference is counted for a request without limits.
            if (session >= 0 ? sessions[session].pointee.limits != nil : route.limits != nil)
                || exchange.pointee.limits != nil
            {
                noteLimits(slot, session >= 0 ? sessions[session].pointee.limits : route.limits, policy)
            }
            exchange.pointee.exchange.decision =
                session >= 0
                ? sessions[session].pointee.reason(for: decision) : route.anonymous.reason(for: decision)
        }
        let now = Clock.monotonicNanoseconds()
        exchange.pointee.exchange.sentNanoseconds = now
        counters.record(.walk, now &- nowNanoseconds)
        return decision
    }
}
