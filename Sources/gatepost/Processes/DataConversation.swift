import Border

/// What one data process may say next, and how much of it. It faces the network, so it is taken at its word in
/// nothing: what a sound one never says ends it.
struct DataConversation {
    /// Numbers that can have been given since the host started: nobody gives more of them in a second.
    private static let revocationsPerSecond: UInt64 = 1_000_000
    private static let revisionsPerSecond: UInt64 = 1_000
    /// What needs no answer and may be left out: so many a second, and so many at once.
    static let remarksPerSecond = 10_000
    static let remarksAtOnceMax = 50_000

    private var isGreeted = false
    private var isTolerant = false
    private var hasState = false
    private var knowsAll = false
    private var knownCount = 0
    private var remarks = remarksAtOnceMax
    private var remarkedAtSeconds: UInt64 = 0

    /// - Parameter uptimeSeconds: since the host started.
    /// - Returns: nil: its versions are none of ours.
    /// - Throws: `BorderBreach`, or what is wrong with the bytes.
    mutating func take(_ bytes: [UInt8], uptimeSeconds: UInt64) throws -> FromData? {
        let value = try BinaryDecoding.value(FromData.self, from: bytes, isTolerant: isTolerant)
        if case .greeting(let greeting) = value {
            guard !isGreeted else { throw BorderBreach("it greeted twice") }
            guard BorderVersion.common(with: greeting) != nil else { return nil }
            isGreeted = true
            isTolerant = greeting.newest > BorderVersion.current
            return value
        }
        guard isGreeted else { throw BorderBreach("it spoke before it greeted") }
        if case .state(let sequence, let revision) = value {
            guard !hasState else { throw BorderBreach("it told its state twice") }
            // A number that leaves no room for others would make every later one worthless.
            guard sequence / Self.revocationsPerSecond <= uptimeSeconds,
                revision / Self.revisionsPerSecond <= uptimeSeconds
            else { throw BorderBreach("revocation \(sequence), configuration \(revision): nobody made them") }
            hasState = true
            return value
        }
        guard hasState else { throw BorderBreach("it spoke before it told its state") }
        if case .known(let records, let isLast) = value {
            knownCount += records.count
            guard !knowsAll, knownCount <= KnownRecords.recordsMax else {
                throw BorderBreach("it knows more than \(KnownRecords.recordsMax) records, or told twice")
            }
            knowsAll = isLast
        }
        return value
    }

    /// Whether something that needs no answer is still taken.
    mutating func mayRemark(uptimeSeconds: UInt64) -> Bool {
        if uptimeSeconds != remarkedAtSeconds {
            remarkedAtSeconds = uptimeSeconds
            remarks = min(Self.remarksAtOnceMax, remarks + Self.remarksPerSecond)
        }
        guard remarks > 0 else { return false }
        remarks -= 1
        return true
    }
}

/// Questions of a data process that wait for an answer of the control plane: bounded, whatever is asked.
struct WaitingQuestions {
    /// Reactors have at most `parked-requests` each, and ask anew only when they were answered or gave up.
    static let countMax = 16_384
    static let bytesMax = 64 << 20
    /// Reactors wait no longer than this by far.
    static let secondsMax: UInt64 = 120

    private struct Entry {
        var bytes: Int
        var sinceSeconds: UInt64
    }
    private var entries: [Ticket: [Entry]] = [:]
    private(set) var count = 0
    private(set) var bytes = 0

    /// - Returns: false: too much waits; the question has to be refused.
    mutating func add(_ ticket: Ticket, bytes size: Int, uptimeSeconds: UInt64) -> Bool {
        if !hasRoom(size) { forgetOld(uptimeSeconds) }
        guard hasRoom(size) else { return false }
        entries[ticket, default: []].append(Entry(bytes: size, sinceSeconds: uptimeSeconds))
        count += 1
        bytes += size
        return true
    }

    /// One question of this ticket was answered.
    mutating func remove(_ ticket: Ticket) {
        guard var of = entries[ticket], !of.isEmpty else { return }
        let first = of.removeFirst()
        entries[ticket] = of.isEmpty ? nil : of
        count -= 1
        bytes -= first.bytes
    }

    private func hasRoom(_ size: Int) -> Bool { count < Self.countMax && bytes + size <= Self.bytesMax }

    /// Questions that nobody answered, whatever went wrong with them.
    private mutating func forgetOld(_ uptimeSeconds: UInt64) {
        entries = entries.compactMapValues { of in
            let kept = of.filter { $0.sinceSeconds + Self.secondsMax > uptimeSeconds }
            return kept.isEmpty ? nil : kept
        }
        count = entries.values.reduce(0) { $0 + $1.count }
        bytes = entries.values.reduce(0) { $1.reduce($0) { $0 + $1.bytes } }
    }
}
