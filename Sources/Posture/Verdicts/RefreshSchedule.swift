import Access

/// When each known device and each whole integration is asked again: jittered, so that a thousand devices
/// that enrolled in one morning are not asked in one second (003.2). A value; the caller has the clock and
/// does the work.
///
/// What a provider answers one by one has a limit, and beyond it verdicts would end before their devices' turn comes.
/// So the pace of the answers is measured: where asking about everybody takes longer than half of `ttl`, the complete
/// list is read at the pace of `refresh`, and single questions, which bring what a list leaves out, take half of the
/// provider's time.
struct RefreshSchedule: Sendable {
    /// Part of the interval by which an appointment may come earlier.
    static let jitter = 0.1
    /// Devices asked in one step.
    static let batchMax = 100
    /// Fewer at once say nothing about the pace: most of the time goes by waiting for the last answer.
    static let measuredBatchMin = batchMax / 2
    /// A device on a waiting page is asked again at most this often.
    static let prioritySpacingSeconds: Int64 = 1

    /// What one integration's devices have in common.
    private struct Queue {
        var fullDue: Int64?
        var lanes = RefreshLanes()
        /// Of the last steps, a smoothed mean.
        var secondsPerDevice: Double?
        /// Stays until the next start: how long a round takes is not known any more once nobody makes one.
        var readsList = false
        /// No appointment was ever made further ahead.
        var intervalMax: Int64 = 0

        var roundSeconds: Double? { secondsPerDevice.map { $0 * Double(lanes.count) } }

        /// How long after a question the next one about the same device comes.
        func interval(_ pace: RefreshPace, isOpen: Bool) -> Int64 {
            guard readsList, let secondsPerDevice else { return pace.deviceSeconds }
            let count = isOpen ? lanes.openCount : lanes.count
            return max(pace.deviceSeconds, Int64((2 * secondsPerDevice * Double(count)).rounded(.up)))
        }

        func fullSeconds(_ pace: RefreshPace) -> Int64 {
            readsList ? min(pace.fullSeconds, pace.deviceSeconds) : pace.fullSeconds
        }
    }

    private var queues: [ExactKey: Queue] = [:]
    private var open: Set<ExactKey> = []
    private var priorityAt: [ExactKey: Int64] = [:]

    /// What is to be done at one integration now.
    struct Work: Sendable, Equatable {
        var isFullSync = false
        /// Ids of devices, those with open sessions first, then the longest due.
        var devices: [String] = []
    }

    /// Makes the first full synchronisation due at once.
    mutating func add(integration: String, nowSeconds: Int64) {
        queues[ExactKey(integration), default: Queue()].fullDue = nowSeconds
    }

    /// A device that authenticated is asked again and again from now on.
    ///
    /// - Parameter isOneOfAll: it is known from before the start, like all others: their first questions are spread
    ///   over the whole interval.
    mutating func add(
        device: String, integration: String, pace: RefreshPace, nowSeconds: Int64, random: Double,
        isOneOfAll: Bool = false
    ) {
        let device = ExactKey(device)
        var queue = queues.removeValue(forKey: ExactKey(integration)) ?? Queue()
        defer { queues[ExactKey(integration)] = queue }
        guard !queue.lanes.contains(device) else { return }
        let after =
            isOneOfAll
            ? max(1, Int64(Double(pace.deviceSeconds) * random)) : Self.jittered(pace.deviceSeconds, random)
        queue.intervalMax = max(queue.intervalMax, pace.deviceSeconds)
        queue.lanes.set(device, atSeconds: nowSeconds + after, isOpen: open.contains(device))
    }

    /// A device that has an appointment gets this one instead.
    mutating func ask(device: String, integration: String, atSeconds: Int64) {
        let device = ExactKey(device)
        guard queues[ExactKey(integration)]?.lanes.contains(device) == true else { return }
        queues[ExactKey(integration)]?.lanes.set(
            device, atSeconds: atSeconds, isOpen: open.contains(device))
    }

    /// No more appointments for a device that was revoked.
    mutating func remove(device: String) {
        for integration in queues.keys { queues[integration]?.lanes.remove(ExactKey(device)) }
        priorityAt[ExactKey(device)] = nil
    }

    /// Takes what is due at one integration and makes its next appointments.
    mutating func takeDue(
        _ integration: String, pace: RefreshPace, nowSeconds: Int64, random: () -> Double
    ) -> Work {
        var queue = queues.removeValue(forKey: ExactKey(integration)) ?? Queue()
        defer { queues[ExactKey(integration)] = queue }
        if !queue.readsList, let round = queue.roundSeconds, round > Double(pace.ttlSeconds) / 2 {
            queue.readsList = true
            queue.fullDue = nowSeconds
        }
        var work = Work()
        let fullSeconds = queue.fullSeconds(pace)
        if let due = queue.fullDue, Self.isDue(due, within: fullSeconds, nowSeconds) {
            work.isFullSync = true
            queue.fullDue = nowSeconds + Self.jittered(fullSeconds, random())
        }
        let due = queue.lanes.take(
            nowSeconds: nowSeconds, within: max(queue.intervalMax, pace.deviceSeconds), max: Self.batchMax)
        for device in due {
            work.devices.append(device.text)
            let isOpen = open.contains(device)
            let interval = queue.interval(pace, isOpen: isOpen)
            queue.intervalMax = max(queue.intervalMax, interval)
            queue.lanes.set(
                device, atSeconds: nowSeconds + Self.jittered(interval, random()), isOpen: isOpen)
        }
        return work
    }

    /// A full synchronisation that failed is tried again sooner than the next regular one.
    mutating func retryFullSync(_ integration: String, atSeconds: Int64) {
        queues[ExactKey(integration), default: Queue()].fullDue = min(
            queues[ExactKey(integration)]?.fullDue ?? .max, atSeconds)
    }

    /// Notes the pace of the answers.
    ///
    /// - Parameter answered: how many devices were answered in `seconds`; what failed says nothing about it.
    mutating func note(_ integration: String, answered: Int, seconds: Double) {
        guard answered >= Self.measuredBatchMin, seconds >= 0 else { return }
        let fresh = seconds / Double(answered)
        let old = queues[ExactKey(integration)]?.secondsPerDevice
        queues[ExactKey(integration)]?.secondsPerDevice = old.map { $0 * 0.8 + fresh * 0.2 } ?? fresh
    }

    /// Which devices somebody is signed in from now.
    mutating func setOpen(_ devices: Set<ExactKey>) {
        for integration in queues.keys {
            for device in devices.subtracting(open) { queues[integration]?.lanes.move(device, isOpen: true) }
            for device in open.subtracting(devices) { queues[integration]?.lanes.move(device, isOpen: false) }
        }
        open = devices
    }

    /// Whether somebody is signed in from it.
    func isOpen(_ device: String) -> Bool { open.contains(ExactKey(device)) }

    /// How far an integration is behind; nil when no device has an appointment there.
    mutating func backlog(_ integration: String, pace: RefreshPace, nowSeconds: Int64) -> RefreshBacklog? {
        guard let next = queues[ExactKey(integration)]?.lanes.nextSeconds(),
            let queue = queues[ExactKey(integration)]
        else { return nil }
        return RefreshBacklog(
            waitingSeconds: max(0, nowSeconds - next), roundSeconds: queue.roundSeconds.map { Int64($0) },
            readsList: queue.readsList, waitingSecondsMax: pace.ttlSeconds / 4)
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
        return [queues[integration]?.fullDue, queues[integration]?.lanes.nextSeconds()].compactMap { $0 }
            .min()
    }

    /// No appointment is further away than its interval, unless the clock has jumped back: then it is due as well.
    private static func isDue(_ due: Int64, within seconds: Int64, _ nowSeconds: Int64) -> Bool {
        due <= nowSeconds || due - nowSeconds > seconds
    }

    private static func jittered(_ seconds: Int64, _ random: Double) -> Int64 {
        max(1, seconds - Int64(Double(seconds) * jitter * random))
    }
}
