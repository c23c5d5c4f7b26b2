import COpenSSL

/// TLS buffers (34 KiB per connection) stay while a connection is busy and go when it rests.
///
/// `SSL_MODE_RELEASE_BUFFERS` gives them back after every record, which is two large allocations per request. Here
/// a connection that was silent from one sweep to the next gives them back, in whatever phase it waits. How many
/// may hold them at all is bounded: beyond that each gives them back at the end of its visit, as that mode does.
extension Reactor {
    /// Connections of one reactor that hold buffers: 34 MiB at most.
    private static let holdersMax = 1_024
    private static let sweepMilliseconds: UInt64 = 1_000

    /// After a visit to a connection that may have read or written.
    func restLater(_ slot: Int32) {
        let transport = transports + Int(slot)
        transport.pointee.isBusy = true
        guard !transport.pointee.holdsBuffers, let ssl = transport.pointee.ssl else { return }
        guard state.pointee.bufferHolders.count < Self.holdersMax else {
            _ = SSL_free_buffers(ssl)
            return
        }
        if state.pointee.bufferHolders.isEmpty {
            state.pointee.sweepAtMilliseconds = nowMilliseconds + Self.sweepMilliseconds
        }
        transport.pointee.holdsBuffers = true
        state.pointee.bufferHolders.append(downstreams.handle(slot))
    }

    /// Takes the buffers of whoever was silent since the last sweep.
    func sweepBuffers() {
        state.pointee.sweepAtMilliseconds = nowMilliseconds + Self.sweepMilliseconds
        let transports = transports
        let downstreams = downstreams
        state.pointee.bufferHolders.removeAll { handle in
            guard downstreams.isCurrent(handle) else { return true }
            let transport = transports + Int(handle.slot)
            // Half a record lies in them: OpenSSL keeps them, and so does the list.
            let isBusy = transport.pointee.isBusy || SSL_free_buffers(transport.pointee.ssl) != 1
            transport.pointee.isBusy = false
            if !isBusy { transport.pointee.holdsBuffers = false }
            return !isBusy
        }
        if state.pointee.bufferHolders.isEmpty { state.pointee.sweepAtMilliseconds = .max }
    }
}
