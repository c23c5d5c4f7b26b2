import Access

/// Which of several records that one key names are about the device as it is today (providers.md 13): a machine that
/// was enrolled again has its old record beside its new one.
enum CurrentRecords {
    /// The records that count: without those that are gone, retired, or older ones of the same machine.
    ///
    /// Whoever can make records at the provider must gain nothing by it: a new one takes the place of one that still
    /// counts only if it says the same of the machine, or calls it non-compliant, and never of one that reported
    /// later or at the same time.
    static func current(_ found: [VerdictRecord], nowSeconds: Int64) -> [VerdictRecord] {
        found.filter { record in
            record.verdict.state != .notFound
                && !found.contains { isRetired(record, beside: $0) }
                && !found.contains { isReplaced(record, by: $0, nowSeconds) }
        }
    }

    /// The provider manages the device under another record, which reported no earlier.
    private static func isRetired(_ record: VerdictRecord, beside other: VerdictRecord) -> Bool {
        record.verdict.state == .notManaged && isCandidate(other)
            && other.verdict.observedAtSeconds >= record.verdict.observedAtSeconds
            && other.keys.contains { record.keys.contains($0) && $0.kind != .owner }
    }

    private static func isReplaced(
        _ record: VerdictRecord, by other: VerdictRecord, _ nowSeconds: Int64
    ) -> Bool {
        guard isCandidate(other), other.verdict.observedAtSeconds > record.verdict.observedAtSeconds,
            isSameMachine(record, other)
        else { return false }
        return !record.verdict.isFresh(atSeconds: nowSeconds) || other.verdict.state == .noncompliant
            || saysTheSame(record.verdict, other.verdict)
    }

    /// Of the machine: what it is called there and when that was read may differ.
    private static func saysTheSame(_ one: Verdict, _ other: Verdict) -> Bool {
        one.state == other.state && one.risk == other.risk && one.score == other.score
            && one.isSensorRunning == other.isSensorRunning && ExactText.isEqual(one.labels, other.labels)
            && one.checks == other.checks
    }

    private static func isCandidate(_ record: VerdictRecord) -> Bool {
        record.verdict.state != .notFound && record.verdict.state != .notManaged
    }

    /// Two names of the machine itself agree, or one of them and the directory's own id: a serial number alone is
    /// on more than one board. A name of the machine that differs makes them two.
    private static func isSameMachine(_ one: VerdictRecord, _ other: VerdictRecord) -> Bool {
        func values(_ record: VerdictRecord, _ kind: DeviceKey.Kind) -> Set<DeviceKey> {
            Set(record.keys.filter { $0.kind == kind })
        }
        var agreeing = 0
        var namesMachine = false
        for kind in [DeviceKey.Kind.serial, .hardware, .entra] {
            let (own, others) = (values(one, kind), values(other, kind))
            if kind.isHardware, own != others { return false }
            guard !own.isEmpty, own == others else { continue }
            agreeing += 1
            namesMachine = namesMachine || kind.isHardware
        }
        return agreeing >= 2 && namesMachine
    }
}
