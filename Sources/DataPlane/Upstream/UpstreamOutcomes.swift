import Access
import Border
import HTTP

/// What became of requests at an endpoint, and what follows: whether they are tried again, and who is left out.
extension Reactor {
    /// A request failed at an endpoint. The last one that is left is never left out: trying it is all that can be done.
    func upstreamFailed(
        _ endpoint: Endpoint, _ group: UpstreamGroup, _ fault: UpstreamFault, isConnect: Bool
    ) {
        counters.add(.upstreamFailures)
        let rules = group.state.pointee.rules
        guard endpoint.state.pointee.health.failed(fault, isConnect: isConnect, rules) else { return }
        eject(endpoint, group)
    }

    private func eject(_ endpoint: Endpoint, _ group: UpstreamGroup) {
        let now = nowMilliseconds
        let others = group.state.pointee.endpoints.contains {
            $0 !== endpoint && $0.state.pointee.health.isAvailable(at: now)
        }
        guard others, endpoint.state.pointee.health.isAvailable(at: now) else { return }
        endpoint.state.pointee.health.eject(group.state.pointee.rules, at: now)
        counters.add(.upstreamEjections)
        state.pointee.tendUpstreamsAtMilliseconds = now
    }

    /// The exchange ends because of its upstream; counted once for each connection that carried it.
    func noteUpstreamFailure(_ slot: Int32, _ reason: Reason) {
        let upstream = downstreams[slot].pointee.exchange.upstream
        guard upstream >= 0, !upstreams[upstream].pointee.hasFailed else { return }
        let fault: UpstreamFault
        if reason == .upstreamTimeout {
            fault = .answerTimeout
        } else if reason == .upstreamMalformed {
            fault = .malformed
            noteMalformed(upstream)
        } else if reason == .upstreamUnavailable {
            fault = .noAnswer
        } else {
            return
        }
        upstreams[upstream].pointee.hasFailed = true
        upstreamFailed(
            upstreams[upstream].pointee.endpoint, upstreams[upstream].pointee.group, fault, isConnect: false)
    }

    /// An exchange gives its connection back while answers are watched.
    func noteAnswer(_ slot: Int32, _ record: UnsafeMutablePointer<Upstream>) {
        guard downstreams[slot].pointee.exchange.isResponseBegun, !record.pointee.hasFailed else { return }
        let status = Int(downstreams[slot].pointee.exchange.status)
        let group = record.pointee.group
        let endpoint = record.pointee.endpoint
        let rules = group.state.pointee.rules
        if endpoint.state.pointee.health.answered(status, rules, at: nowMilliseconds) {
            eject(endpoint, group)
        }
    }

    /// Whether a request whose connection ended before the answer began may be sent once more: one that changes
    /// nothing, has no body, and whose answer nobody has seen a byte of. A connection that lay in the pool was most
    /// likely closed while it lay there, so the same endpoint is good enough; otherwise another one must be left.
    func mayRepeat(_ slot: Int32) -> Bool {
        let connection = downstreams[slot]
        let record = upstreams[connection.pointee.exchange.upstream]
        guard !record.pointee.hasAnswered, connection.pointee.exchange.isBodyless,
            connection.pointee.exchange.method.isIdempotent
        else { return false }
        let group = record.pointee.group
        let isStale = record.pointee.isReused && !connection.pointee.exchange.isRetry
        if !isStale {
            noteUpstreamFailure(slot, .upstreamUnavailable)
            guard group.state.pointee.endpoints.count > 1 else { return false }
        }
        return mayRetry(slot, group)
    }

    /// One repetition more, out of the request's own number and the application's budget.
    func mayRetry(_ slot: Int32, _ group: UpstreamGroup) -> Bool {
        let attempts = Int(downstreams[slot].pointee.exchange.connectAttempts)
        guard attempts < group.state.pointee.rules.retriesMax else { return false }
        guard group.state.pointee.budget.take(requests: group.state.pointee.forwarded, at: nowMilliseconds)
        else {
            counters.add(.upstreamRetriesRefused)
            return false
        }
        downstreams[slot].pointee.exchange.connectAttempts += 1
        counters.add(.upstreamRetries)
        return true
    }

    /// The longest silence of the exchange's body or tunnel.
    func idleMilliseconds(_ slot: Int32) -> Int {
        let upstream = downstreams[slot].pointee.exchange.upstream
        return upstream >= 0 ? Int(upstreams[upstream].pointee.idleMilliseconds) : limits.bodyIdleMilliseconds
    }

    /// How long the head of the exchange's answer may take.
    func headMilliseconds(_ slot: Int32) -> Int {
        let upstream = downstreams[slot].pointee.exchange.upstream
        return upstream >= 0
            ? Int(upstreams[upstream].pointee.headMilliseconds) : limits.upstreamHeadMilliseconds
    }
}
