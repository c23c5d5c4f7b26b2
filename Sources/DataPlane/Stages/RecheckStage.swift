import Border
import HTTP

/// A device's proof that nears its end is repeated on a page that somebody opens, and on nothing else: whoever is
/// reading or typing is left alone, and whatever a script asks for is simply answered.
extension Reactor {
    /// Asks the control plane whether the browser goes by way of the device check first.
    ///
    /// - Returns: nil where the request goes on at once: always, unless this is a page of its own tab. Nothing that
    ///   keeps the control plane from answering keeps a request that may go on from going on.
    /// - Precondition: the request was decided, and would be forwarded.
    func recheck(_ slot: Int32, _ request: CanonicalRequest, _ session: Int32) -> Step? {
        let connection = downstreams[slot]
        guard !connection.pointee.exchange.isRecheckAsked, connection.pointee.exchange.isRequestComplete,
            sessions[session].pointee.record.client == .person, isNavigation(slot), isTopDocument(slot),
            let ticket = park(slot)
        else { return nil }
        connection.pointee.exchange.isRecheckAsked = true
        connection.pointee.exchange.isRecheckPending = true
        counters.add(.controlRequests)
        guard toControl.send(.request(controlRequest(slot, request, .recheck, ticket))) else {
            unpark(slot)
            connection.pointee.exchange.isRecheckPending = false
            return nil
        }
        return .wait
    }

    /// The control plane has nothing to say about a request that was asked about: it is walked again.
    func proceed(_ ticket: Ticket) {
        guard let slot = parkedSlot(ticket), downstreams[slot].pointee.exchange.isRecheckPending
        else { return }
        unpark(slot)
        downstreams[slot].pointee.exchange.isRecheckPending = false
        serve(slot)
    }

    /// - Returns: whether the request that waited too long goes on: it was allowed before it was asked about.
    func proceedsUnanswered(_ slot: Int32) -> Bool {
        guard downstreams[slot].pointee.exchange.isRecheckPending else { return false }
        downstreams[slot].pointee.exchange.isRecheckPending = false
        serve(slot)
        return true
    }
}
