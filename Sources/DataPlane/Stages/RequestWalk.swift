import Access
import Border
import HTTP

/// The way of a request, in one function: head → canonical request → route → session → decision → upstream.
///
/// A walk that has to wait (for a session, for a connection) leaves the head where it is and is simply walked
/// again: what was decided before waiting is decided anew, so nothing that changed meanwhile is missed.
extension Reactor {
    func walk(_ slot: Int32) -> Step {
        if let step = readHead(slot) { return step }
        guard let request = work.pointee.request else {
            preconditionFailure("slot \(slot) walks without a head")
        }
        beginExchange(slot, request)
        if downstreams[slot].pointee.planRevision != state.pointee.revision { learnCertificate(slot) }
        if downstreams[slot].pointee.readsForwarded, let step = readForwarded(slot) { return step }
        guard let route = route(slot, request) else { return refuse(slot, 421, .routeNotFound) }
        remember(slot, route)
        guard isRightConnection(slot, for: route) else { return refuse(slot, 421, .routeNotFound) }
        guard route.isProxied, !isReserved(slot, request) else { return askControl(slot, request, .reserved) }
        return route.pathRoutes == nil ? go(slot, request, route) : takePathRoute(slot, request, route)
    }

    /// The way on, of the one request that policy judges and that is forwarded.
    @inline(__always)
    func go(_ slot: Int32, _ request: CanonicalRequest, _ route: Route) -> Step {
        if request.method == .options, let step = preflight(slot, request, route) { return step }
        let session: Int32
        switch findSession(slot, route) {
        case .session(let found): session = found
        case .none: session = -1
        case .done(let step): return step
        }
        switch decide(slot, request, route, session) {
        case .forward:
            if session >= 0, nowSeconds >= sessions[session].pointee.record.recheckAtSeconds,
                let step = recheck(slot, request, session)
            {
                return step
            }
            return forward(slot, request, route, session)
        case .signIn: return turnAway(slot, request, .signInRequired)
        case .refuse(let reason):
            guard session < 0 || sessions[session].pointee.record.client == .person else {
                // A machine reads no page; a person's browser shows its certificate to whoever asks.
                guard mayBePerson(slot, session) else { return refuse(slot, 403, reason) }
                return turnAway(slot, request, .signInRequired)
            }
            if let way = stepUp(slot, request, session) { return askToStepUp(slot, request, way) }
            return turnAway(slot, request, reason)
        case .recompute: return pullAgain(slot, session)
        }
    }

    /// People get a page or a redirect from the control plane; programs get a status and a reason.
    func turnAway(_ slot: Int32, _ request: CanonicalRequest, _ reason: Reason) -> Step {
        downstreams[slot].pointee.exchange.decision = reason
        if downstreams[slot].pointee.exchange.isGRPC {
            return refuse(slot, isRemediedByOpening(reason) ? 401 : 403, reason)
        }
        if isNavigation(slot) {
            return askControl(slot, request, reason == .signInRequired ? .signIn : .refused(reason))
        }
        guard isFormNavigation(slot) else {
            return refuse(slot, isRemediedByOpening(reason) ? 401 : 403, reason)
        }
        if isRemediedByOpening(reason), mayKeepForm(slot, request) {
            return askControl(slot, request, .keepForm)
        }
        return askControl(slot, request, .refused(reason), readsBody: false)
    }
    /// Whether all that is missing is a page that a person opens: the sign-in, or the next device check.
    private func isRemediedByOpening(_ reason: Reason) -> Bool {
        reason == .signInRequired || reason == .postureRequired
    }
}
