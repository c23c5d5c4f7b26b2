/// Requests that wait for a place at an application, in the order of their coming. One session, or one address without
/// a session, takes half of the places at the most, so the others find some.
struct WaitingRoom {
    private struct Guest {
        var handle: Handle
        var key: UInt64
    }
    private var guests: [Guest] = []

    var count: Int { guests.count }
    var isEmpty: Bool { guests.isEmpty }

    /// - Parameter key: whose request it is.
    /// - Returns: false when there is no room, or none for this key.
    mutating func enter(_ handle: Handle, key: UInt64, max places: Int) -> Bool {
        guard guests.count < places else { return false }
        let own = guests.reduce(0) { $1.key == key ? $0 + 1 : $0 }
        guard own < (places + 1) / 2 else { return false }
        guests.append(Guest(handle: handle, key: key))
        return true
    }

    /// Whoever waited longest.
    mutating func next() -> Handle? { guests.isEmpty ? nil : guests.removeFirst().handle }

    /// - Returns: false when nobody of that name waits.
    @discardableResult
    mutating func leave(_ handle: Handle) -> Bool {
        guard let index = guests.firstIndex(where: { $0.handle == handle }) else { return false }
        guests.remove(at: index)
        return true
    }
}
