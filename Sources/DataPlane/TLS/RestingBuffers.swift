import COpenSSL
import HTTP

/// TLS buffers (34 KiB per connection, and 2 KiB for its last head) stay while a connection is busy and go when it
/// rests.
///
/// `SSL_MODE_RELEASE_BUFFERS` gives them back after every record, which is two large allocations per request. Here
/// a connection that was silent from one sweep to the next gives them back, in whatever phase it waits. How many
/// may hold them at all is bounded, and how many of one client: beyond that each gives them back at the end of its
/// visit, as that mode does.
extension Reactor {
    /// Connections of one reactor that hold buffers: 36 MiB at most.
    private static let holdersMax = 1_024
    private static let sweepMilliseconds: UInt64 = 250

    /// After a visit to a connection that may have read or written.
    func restLater(_ slot: Int32) {
        let transport = transports + Int(slot)
        transport.pointee.isBusy = true
        guard !transport.pointee.holdsBuffers, let ssl = transport.pointee.ssl else { return }
        guard state.pointee.bufferHolders.count < Self.holdersMax, !isClientTight(slot) else {
            _ = SSL_free_buffers(ssl)
            return
        }
        if state.pointee.bufferHolders.isEmpty {
            state.pointee.sweepAtMilliseconds = nowMilliseconds + Self.sweepMilliseconds
        }
        transport.pointee.holdsBuffers = true
        if transport.pointee.multiplexed == nil { rememberHeads(slot) }
        state.pointee.bufferHolders.append(downstreams.handle(slot))
    }

    /// A busy connection remembers the lines of its last head as well.
    private func rememberHeads(_ slot: Int32) {
        guard downstreams[slot].pointee.headMemo.storage == nil else { return }
        let (block, _) = pool.pointee.take(atLeast: HeadMemo.storageBytes)
        downstreams[slot].pointee.headMemo = HeadMemo(UnsafeMutableRawPointer(block))
    }

    func forgetHead(_ slot: Int32) {
        guard let block = downstreams[slot].pointee.headMemo.storage else { return }
        downstreams[slot].pointee.headMemo = HeadMemo()
        // The smallest block of the pool.
        pool.pointee.giveBack(
            block.assumingMemoryBound(to: UInt8.self), size: HeadMemo.storageBytes)
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
            if !isBusy {
                transport.pointee.holdsBuffers = false
                forgetHead(handle.slot)
                restFrames(handle.slot)
                chargeClient(handle.slot)
            }
            return !isBusy
        }
        if state.pointee.bufferHolders.isEmpty { state.pointee.sweepAtMilliseconds = .max }
    }
}
