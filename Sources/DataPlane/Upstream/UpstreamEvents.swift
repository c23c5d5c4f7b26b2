import Access
import CLinux
import Glibc

/// What an epoll event on an upstream connection means.
extension Reactor {
    func upstreamReady(_ upstream: Int32) {
        switch upstreams[upstream].pointee.phase {
        case .connecting: continueConnect(upstream)
        case .securing: continueSecuring(upstream)
        case .ready:
            let transport = transports + Int(upstream)
            let slot = upstreams[upstream].pointee.downstream
            if slot >= 0, downstreams[slot].pointee.exchange.isCutQueued { return }
            if !transport.pointee.pending.isEmpty {
                transport.flush()
                if slot >= 0, let stream = (transports + Int(slot)).stream { giveBackWindow(stream) }
            }
            if slot >= 0 { serve(slot) }
        case .idle: checkIdle(upstream)
        case .probing: continueProbe(upstream)
        case .multiplexing: multiplexUpstream(upstream)
        case .streaming: preconditionFailure("an event for stream \(upstream)")
        }
    }

    private func continueConnect(_ upstream: Int32) {
        let transport = transports + Int(upstream)
        guard transport.pointee.isWritable else { return }
        var error: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(transport.pointee.descriptor, SOL_SOCKET, SO_ERROR, &error, &length)
        guard error == 0 else { return connectFailed(upstream, .connect(error)) }
        upstreams[upstream].pointee.phase = .securing
        continueSecuring(upstream)
    }

    private func continueSecuring(_ upstream: Int32) {
        switch (transports + Int(upstream)).handshake() {
        case .wait: return
        case .failed: connectFailed(upstream, ClientContext.fault(of: transports[Int(upstream)].ssl))
        case .done:
            if upstreams[upstream].pointee.http2 != nil { return beginMultiplexing(of: upstream) }
            guard !upstreams[upstream].pointee.isProbe else { return sendProbe(upstream) }
            upstreams[upstream].pointee.phase = .ready
            let slot = upstreams[upstream].pointee.downstream
            // The request is walked again from its head: policy may have changed while the connect took its
            // time.
            downstreams[slot].pointee.phase = .head
            serve(slot)
        }
    }

    /// Another endpoint gets its turn, as long as there are others and repetitions left. Nothing was sent yet.
    func connectFailed(_ upstream: Int32, _ fault: UpstreamFault) {
        guard !upstreams[upstream].pointee.isProbe else { return probeEnded(upstream, fault) }
        if upstreams[upstream].pointee.http2 != nil { return multiplexingFailed(upstream, fault) }
        let slot = upstreams[upstream].pointee.downstream
        upstreamFailed(
            upstreams[upstream].pointee.endpoint, upstreams[upstream].pointee.group, fault, isConnect: true)
        tryElsewhere(slot, otherwise: 502, .upstreamUnavailable)
    }

    /// The time to connect, or to wait for a place, is over.
    func connectDeadlinePassed(_ slot: Int32) {
        let upstream = downstreams[slot].pointee.exchange.upstream
        guard upstream >= 0 else {
            counters.add(.upstreamWaitsExpired)
            return resume(slot, refuse(slot, 503, .upstreamBusy))
        }
        counters.add(.upstreamConnectsExpired)
        upstreamFailed(
            upstreams[upstream].pointee.endpoint, upstreams[upstream].pointee.group, .connectTimeout,
            isConnect: true)
        tryElsewhere(slot, otherwise: 504, .upstreamTimeout)
    }

    func tryElsewhere(_ slot: Int32, otherwise status: Int, _ reason: Reason) {
        let connection = downstreams[slot]
        let group = upstreams[connection.pointee.exchange.upstream].pointee.group
        guard group.state.pointee.endpoints.count > Int(connection.pointee.exchange.connectAttempts) + 1,
            mayRetry(slot, group)
        else {
            releaseUpstream(slot, isReusable: false)
            return resume(slot, refuse(slot, status, reason))
        }
        releaseForRepetition(slot)
        connection.pointee.phase = .head
        serve(slot)
    }

    /// A pooled connection that says anything, or ends, is of no more use. Under TLS a session ticket is no
    /// speech.
    private func checkIdle(_ upstream: Int32) {
        guard let scratch = work.pointee.outputBytes, transports[Int(upstream)].isReadable else { return }
        switch (transports + Int(upstream)).read(scratch, 1) {
        case .wait: return
        case .bytes, .end, .failed: closeUpstream(upstream)
        }
    }

    /// Continues a connection after a step that was taken outside of `serve`.
    func resume(_ slot: Int32, _ step: Step) {
        switch step {
        case .again: serve(slot)
        case .wait, .closed: return
        }
    }
}
