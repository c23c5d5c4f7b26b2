import Access

/// The appointments of one integration's devices in two lanes: devices with open sessions are asked before all others
/// that are due, however long those have waited.
struct RefreshLanes: Sendable {
    private var open = Appointments()
    private var rest = Appointments()

    var count: Int { open.count + rest.count }
    var openCount: Int { open.count }

    func contains(_ device: ExactKey) -> Bool { open.contains(device) || rest.contains(device) }

    mutating func set(_ device: ExactKey, atSeconds due: Int64, isOpen: Bool) {
        if isOpen {
            rest.remove(device)
            open.set(device, atSeconds: due)
        } else {
            open.remove(device)
            rest.set(device, atSeconds: due)
        }
    }

    mutating func remove(_ device: ExactKey) {
        open.remove(device)
        rest.remove(device)
    }

    /// Takes what is due, devices with open sessions first, in each lane the longest due first.
    ///
    /// - Parameter within: as `Appointments.take` has it.
    mutating func take(nowSeconds: Int64, within seconds: Int64, max: Int) -> [ExactKey] {
        let first = open.take(nowSeconds: nowSeconds, within: seconds, max: max)
        return first + rest.take(nowSeconds: nowSeconds, within: seconds, max: max - first.count)
    }

    /// The second of the next appointment; nil without any.
    mutating func nextSeconds() -> Int64? {
        [open.nextSeconds(), rest.nextSeconds()].compactMap { $0 }.min()
    }

    /// The device changes its lane and keeps its appointment.
    mutating func move(_ device: ExactKey, isOpen: Bool) {
        guard let due = (isOpen ? rest : open).dueSeconds(of: device) else { return }
        set(device, atSeconds: due, isOpen: isOpen)
    }
}
