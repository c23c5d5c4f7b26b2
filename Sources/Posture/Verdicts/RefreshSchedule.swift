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

    private var fullDue: [String: Int64] = [:]
    private var deviceDue: [Appointment: Int64] = [:]
    private var priorityAt: [String: Int64] = [:]

    struct Appointment: Hashable, Sendable {
        var integration: String
        var device: String
    }

    /// What is to be done now.
    struct Work: Sendable, Equatable {
        var fullSyncs: [String] = []
        var devices: [Appointment] = []
    }

    /// Makes the first full synchronisation due at once.
    mutating func add(integration: String, nowSeconds: Int64) { fullDue[integration] = nowSeconds }

    /// A device that authenticated is asked again and again from now on.
    mutating func add(
        device: String, integration: String, pace: RefreshPace, nowSeconds: Int64, random: Double
    ) {
        let appointment = Appointment(integration: integration, device: device)
        guard deviceDue[appointment] == nil else { return }
        deviceDue[appointment] = nowSeconds + Self.jittered(pace.deviceSeconds, random)
    }

    /// No more appointments for a device that was revoked.
    mutating func remove(device: String) {
        deviceDue = deviceDue.filter { $0.key.device != device }
        priorityAt[device] = nil
    }

    /// Takes what is due and makes the next appointments.
    mutating func takeDue(nowSeconds: Int64, pace: (String) -> RefreshPace?, random: () -> Double) -> Work {
        var work = Work()
        for (integration, due) in fullDue.sorted(by: { $0.key < $1.key }) where due <= nowSeconds {
            guard let pace = pace(integration) else { continue }
            work.fullSyncs.append(integration)
            fullDue[integration] = nowSeconds + Self.jittered(pace.fullSeconds, random())
        }
        let due = deviceDue.filter { $0.value <= nowSeconds }
            .sorted { ($0.value, $0.key.device) < ($1.value, $1.key.device) }.prefix(Self.batchMax)
        for (appointment, _) in due {
            guard let pace = pace(appointment.integration) else {
                deviceDue[appointment] = nil
                continue
            }
            work.devices.append(appointment)
            deviceDue[appointment] = nowSeconds + Self.jittered(pace.deviceSeconds, random())
        }
        return work
    }

    /// A full synchronisation that failed is tried again sooner than the next regular one.
    mutating func retryFullSync(_ integration: String, atSeconds: Int64) {
        fullDue[integration] = min(fullDue[integration] ?? .max, atSeconds)
    }

    /// Whether a priority fetch may go out now; counts it when so.
    mutating func mayFetchNow(_ device: String, nowSeconds: Int64) -> Bool {
        if let last = priorityAt[device], nowSeconds - last < Self.prioritySpacingSeconds { return false }
        if priorityAt.count >= 10_000 { priorityAt = priorityAt.filter { nowSeconds - $0.value < 60 } }
        priorityAt[device] = nowSeconds
        return true
    }

    /// The next appointment; nil when there is none.
    var nextDueSeconds: Int64? { [fullDue.values.min(), deviceDue.values.min()].compactMap { $0 }.min() }

    private static func jittered(_ seconds: Int64, _ random: Double) -> Int64 {
        max(1, seconds - Int64(Double(seconds) * jitter * random))
    }
}
