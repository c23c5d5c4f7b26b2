import Access

/// Machine words for why a verdict does not say "compliant and fresh" (providers.md 14.1), told from what the verdict
/// has: nothing of it is kept, and nothing decided by it.
enum VerdictReason: String, Sendable, CaseIterable {
    case policyFailed = "policy_failed"
    case staleDevice = "stale_device"
    case inGrace = "in_grace"
    case compromised
    case contained
    case riskAboveThreshold = "risk_above_threshold"
    case providerConflict = "provider_conflict"
    case deviceMissing = "device_missing"
    case integrationDown = "integration_down"
}

extension Verdict {
    /// In the order of `VerdictReason`; empty for a fresh compliant one.
    func reasons(atSeconds now: Int64) -> [VerdictReason] {
        let words = ([rawState] + labels).map { $0.lowercased() }
        func says(_ parts: [String]) -> Bool {
            words.contains { word in parts.contains { word.contains($0) } }
        }
        let isBad = state == .noncompliant || state == .notManaged
        let isOver = now >= endsAtSeconds
        // Its end is that of its fetch unless the device's silence ended it before (14.1, derived freshness).
        let wasSilent = isOver && fetchedAtSeconds >= expiresAtSeconds
        let holds: [VerdictReason: Bool] = [
            .policyFailed: isBad && checks.contains { $0.state == .fail },
            .staleDevice: wasSilent || observedAtSeconds > now + 300,
            .inGrace: state == .grace,
            .compromised: isBad && says(["compromised", "jailbroken", "infected"])
                && !says(["uncompromised", "not_compromised"]),
            .contained: isBad && says(["contained", "isolated", "quarantine"]),
            .riskAboveThreshold: isBad && (risk == .high || risk == .critical),
            .providerConflict: state == .ambiguous || (isBad && says(["conflict"])),
            .deviceMissing: state == .notFound,
            .integrationDown: isOver && !wasSilent,
        ]
        return VerdictReason.allCases.filter { holds[$0] == true }
    }
}
