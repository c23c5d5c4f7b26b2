import Access

/// What is open under one decision, held against the limits of the next.
extension Reactor {
    /// - Parameter new: the limits of the policy that would let the request in now.
    /// - Returns: why the exchange ends: it could not be opened like this any more. nil when it goes on.
    func ending(_ slot: Int32, _ new: EnforcedLimits?) -> Reason? {
        let connection = downstreams[slot]
        let old = connection.pointee.limits
        guard new != nil || old != nil else { return nil }
        guard connection.pointee.phase == .forwarding || connection.pointee.phase == .tunnel else {
            // It is walked again before anything of it goes upstream.
            return nil
        }
        // An answer that has not begun is judged by the new ones; one that has begun was written by the old
        // ones.
        if !connection.pointee.exchange.isResponseBegun { connection.pointee.limits = new }
        guard let new else { return nil }
        let isTunnel = connection.pointee.phase == .tunnel
        if new.blocksUploads, old?.blocksUploads != true,
            isTunnel || !connection.pointee.exchange.isRequestComplete
        {
            return .restrictedUpload
        }
        if new.blocksDownloads, old?.blocksDownloads != true, isTunnel || mayBeDownload(slot) {
            return .restrictedDownload
        }
        // The application was told something else about this request, and grants by that.
        let isToldAnew = !new.upstreamLines.isEmpty && new.upstreamLines != old?.upstreamLines
        return isToldAnew ? .sessionEnded : nil
    }

    /// What it is was not looked at when nothing was limited; only that it is no stream of events.
    private func mayBeDownload(_ slot: Int32) -> Bool {
        let connection = downstreams[slot]
        return connection.pointee.exchange.isResponseBegun && !connection.pointee.exchange.isEventStream
    }
}
