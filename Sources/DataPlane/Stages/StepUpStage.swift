import Access
import Border
import HTTP

/// A refused request that a stronger sign-in would open. Never reached by one that is forwarded.
extension Reactor {
    /// The first step-up of the session that would forward this very request; nil: none would.
    func stepUp(_ slot: Int32, _ request: CanonicalRequest, _ session: Int32) -> StepUpWay? {
        guard session >= 0, !sessions[session].pointee.record.stepUps.isEmpty else { return nil }
        let facts = RequestFacts(
            method: downstreams[slot].pointee.exchange.accessMethod, client: downstreams[slot].pointee.client)
        let path = request.path.copied(
            head: downstreams[slot].pointee.input.bytes.span, scratch: work.pointee.scratch)
        return sessions[session].pointee.record.stepUps.first { way in
            if case .forward = way.residual.decide(facts, path: path.span, atSeconds: nowSeconds) {
                return true
            }
            return false
        }
    }

    /// People are sent to their provider by the control plane; programs are told what is missing (RFC 9470 §3).
    func askToStepUp(_ slot: Int32, _ request: CanonicalRequest, _ way: StepUpWay) -> Step {
        let reason = Reason.authenticationInsufficient
        guard !isNavigation(slot), !isFormNavigation(slot) else { return turnAway(slot, request, reason) }
        downstreams[slot].pointee.exchange.decision = reason
        return refuse(slot, 401, reason, way)
    }
}
