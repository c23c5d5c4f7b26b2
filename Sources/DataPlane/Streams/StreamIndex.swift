import Border

/// Session → its open exchanges on this reactor: what a revocation has to look at, and nothing else.
extension Reactor {
    func attachSession(_ slot: Int32, _ session: Int32) {
        let connection = downstreams[slot]
        guard session >= 0, connection.pointee.exchange.session < 0 else { return }
        let entry = sessions[session]
        connection.pointee.exchange.session = session
        if state.pointee.writesAccessLog {
            connection.pointee.loggedSession = (
                entry.pointee.record.session, entry.pointee.record.device
            )
        }
        connection.pointee.previousStream = -1
        connection.pointee.nextStream = entry.pointee.firstStream
        if entry.pointee.firstStream >= 0 {
            downstreams[entry.pointee.firstStream].pointee.previousStream = slot
        }
        entry.pointee.firstStream = slot
        entry.pointee.streams += 1
    }

    func detachSession(_ slot: Int32) {
        let connection = downstreams[slot]
        let session = connection.pointee.exchange.session
        guard session >= 0 else { return }
        let next = connection.pointee.nextStream
        let previous = connection.pointee.previousStream
        if previous >= 0 {
            downstreams[previous].pointee.nextStream = next
        } else {
            sessions[session].pointee.firstStream = next
        }
        if next >= 0 { downstreams[next].pointee.previousStream = previous }
        connection.pointee.exchange.session = -1
        connection.pointee.nextStream = -1
        connection.pointee.previousStream = -1
        sessions[session].pointee.streams -= 1
        sessions.releaseIfDropped(session)
    }

    /// The open exchanges of one session. Copied, because ending one changes the chain.
    func streams(of session: Int32) -> [Int32] {
        var found: [Int32] = []
        var slot = sessions[session].pointee.firstStream
        while slot >= 0 {
            found.append(slot)
            slot = downstreams[slot].pointee.nextStream
        }
        return found
    }
}
