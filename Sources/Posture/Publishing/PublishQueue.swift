import Access

/// What is to be written to one directory: the newest news of each device, in order, and when writing may
/// go on. A value; the service has the clock, the store and the connector.
struct PublishQueue: Sendable {
    static let waitingMax = 10_000
    static let rememberedMax = 200_000
    /// "Compliant" follows something else about the same device only after so long: however a loop came
    /// about, it turns slowly. "Not compliant" never waits.
    static let spacingSeconds: Int64 = 60
    /// A missing permission is granted by people.
    static let forbiddenSeconds: Int64 = 900
    /// So many refusals in a row are no longer about single devices: the permission is missing.
    static let forbiddenInRowMax = 5
    /// A directory that refuses one device's news refuses it an hour later, too, or somebody changed
    /// something.
    static let refusedSeconds: Int64 = 3_600
    /// As long as a directory may make us wait (providers.md 1.1).
    static let hintSecondsMax: Int64 = 3_600

    struct Wish: Sendable, Hashable {
        var objectID: String
        var state: PublishedState
    }

    /// What was written last, by device; nil inside: the store was asked and knows nothing.
    private(set) var published: [ExactKey: (wish: Wish, atSeconds: Int64)?] = [:]
    private var waiting: [ExactKey: Wish] = [:]
    private var order: [ExactKey] = []
    private var refused: [ExactKey: (wish: Wish, untilSeconds: Int64)] = [:]
    /// A directory may take one device's news and not another's (another platform): those wait by themselves.
    private var heldUntil: [ExactKey: Int64] = [:]
    private var forbiddenInRow = 0
    private var failures = 0
    private(set) var status = PublishingStatus(waiting: 0, written: 0, dropped: 0)

    /// Whether the store has been asked about a device.
    func remembers(_ device: ExactKey) -> Bool { published[device] != nil }

    mutating func remember(_ device: ExactKey, _ wish: Wish?, atSeconds: Int64) {
        if published.count >= Self.rememberedMax { published.removeAll() }
        published[device] = .some(wish.map { ($0, atSeconds) })
    }

    func waiting(_ device: ExactKey) -> PublishedState? { waiting[device]?.state }

    /// Takes the newest news. What was written already is none, and takes back what waits.
    mutating func offer(_ device: ExactKey, _ wish: Wish, nowSeconds: Int64) {
        if let last = published[device] ?? nil, last.wish == wish {
            waiting[device] = nil
            heldUntil[device] = nil
            return noteWaiting()
        }
        if let no = refused[device], no.wish == wish, nowSeconds < no.untilSeconds { return }
        guard waiting[device] == nil else {
            waiting[device] = wish
            return
        }
        guard waiting.count < Self.waitingMax else {
            status.dropped += 1
            return
        }
        waiting[device] = wish
        // Entries of what was taken back are passed over; they must not pile up either.
        if order.count >= 2 * Self.waitingMax {
            var seen: Set<ExactKey> = []
            order = order.filter { waiting[$0] != nil && seen.insert($0).inserted }
        }
        order.append(device)
        noteWaiting()
    }

    /// The next news that may be written now; it stays until `done`.
    mutating func next(nowSeconds: Int64) -> (device: ExactKey, wish: Wish)? {
        if let until = status.pausedUntilSeconds, nowSeconds < until { return nil }
        var later: [ExactKey] = []
        // To the back: what may not be written yet must not keep anybody waiting.
        defer { order += later }
        while !order.isEmpty {
            let device = order.removeFirst()
            guard let wish = waiting[device] else { continue }
            later.append(device)
            if let until = heldUntil[device], nowSeconds < until {
                if later.count >= 100 { return nil }
                continue
            }
            if wish.state.isCompliant, let last = published[device] ?? nil,
                // A clock that jumped back must not keep anybody waiting until it has caught up.
                (0..<Self.spacingSeconds).contains(nowSeconds - last.atSeconds)
            {
                // One look at the whole queue in each turn would cost more the more is waiting.
                if later.count >= 100 { return nil }
                continue
            }
            later.removeLast()
            order.insert(device, at: 0)
            return (device, wish)
        }
        return nil
    }

    mutating func wrote(_ device: ExactKey, _ wish: Wish, nowSeconds: Int64) {
        if waiting[device] == wish { take(device) }
        remember(device, wish, atSeconds: nowSeconds)
        refused[device] = nil
        heldUntil[device] = nil
        forbiddenInRow = 0
        failures = 0
        status.written += 1
        status.lastWrittenSeconds = nowSeconds
        if heldUntil.isEmpty { status.problem = nil }
        status.pausedUntilSeconds = nil
        noteWaiting()
    }

    /// - Parameters:
    ///   - permission: what a refusal means that it lacks.
    ///   - random: 0..<1.
    mutating func failed(
        _ device: ExactKey, _ wish: Wish, _ failure: ConnectorFailure, permission: String, nowSeconds: Int64,
        random: Double
    ) {
        status.problem = failure.what
        switch failure.kind {
        case .forbidden:
            status.problem = "permission \(permission) is missing: \(failure.what)"
            heldUntil[device] = nowSeconds + Self.forbiddenSeconds
            forbiddenInRow += 1
            guard forbiddenInRow >= Self.forbiddenInRowMax else { return }
            status.pausedUntilSeconds = nowSeconds + Self.forbiddenSeconds
        case .notFound, .malformedResponse, .pagingLoop, .clockSkew, .configError:
            // This device's news alone is refused: the others go on.
            if waiting[device] == wish { take(device) }
            if refused.count >= Self.waitingMax { refused.removeAll() }
            refused[device] = (wish, nowSeconds + Self.refusedSeconds)
            noteWaiting()
        case .authFailed, .throttled, .unavailable, .timeout, .tlsError:
            failures = min(failures + 1, 16)
            let backOff = RetryHint.backOff(attempt: failures, random: random)
            let wait = failure.retryAfterSeconds ?? Int64(backOff.rounded(.up))
            status.pausedUntilSeconds = nowSeconds + min(max(wait, 1), Self.hintSecondsMax)
        }
    }

    /// Writing may go on now.
    mutating func resume() {
        status.pausedUntilSeconds = nil
        heldUntil = [:]
        forbiddenInRow = 0
    }

    private mutating func take(_ device: ExactKey) {
        waiting[device] = nil
        heldUntil[device] = nil
        if order.first == device { order.removeFirst() }
    }

    private mutating func noteWaiting() { status.waiting = waiting.count }
}
