import Border

/// Requests that wait for the control plane: bounded in number, each with a deadline, resumed by a ticket.
extension Reactor {
    /// - Returns: the ticket of the answer, or nil when too many are parked already.
    func park(_ slot: Int32) -> Ticket? {
        guard state.pointee.parked < limits.parkedMax else {
            counters.add(.parkedRefused)
            return nil
        }
        let connection = downstreams[slot]
        state.pointee.parked += 1
        // A number of its own per parking: one connection parks many times, and a late answer to an earlier
        // request must not answer a later one.
        state.pointee.parkTicket &+= 1
        connection.pointee.phase = .parked
        connection.pointee.exchange.parkTicket = state.pointee.parkTicket
        connection.pointee.exchange.parkedNanoseconds = nowNanoseconds
        timers.set(slot, at: nowMilliseconds + UInt64(limits.parkedMilliseconds))
        return Ticket(reactor: number, slot: UInt32(slot), generation: state.pointee.parkTicket)
    }

    /// The request goes on from its head.
    func unpark(_ slot: Int32) {
        let connection = downstreams[slot]
        precondition(connection.pointee.phase == .parked, "slot \(slot) is not parked")
        state.pointee.parked -= 1
        connection.pointee.phase = .head
        let waited = nowNanoseconds &- connection.pointee.exchange.parkedNanoseconds
        connection.pointee.exchange.parkNanoseconds &+= waited
        counters.record(.park, waited)
        timers.set(slot, at: TimerWheel.never)
    }

    /// - Returns: the slot that waits for exactly this answer, nil when it no longer does.
    func parkedSlot(_ ticket: Ticket) -> Int32? {
        guard ticket.reactor == number, ticket.slot < UInt32(Int32.max) else { return nil }
        let slot = Int32(ticket.slot)
        guard downstreams.isInUse(slot), downstreams[slot].pointee.phase == .parked,
            downstreams[slot].pointee.exchange.parkTicket == ticket.generation
        else { return nil }
        return slot
    }
}
