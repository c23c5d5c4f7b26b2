import Config

/// What a change is held under: everything of one name is shown, judged and released together.
struct HeldCause: Sendable, Hashable {
    enum Kind: Sendable, Hashable {
        /// These integrations no longer say what they said: nothing, nothing definite, or nothing recent.
        case absence([String])
        /// A policy of this identity (its beginning), under which something is no longer granted.
        case reload(String)
    }
    var kind: Kind

    /// What `gatepost held release --cause` takes.
    var id: String {
        switch kind {
        case .absence(let integrations): "absence:" + integrations.joined(separator: "+")
        case .reload(let identity): "reload:\(identity)"
        }
    }

    /// Whether the silence is about devices, so that new checks of these devices are refused meanwhile.
    var isAbsence: Bool {
        switch kind {
        case .absence: true
        case .reload: false
        }
    }
}

/// One session that would lose something by a change that may be held.
struct SessionLoss: Sendable, Hashable {
    var session: String
    var person: String
    var application: String
    var device: String?
    var cause: HeldCause
}

/// A change that is held.
struct HeldChange: Sendable {
    var cause: HeldCause
    /// By the clock on the wall, for people.
    var sinceSeconds: Int64
    /// How long it may still be held, seconds.
    var remainingSeconds: Int64
    var losses: [SessionLoss]
}

/// How much may be lost at once, and what is held: the bookkeeping of the blast-radius guard, without a clock of its
/// own.
///
/// Time goes forwards only: a clock that jumps back adds nothing, and one that jumps ahead ends what is held earlier.
/// So no jump can keep a hold alive beyond its bound.
struct BlastRadius: Sendable {
    /// Sessions of one person that count: nobody can hold a change by opening many.
    static let sessionsPerPersonMax = 3

    /// nil: everything is cut.
    var settings: BlastRadiusSettings?

    private struct Hold {
        var loss: SessionLoss
        /// Found while a batch is being decided, which will be judged as a whole.
        var isProvisional: Bool
    }
    private var elapsedSeconds: Int64 = 0
    private var lastSeconds: Int64?
    private var holds: [String: Hold] = [:]
    private var sessions: [HeldCause: Set<String>] = [:]
    private var since: [HeldCause: (wallSeconds: Int64, elapsedSeconds: Int64)] = [:]
    /// Changes that somebody was told of.
    private var told: Set<HeldCause> = []
    /// Sessions with a hold that is about their device, by device.
    private var devices: [String: Int] = [:]
    /// When a session last lost something that could have been held.
    private var cuts: [String: (atSeconds: Int64, person: String)] = [:]
    private var cutsPrunedAt: Int64 = 0
    /// Released: what comes later of the same cause follows at once, until it has been quiet for a window.
    private var passing: [HeldCause: Int64] = [:]
    /// Sessions that were released and not decided since, whatever their loss is called then.
    private var released: Set<String> = []
    private var batches = 0

    init(settings: BlastRadiusSettings?) { self.settings = settings }

    /// What is to be done with losses.
    struct Ruling: Sendable {
        /// These sessions keep what they had.
        var held: Set<String> = []
        /// Those of them that were not held before.
        var new: Set<String> = []
        /// Changes of which nothing was held before.
        var begun: [HeldCause] = []
        /// Sessions that were held only until the batch was judged: to be decided again.
        var letGo: Set<String> = []
    }

    // MARK: Judging

    /// Until the matching `settle`, single losses wait for what the whole comes to.
    mutating func beginBatch() { batches += 1 }

    /// Judges a batch as a whole, before anything of it is cut.
    mutating func settle(_ losses: [SessionLoss], live: Int, nowSeconds: Int64) -> Ruling {
        precondition(batches > 0, "a batch that was not begun is settled")
        batches -= 1
        tick(nowSeconds)
        let provisional = holds.values.filter(\.isProvisional).map(\.loss)
        var ruling = judge(losses + provisional, live: live, nowSeconds, isProvisional: false)
        ruling.letGo = Set(provisional.map(\.session)).subtracting(ruling.held)
        return ruling
    }

    /// Judges one session alone. While a batch is open it waits for that one.
    mutating func judge(_ loss: SessionLoss, live: Int, nowSeconds: Int64) -> Ruling {
        tick(nowSeconds)
        return judge([loss], live: live, nowSeconds, isProvisional: batches > 0)
    }

    private mutating func judge(
        _ losses: [SessionLoss], live: Int, _ nowSeconds: Int64, isProvisional: Bool
    ) -> Ruling {
        var ruling = Ruling()
        guard let settings else {
            for loss in losses { drop(loss.session) }
            return ruling
        }
        forgetOldCuts(settings)
        var fresh: [SessionLoss] = []
        for loss in losses {
            let hold = holds[loss.session]
            // It was held for as long as it may be: another name of what is missing does not begin that again.
            let isOver = hold.map { remaining($0.loss.cause) == 0 } ?? false
            if let hold, !hold.isProvisional, !isOver {
                ruling.held.insert(loss.session)
            } else if isOver || released.contains(loss.session) || isPassing(loss.cause, settings) {
                drop(loss.session)
            } else {
                fresh.append(loss)
            }
        }
        guard isProvisional || isTooMuch(fresh, live: live, settings) else {
            for loss in fresh {
                drop(loss.session)
                cuts[loss.session] = (elapsedSeconds, loss.person)
            }
            return ruling
        }
        for loss in fresh {
            hold(loss, isProvisional: isProvisional, nowSeconds)
            ruling.held.insert(loss.session)
            guard !isProvisional else { continue }
            ruling.new.insert(loss.session)
            if told.insert(loss.cause).inserted { ruling.begun.append(loss.cause) }
        }
        return ruling
    }

    /// What was cut within the window, what is held for the same reasons, and what would be cut now.
    private func isTooMuch(_ fresh: [SessionLoss], live: Int, _ settings: BlastRadiusSettings) -> Bool {
        guard !fresh.isEmpty else { return false }
        var people = cuts.mapValues(\.person)
        for cause in Set(fresh.map(\.cause)) {
            for session in sessions[cause] ?? [] { people[session] = holds[session]?.loss.person }
        }
        for loss in fresh { people[loss.session] = loss.person }
        var counts: [String: Int] = [:]
        for person in people.values { counts[person, default: 0] += 1 }
        let lost = counts.values.reduce(0) { $0 + min($1, Self.sessionsPerPersonMax) }
        return lost > settings.sessions && lost * 100 > settings.sharePercent * live
    }

    /// Whether a change was released, or held for as long as it may be.
    private mutating func isPassing(_ cause: HeldCause, _ settings: BlastRadiusSettings) -> Bool {
        if since[cause] != nil, remaining(cause) == 0 { passing[cause] = elapsedSeconds }
        guard let last = passing[cause] else { return false }
        guard elapsedSeconds - last < settings.windowSeconds else {
            passing[cause] = nil
            return false
        }
        passing[cause] = elapsedSeconds
        return true
    }

    // MARK: Holding

    private mutating func hold(_ loss: SessionLoss, isProvisional: Bool, _ nowSeconds: Int64) {
        // A session that is judged again was held since it was held first.
        let began = holds[loss.session].flatMap { since[$0.loss.cause] }
        drop(loss.session)
        holds[loss.session] = Hold(loss: loss, isProvisional: isProvisional)
        sessions[loss.cause, default: []].insert(loss.session)
        if loss.cause.isAbsence, let device = loss.device { devices[device, default: 0] += 1 }
        if since[loss.cause] == nil { since[loss.cause] = began ?? (nowSeconds, elapsedSeconds) }
    }

    /// A session is held no more: it has recovered, lost by an explicit fact, or ended.
    mutating func drop(_ session: String) {
        released.remove(session)
        guard let loss = holds.removeValue(forKey: session)?.loss else { return }
        sessions[loss.cause]?.remove(session)
        if sessions[loss.cause]?.isEmpty == true {
            sessions[loss.cause] = nil
            since[loss.cause] = nil
            told.remove(loss.cause)
        }
        guard loss.cause.isAbsence, let device = loss.device, let count = devices[device] else { return }
        devices[device] = count > 1 ? count - 1 : nil
    }

    /// A session is over, also beside every certificate (`SessionRecord.name`).
    mutating func drop(session: String) {
        drop(session)
        guard !holds.isEmpty else { return }
        for name in Array(holds.keys) where name.hasPrefix(session + " ") { drop(name) }
    }

    func isHeld(_ session: String) -> Bool { holds[session] != nil }

    /// Whether something of this device is held because of somebody's silence about it.
    func isHeld(device: String) -> Bool { devices[device] != nil }

    /// How long a session may still keep what it had, seconds; 0: no longer.
    mutating func remainingSeconds(_ session: String, nowSeconds: Int64) -> Int64 {
        tick(nowSeconds)
        return holds[session].map { remaining($0.loss.cause) } ?? 0
    }

    private func remaining(_ cause: HeldCause) -> Int64 {
        guard let settings, let began = since[cause] else { return 0 }
        return max(0, settings.holdSeconds - (elapsedSeconds - began.elapsedSeconds))
    }

    /// Lets changes through: what is held of them, and what follows.
    ///
    /// - Parameter id: of one change; nil: all.
    /// - Returns: the sessions to decide again, by change.
    mutating func release(_ id: String?, nowSeconds: Int64) -> [HeldCause: Set<String>] {
        tick(nowSeconds)
        return release { id == nil || $0.id == id }
    }

    /// Lets through what was held for as long as it may be.
    mutating func releaseExpired(nowSeconds: Int64) -> [HeldCause: Set<String>] {
        tick(nowSeconds)
        let over = Set(since.keys.filter { remaining($0) == 0 })
        return release(over.contains)
    }

    private mutating func release(_ isMeant: (HeldCause) -> Bool) -> [HeldCause: Set<String>] {
        let meant = sessions.filter { isMeant($0.key) }
        for (cause, sessions) in meant {
            passing[cause] = elapsedSeconds
            for session in sessions { drop(session) }
            released.formUnion(sessions)
        }
        return meant
    }

    /// What is held, the oldest first.
    mutating func held(nowSeconds: Int64) -> [HeldChange] {
        tick(nowSeconds)
        return sessions.map { cause, names in
            HeldChange(
                cause: cause, sinceSeconds: since[cause]?.wallSeconds ?? nowSeconds,
                remainingSeconds: remaining(cause),
                losses: names.sorted().compactMap { holds[$0]?.loss })
        }
        .sorted { ($0.sinceSeconds, $0.cause.id) < ($1.sinceSeconds, $1.cause.id) }
    }

    // MARK: Time

    private mutating func tick(_ nowSeconds: Int64) {
        elapsedSeconds += max(0, nowSeconds - (lastSeconds ?? nowSeconds))
        lastSeconds = nowSeconds
    }

    private mutating func forgetOldCuts(_ settings: BlastRadiusSettings) {
        guard elapsedSeconds != cutsPrunedAt else { return }
        cutsPrunedAt = elapsedSeconds
        let now = elapsedSeconds
        cuts = cuts.filter { now - $0.value.atSeconds < settings.windowSeconds }
    }
}
