import Access
import Border
import CLinux
import COpenSSL
import Glibc

/// From a waiting connection to a TLS connection that may send its first request.
extension Reactor {
    /// New connections per turn: a flood of handshakes must not starve those who are being served.
    private static let acceptsPerTurnMax = 16

    func acceptConnections() {
        guard state.pointee.isAccepting else { return }
        for index in 0..<listenerCount {
            for _ in 0..<Self.acceptsPerTurnMax {
                guard acceptOne(index) else { break }
            }
        }
    }

    private func acceptOne(_ index: Int) -> Bool {
        guard mayAccept() else { return false }
        let listener = listeners[index].descriptor
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let descriptor = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                accept4(listener, $0, &length, ListenSocket.flags)
            }
        }
        guard descriptor >= 0 else { return acceptFailed(listener) }
        counters.add(.accepted)
        let client = SocketAddress.networkAddress(storage)
        let isLoadBalancer = isLoadBalancer(client, listener: index)
        guard isLoadBalancer || admits(client) else {
            _ = Glibc.close(descriptor)
            return true
        }
        if downstreams.count == downstreams.capacity { closeOldestIdle() }
        let record = Downstream(
            client: client,
            acceptedNanoseconds: nowNanoseconds,
            exchange: work.pointee.freshExchange)
        guard let handle = downstreams.insert(record) else {
            counters.add(.connectionsRefused)
            if !isLoadBalancer { clients.leave(client, nowMilliseconds: nowMilliseconds) }
            _ = Glibc.close(descriptor)
            return true
        }
        SocketAddress.disableNagle(descriptor)
        SocketAddress.boundUnsent(descriptor)
        beginLooking(handle.slot)
        beginAddressing(handle.slot, listener: index, isLoadBalancer: isLoadBalancer)
        let transport = transports + Int(handle.slot)
        transport.initialize(to: Transport(descriptor: descriptor, pool: pool))
        // The socket of a new connection takes bytes; whether it has some, the first edge will say.
        transport.pointee.isWritable = true
        watch(descriptor, handle)
        timers.set(handle.slot, at: nowMilliseconds + UInt64(limits.handshakeMilliseconds))
        return true
    }

    /// Whoever says nothing is given nothing: OpenSSL's part of a connection, 20 KiB, begins with its first byte.
    /// - Returns: false when memory is out.
    private func beginTLS(_ slot: Int32) -> Bool {
        let transport = transports + Int(slot)
        let listener = Int(downstreams[slot].pointee.listener)
        transport.pointee.ssl = plan.server.makeConnection(
            over: transport, listener: listener, offersHTTP2: plan.snapshot.offersHTTP2(listener))
        return transport.pointee.ssl != nil
    }

    func continueHandshake(_ slot: Int32) -> Step {
        let transport = transports + Int(slot)
        if transport.pointee.ssl == nil {
            guard transport.pointee.isReadable else { return .wait }
            guard beginTLS(slot) else { return close(slot) }
        }
        switch transport.handshake() {
        case .wait:
            if transport.pointee.sawHangup, !transport.pointee.isReadable { return close(slot) }
            return .wait
        case .failed:
            counters.add(.handshakeFailures)
            reportRefusedCertificate(slot)
            return close(slot)
        case .done:
            counters.add(.handshakes)
            if SSL_session_reused(transport.pointee.ssl) == 1 { counters.add(.handshakesResumed) }
            counters.record(.handshake, nowNanoseconds &- downstreams[slot].pointee.acceptedNanoseconds)
            learnCertificate(slot)
            if let proof = ClientProof(transport.pointee.ssl) {
                proof.isRevoked = isRevoked(proof)
                downstreams[slot].pointee.machine = MachineMemory(proof)
            }
            if speaksHTTP2(slot) { return beginMultiplexing(slot) }
            becomeIdle(slot)
            // Who opened a connection wants something: until it says what, it has less time than between two.
            timers.set(
                slot,
                at: nowMilliseconds + UInt64(min(limits.idleMilliseconds, limits.firstRequestMilliseconds)))
            return .again
        }
    }

    /// Which certificate the client's server name stands for in the present plan.
    func learnCertificate(_ slot: Int32) {
        let name = ServerContext.serverName(of: ssl(of: slot))
        downstreams[slot].pointee.certificate =
            name.map { Int32(plan.server.certificate(for: $0) ?? 0) } ?? -1
        downstreams[slot].pointee.planRevision = state.pointee.revision
        // Whether its certificate still stands for a device is asked anew.
        if downstreams[slot].pointee.machine != nil { downstreams[slot].pointee.lastCookie = CookieMemo() }
        learnTrust(slot)
    }

    /// Between two requests. Idle connections are the ones that make room when there is none.
    func becomeIdle(_ slot: Int32) {
        let connection = downstreams[slot]
        connection.pointee.phase = .head
        timers.set(slot, at: nowMilliseconds + UInt64(limits.idleMilliseconds))
        guard !connection.pointee.isIdle else { return }
        connection.pointee.isIdle = true
        connection.pointee.previousIdle = state.pointee.lastIdle
        connection.pointee.nextIdle = -1
        if state.pointee.lastIdle >= 0 {
            downstreams[state.pointee.lastIdle].pointee.nextIdle = slot
        } else {
            state.pointee.firstIdle = slot
        }
        state.pointee.lastIdle = slot
    }

    func leaveIdle(_ slot: Int32) {
        let connection = downstreams[slot]
        guard connection.pointee.isIdle else { return }
        connection.pointee.isIdle = false
        let next = connection.pointee.nextIdle
        let previous = connection.pointee.previousIdle
        if previous >= 0 {
            downstreams[previous].pointee.nextIdle = next
        } else {
            state.pointee.firstIdle = next
        }
        if next >= 0 {
            downstreams[next].pointee.previousIdle = previous
        } else {
            state.pointee.lastIdle = previous
        }
    }

    private func closeOldestIdle() {
        guard state.pointee.firstIdle >= 0 else { return }
        counters.add(.idleConnectionsDisplaced)
        close(state.pointee.firstIdle)
    }
}
