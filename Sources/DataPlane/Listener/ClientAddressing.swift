import Access
import Border
import HTTP

/// Where the address comes from that counts as the client's.
enum AddressSource: String {
    case connection
    case proxyProtocol = "proxy-protocol"
    case forwarded
}

/// The connection's own peer, or whom its PROXY protocol header named. Noted beside the connections, and only where a
/// listener believes anybody: an idle connection's record stays small.
struct NamedPeer {
    var address: NetworkAddress
    var source: AddressSource
}

/// The client's address and its provenance: the connection, a PROXY protocol header, or a field of each
/// request. Each is believed only from peers that the listener names.
extension Reactor {
    private func trust(_ slot: Int32) -> ClientAddressTrust? {
        let all = plan.snapshot.clientAddresses
        let listener = Int(downstreams[slot].pointee.listener)
        return listener < all.count ? all[listener] : nil
    }

    /// Whether it has to say first whom it speaks for.
    func isLoadBalancer(_ client: NetworkAddress, listener: Int) -> Bool {
        let all = plan.snapshot.clientAddresses
        guard listener < all.count, let trust = all[listener] else { return false }
        return trust.proxyProtocolFrom.contains { $0.contains(client) }
    }

    /// A new connection.
    func beginAddressing(_ slot: Int32, listener: Int, isLoadBalancer: Bool) {
        let connection = downstreams[slot]
        connection.pointee.listener = UInt16(listener)
        // The slot may have been another connection's.
        if !state.pointee.namedPeers.isEmpty { state.pointee.namedPeers[slot] = nil }
        connection.pointee.isCounted = !isLoadBalancer
        if isLoadBalancer { connection.pointee.phase = .proxyHeader }
        beginHolding(slot)
    }

    /// Reads the header and not a byte more: what follows belongs to TLS. It has the deadline of the handshake.
    func readProxyHeader(_ slot: Int32) -> Step {
        let connection = downstreams[slot]
        let transport = transports + Int(slot)
        while true {
            switch ProxyHeader.parse(connection.pointee.input.bytes.span) {
            case .needMore(let count):
                connection.pointee.input.reserve(count, pool)
                guard let end = connection.pointee.input.end else { return close(slot) }
                let received = transport.receive(end, count)
                if received > 0 {
                    connection.pointee.input.commit(received)
                    continue
                }
                guard received < 0, !transport.pointee.isFailed else { return refuseProxyHeader(slot) }
                return .wait
            case .refused: return refuseProxyHeader(slot)
            case .local: break
            case .client(let address):
                guard admits(slot, namedAs: address) else { return close(slot) }
                state.pointee.namedPeers[slot] = NamedPeer(address: address, source: .proxyProtocol)
                setClient(slot, address, .proxyProtocol)
                beginHolding(slot)
            }
            connection.pointee.input.release(pool)
            connection.pointee.phase = .handshaking
            return .again
        }
    }

    private func refuseProxyHeader(_ slot: Int32) -> Step {
        counters.add(.proxyHeadersRefused)
        return close(slot)
    }

    /// After the handshake, and under every new configuration.
    func learnTrust(_ slot: Int32) {
        let connection = downstreams[slot]
        guard let trust = trust(slot) else { return forgetForwarded(slot) }
        let own = NamedPeer(address: connection.pointee.client, source: connection.pointee.addressSource)
        let peer = state.pointee.namedPeers[slot] ?? own
        guard trust.forwardedFrom.contains(where: { $0.contains(peer.address) }) else {
            return forgetForwarded(slot)
        }
        state.pointee.namedPeers[slot] = peer
        connection.pointee.readsForwarded = true
        endHolding(slot)
    }

    private func forgetForwarded(_ slot: Int32) {
        downstreams[slot].pointee.readsForwarded = false
        beginHolding(slot)
        guard downstreams[slot].pointee.addressSource == .forwarded,
            let peer = state.pointee.namedPeers[slot]
        else { return }
        setClient(slot, peer.address, peer.source)
    }

    /// The client of this request, by the field that a trusted peer writes.
    ///
    /// - Returns: nil when the request may go on. A peer that is trusted to name clients and names none, or
    /// none that can
    ///   be read, is refused: its own address would be a stranger's best disguise.
    @inline(never)
    func readForwarded(_ slot: Int32) -> Step? {
        guard downstreams[slot].pointee.readsForwarded, let trust = trust(slot) else { return nil }
        let head = downstreams[slot].pointee.input.bytes.span
        let wanted: KnownField = trust.field == .forwarded ? .forwarded : .xForwardedFor
        var chain = ForwardedChain(trusted: trust.forwardedFrom)
        for index in 0..<work.pointee.fields.count {
            let line = work.pointee.fields[index]
            guard line.known == wanted else { continue }
            guard chain.read(head.extracting(line.value.indices), trust.field) else {
                return refuse(slot, 400, .requestMalformed)
            }
        }
        guard case .client(let address) = chain.found else { return refuse(slot, 400, .requestMalformed) }
        setClient(slot, address, .forwarded)
        return nil
    }

    private func setClient(_ slot: Int32, _ address: NetworkAddress, _ source: AddressSource) {
        let connection = downstreams[slot]
        connection.pointee.addressSource = source
        guard connection.pointee.client != address else { return }
        connection.pointee.client = address
        let text = AddressText(address)
        connection.pointee.forwarded = ForwardedFields(
            client: text.bytes.span.extracting(0..<text.count), isSecure: true)
    }
}
