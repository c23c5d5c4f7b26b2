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
            if !transport.pointee.pending.isEmpty { transport.flush() }
            let slot = upstreams[upstream].pointee.downstream
            if slot >= 0 { serve(slot) }
        case .idle: checkIdle(upstream)
        }
    }

    private func continueConnect(_ upstream: Int32) {
        let transport = transports + Int(upstream)
        guard transport.pointee.isWritable else { return }
        var error: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(transport.pointee.descriptor, SOL_SOCKET, SO_ERROR, &error, &length)
        guard error == 0 else { return connectFailed(upstream) }
        upstreams[upstream].pointee.phase = .securing
        continueSecuring(upstream)
    }

    private func continueSecuring(_ upstream: Int32) {
        switch (transports + Int(upstream)).handshake() {
        case .wait: return
        case .failed: connectFailed(upstream)
        case .done:
            upstreams[upstream].pointee.phase = .ready
            upstreams[upstream].pointee.endpoint.failedUntilNanoseconds = 0
            let slot = upstreams[upstream].pointee.downstream
            // The request is walked again from its head: policy may have changed while the connect took its
            // time.
            downstreams[slot].pointee.phase = .head
            serve(slot)
        }
    }

    /// Another endpoint gets its turn, as often as there are endpoints.
    func connectFailed(_ upstream: Int32) {
        let slot = upstreams[upstream].pointee.downstream
        upstreamRefused(upstreams[upstream].pointee.endpoint)
        releaseUpstream(slot, isReusable: false)
        let connection = downstreams[slot]
        connection.pointee.exchange.connectAttempts += 1
        let endpoints = connection.pointee.route?.endpoints.count ?? 0
        guard connection.pointee.exchange.connectAttempts < endpoints else {
            return resume(slot, refuse(slot, 502, .upstreamUnavailable))
        }
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
