import Access
import Border

/// What one HTTP/2 connection may have of everybody's: streams, places of its client, and memory.
extension Reactor {
    /// So much is reckoned for a stream that is read slowly both ways.
    private static let streamBytes = 40 << 10
    /// Waits of a stream's answer at least before its upstream is read no further.
    private static let leastRoomBytes = 4 << 10
    /// Streams that are open at once and count as one connection of the client.
    static let streamsPerPlace = 16

    /// Streams that a client may have open (RFC 9113 §6.5.2).
    var http2StreamsMax: Int {
        max(1, min(limits.http2.streamsMax, limits.connectionMemoryBytesMax / Self.streamBytes))
    }

    /// Many streams of one connection are as many requests as many connections: they count among those of the client's
    /// address, in steps, so that a request costs no look at what all reactors share.
    func takePlace(_ connection: HTTP2ConnectionPointer) -> Bool {
        let wanted = connection.pointee.streamCount / Self.streamsPerPlace
        guard wanted > connection.pointee.morePlaces else { return true }
        guard let address = countedAddress(connection.pointee.slot) else { return true }
        guard clients.admitMore(address, connectionsMax: limits.connectionsPerAddressMax) else {
            counters.add(.addressConnectionsRefused)
            report(.connectionsOfAddress, client: address)
            return false
        }
        connection.pointee.morePlaces += 1
        return true
    }

    /// Before `forgetClient`.
    func leavePlaces(_ connection: HTTP2ConnectionPointer) {
        guard connection.pointee.morePlaces > 0,
            let address = countedAddress(connection.pointee.slot)
        else { return }
        for _ in 0..<connection.pointee.morePlaces {
            clients.leave(address, nowMilliseconds: nowMilliseconds)
        }
        connection.pointee.morePlaces = 0
    }

    // MARK: Memory

    /// The more streams have answers waiting, the less each may have.
    func shareRoom(_ connection: HTTP2ConnectionPointer) {
        let streams = max(1, connection.pointee.streamCount)
        let room = Int32(
            clamping: min(
                Transport.pendingBytesHigh,
                max(Self.leastRoomBytes, limits.connectionMemoryBytesMax / 8 / streams)))
        guard room != connection.pointee.room else { return }
        connection.pointee.room = room
        var stream = connection.pointee.firstStream
        while let current = stream {
            transports[Int(current.pointee.slot)].pendingHigh = room
            stream = current.pointee.next
        }
    }

    /// What all streams of a connection hold.
    func bytesHeld(_ connection: HTTP2ConnectionPointer) -> Int {
        var bytes = 0
        var stream = connection.pointee.firstStream
        while let current = stream {
            bytes += bytesHeld(current.pointee.slot)
            stream = current.pointee.next
        }
        return bytes
    }

    /// Ends streams of a connection, those first that hold most, until what is left may stay.
    /// - Returns: what is left.
    func shedStreams(_ connection: HTTP2ConnectionPointer, over most: Int, _ bytes: Int) -> Int {
        var streams: [(slot: Int32, bytes: Int)] = []
        var stream = connection.pointee.firstStream
        while let current = stream {
            streams.append((current.pointee.slot, bytesHeld(current.pointee.slot)))
            stream = current.pointee.next
        }
        streams.sort { $0.bytes > $1.bytes }
        var left = bytes
        for victim in streams where left > most {
            counters.add(.http2StreamsShed)
            endForMemory(victim.slot)
            left -= victim.bytes
        }
        return left
    }

    func endForMemory(_ slot: Int32) {
        if downstreams[slot].pointee.exchange.isBegun {
            downstreams[slot].pointee.exchange.reason = .overloaded
        }
        abandon(slot)
    }

    /// All streams of a connection that ends for its memory say so in their log lines.
    func noteOverload(_ connection: HTTP2ConnectionPointer) {
        var stream = connection.pointee.firstStream
        while let current = stream {
            downstreams[current.pointee.slot].pointee.exchange.reason = .overloaded
            stream = current.pointee.next
        }
    }
}
