import Border
import Glibc
import HTTP

/// Health checks, beside all requests: each reactor asks for itself, on connections of their own, at times that are
/// spread. What changes is told to the control plane, once.
extension Reactor {
    /// Under way at a time. There are so many slots more, so that no request lacks one.
    static let probesMax = 64
    private static let restMilliseconds: UInt64 = 20
    private static let tellAgainMilliseconds: UInt64 = 1_000

    /// Begins what is due, tells what changed, and says when to look again.
    func tendUpstreams() {
        let now = nowMilliseconds
        var next = UInt64.max
        for group in state.pointee.groups.values {
            let health = group.state.pointee.rules.health
            for endpoint in group.state.pointee.endpoints {
                if let health {
                    if !endpoint.state.pointee.isBeingProbed,
                        endpoint.state.pointee.probeAtMilliseconds <= now
                    {
                        beginProbe(endpoint, group, health)
                    }
                    if !endpoint.state.pointee.isBeingProbed {
                        next = min(next, endpoint.state.pointee.probeAtMilliseconds)
                    }
                }
                if !tell(endpoint, group) { next = min(next, now + Self.tellAgainMilliseconds) }
                let end = endpoint.state.pointee.health.ejectedUntilMilliseconds
                if end > now { next = min(next, end) }
            }
        }
        state.pointee.tendUpstreamsAtMilliseconds =
            next == .max ? .max : max(next, now + Self.restMilliseconds)
    }

    /// After a change of the configuration: all are looked at, new ones within the first part of their interval.
    func scheduleProbes() {
        for group in state.pointee.groups.values {
            guard let health = group.state.pointee.rules.health else { continue }
            let spread = UInt64(min(max(1, health.intervalMilliseconds), 1_000))
            for endpoint in group.state.pointee.endpoints
            where endpoint.state.pointee.probeAtMilliseconds == 0 {
                endpoint.state.pointee.probeAtMilliseconds =
                    nowMilliseconds + state.pointee.random.next() % spread
            }
        }
        state.pointee.tendUpstreamsAtMilliseconds = nowMilliseconds
    }

    // MARK: One check

    private func beginProbe(_ endpoint: Endpoint, _ group: UpstreamGroup, _ rules: HealthRules) {
        // A tenth of the interval earlier or later each time: gateways that started together do not ask together.
        let interval = UInt64(max(10, rules.intervalMilliseconds))
        let jitter = state.pointee.random.next() % (interval / 5 + 1)
        endpoint.state.pointee.probeAtMilliseconds = nowMilliseconds + interval - interval / 10 + jitter
        guard state.pointee.probes < Self.probesMax else {
            endpoint.state.pointee.probeAtMilliseconds = nowMilliseconds + Self.restMilliseconds
            return
        }
        counters.add(.upstreamProbes)
        guard let upstream = openUpstream(endpoint, group, isProbe: true) else {
            return probed(endpoint, group, .connect(errno))
        }
        state.pointee.probes += 1
        endpoint.state.pointee.isBeingProbed = true
        timers.set(upstream, at: nowMilliseconds + UInt64(max(1, rules.timeoutMilliseconds)))
    }

    func sendProbe(_ upstream: Int32) {
        let record = upstreams[upstream]
        record.pointee.phase = .probing
        let request = record.pointee.group.state.pointee.probe
        request.withUnsafeBufferPointer { bytes in
            if let start = bytes.baseAddress { (transports + Int(upstream)).write(start, bytes.count) }
        }
        continueProbe(upstream)
    }

    func continueProbe(_ upstream: Int32) {
        let record = upstreams[upstream]
        let transport = transports + Int(upstream)
        if !transport.pointee.pending.isEmpty { transport.flush() }
        guard !transport.pointee.isFailed else { return probeEnded(upstream, .noAnswer) }
        while transport.mayRead {
            record.pointee.input.reserve(4_096, pool)
            guard let end = record.pointee.input.end else { return probeEnded(upstream, .noAnswer) }
            switch transport.read(end, record.pointee.input.room) {
            case .bytes(let count): record.pointee.input.commit(count)
            case .wait: return
            case .end, .failed: return probeEnded(upstream, .noAnswer)
            }
            switch work.pointee.responseParser.parse(
                record.pointee.input.bytes.span, answering: .get, into: &work.pointee.responseFields)
            {
            case .needMore: continue
            case .refused: return probeEnded(upstream, .malformed)
            case .head(let response):
                // Nothing was sent that an interim answer could be about.
                guard !response.isInterim, response.status != 101 else {
                    return probeEnded(upstream, .malformed)
                }
                return probeEnded(upstream, judge(response.status, record.pointee.group))
            }
        }
    }

    func judge(_ status: Int, _ group: UpstreamGroup) -> UpstreamFault? {
        let wanted = group.state.pointee.rules.health?.statuses ?? []
        let isWell = wanted.isEmpty ? (200...299).contains(status) : wanted.contains(status)
        return isWell ? nil : .status(status)
    }

    /// - Parameter fault: nil: well.
    func probeEnded(_ upstream: Int32, _ fault: UpstreamFault?) {
        let endpoint = upstreams[upstream].pointee.endpoint
        let group = upstreams[upstream].pointee.group
        closeUpstream(upstream)
        probed(endpoint, group, fault)
    }

    private func probed(_ endpoint: Endpoint, _ group: UpstreamGroup, _ fault: UpstreamFault?) {
        if fault != nil { counters.add(.upstreamProbesFailed) }
        guard let rules = group.state.pointee.rules.health, !endpoint.state.pointee.isGone else { return }
        endpoint.state.pointee.health.probed(fault, rules)
        state.pointee.tendUpstreamsAtMilliseconds = min(
            state.pointee.tendUpstreamsAtMilliseconds, nowMilliseconds + Self.restMilliseconds)
    }

    /// The connection of a health check is closed.
    func leaveProbe(_ endpoint: Endpoint) {
        endpoint.state.pointee.isBeingProbed = false
        state.pointee.probes -= 1
    }

    // MARK: News

    /// - Returns: false when the control plane could not be told now.
    private func tell(_ endpoint: Endpoint, _ group: UpstreamGroup) -> Bool {
        let health = endpoint.state.pointee.health
        let standing = health.standing(group.state.pointee.rules, at: nowMilliseconds)
        guard standing != endpoint.state.pointee.told else { return true }
        var news = UpstreamNews(
            reactor: number, application: group.name, endpoint: endpoint.name, standing: standing)
        switch standing {
        case .healthy, .probing, .removed: break
        case .unhealthy: news.why = health.fault?.text
        case .ejected:
            news.why = health.fault?.text
            let left = health.ejectedUntilMilliseconds - nowMilliseconds
            news.untilSeconds = nowSeconds + Int64(clamping: (left + 999) / 1_000)
        }
        guard toControl.send(.upstream(news)) else { return false }
        endpoint.state.pointee.told = standing
        return true
    }
}
