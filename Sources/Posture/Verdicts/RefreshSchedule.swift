import Access

/// When each known device and each whole integration is asked again: jittered, so that a thousand devices
/// that enrolled in one morning are not asked in one second (003.2). A value; the caller has the clock and
/// does the work.
struct RefreshSchedule: Sendable {
    /// Part of the interval by which an appointment may come earlier.
    static let jitter = 0.1
    /// Devices asked in one step.
    static let batchMax = 100
    /// A device on a waiting page is asked again at most this often.
    static let prioritySpacingSeconds: Int64 = 1

    private var fullDue: [ExactKey: Int64] = [:]
    private var devices: [ExactKey: Appointments] = [:]
    private var priorityAt: [ExactKey: Int64] = [:]

    /// What is to be done at one integration now.
    struct Work: Sendable, Equatable {
        var isFullSync = false
        /// Ids of devices, the longest due first.
        var devices: [String] = []
    }

    /// Makes the first full synchronisation due at once.
    mutating func add(integration: String, nowSeconds: Int64) {
        fullDue[ExactKey(integration)] = nowSeconds
    }

    /// A device that authenticated is asked again and again from now on.
    mutating func add(
        device: String, integration: String, pace: RefreshPace, nowSeconds: Int64, random: Double
    ) {
        let key = ExactKey(device)
        guard devices[ExactKey(integration)]?.contains(key) != true else { return }
        devices[ExactKey(integration), default: Appointments()].set(
            key, atSeconds: nowSeconds + Self.jittered(pace.deviceSeconds, random))
    }

    /// A device that has an appointment is asked in the next round.
    mutating func askSoon(device: String, integration: String, nowSeconds: Int64) {
        let (device, integration) = (ExactKey(device), ExactKey(integration))
        guard devices[integration]?.contains(device) == true else { return }
        devices[integration]?.set(device, atSeconds: nowSeconds)
    }

    /// No more appointments for a device that was revoked.
    mutating func remove(device: String) {
        for integration in devices.keys { devices[integration]?.remove(ExactKey(device)) }
        priorityAt[ExactKey(device)] = nil
    }

    /// Takes what is due at one integration and makes its next appointments.
    mutating func takeDue(
        _ integration: String, pace: RefreshPace, nowSeconds: Int64, random: () -> Double
    ) -> Work {
        let integration = ExactKey(integration)
        var work = Work()
        if let due = fullDue[integration], Self.isDue(due, within: pace.fullSeconds, nowSeconds) {
            work.isFullSync = true
            fullDue[integration] = nowSeconds + Self.jittered(pace.fullSeconds, random())
        }
        var appointments = devices.removeValue(forKey: integration) ?? Appointments()
        let due = appointments.take(nowSeconds: nowSeconds, within: pace.deviceSeconds, max: Self.batchMax)
        for device in due {
            work.devices.append(device.text)
            appointments.set(device, atSeconds: nowSeconds + Self.jittered(pace.deviceSeconds, random()))
        }
        devices[integration] = appointments
        return work
    }

    /// A full synchronisation that failed is tried again sooner than the next regular one.
    mutating func retryFullSync(_ integration: String, atSeconds: Int64) {
        fullDue[ExactKey(integration)] = min(fullDue[ExactKey(integration)] ?? .max, atSeconds)
    }

    /// Whether a priority fetch may go out now; counts it when so.
    mutating func mayFetchNow(_ device: String, nowSeconds: Int64) -> Bool {
        guard isFetchDue(device, nowSeconds: nowSeconds) else { return false }
        let device = ExactKey(device)
        if priorityAt.count >= 10_000 { priorityAt = priorityAt.filter { nowSeconds - $0.value < 60 } }
        priorityAt[device] = nowSeconds
        return true
    }

    /// The same without counting it as one.
    func isFetchDue(_ device: String, nowSeconds: Int64) -> Bool {
        guard let last = priorityAt[ExactKey(device)] else { return true }
        // A clock that jumped back must not keep anybody waiting until it has caught up.
        return !(0..<Self.prioritySpacingSeconds).contains(nowSeconds - last)
    }

    /// The next appointment of an integration; nil when it has none.
    mutating func nextDueSeconds(_ integration: String) -> Int64? {
        let integration = ExactKey(integration)
        return [fullDue[integration], devices[integration]?.nextSeconds()].compactMap { $0 }.min()
    }

    /// No appointment is further away than its interval, unless the clock has jumped back: then it is due as well.
    private static func isDue(_ due: Int64, within seconds: Int64, _ nowSeconds: Int64) -> Bool {
        due <= nowSeconds || due - nowSeconds > seconds
    }

    private static func jittered(_ seconds: Int64, _ random: Double) -> Int64 {
        max(1, seconds - Int64(Double(seconds) * jitter * random))
    }
}
