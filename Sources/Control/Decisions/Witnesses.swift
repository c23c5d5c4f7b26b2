import Access

/// What integrations said last.
enum Witnesses {
    /// New words over old ones: a silence leaves the last definite word.
    static func merged(_ before: [Verdict], _ fresh: [Verdict]) -> [Verdict] {
        var known: [Verdict] = []
        for verdict in fresh {
            let last = before.first { ExactText.isEqual($0.integration, verdict.integration) }
            if let last, !verdict.isDefinite {
                known.append(last)
            } else {
                known.append(last.map { verdict.filled(from: $0) } ?? verdict)
            }
        }
        for last in before
        where !fresh.contains(where: { ExactText.isEqual($0.integration, last.integration) }) {
            known.append(last)
        }
        return known
    }

    /// What is remembered: of two decisions side by side the one with the older facts does not put them in the place
    /// of newer ones. A word from the future is of a clock that was wrong, and gives way.
    static func remembered(_ before: [Verdict], _ known: [Verdict], _ nowSeconds: Int64) -> [Verdict] {
        known.map { verdict in
            let newer = before.first {
                ExactText.isEqual($0.integration, verdict.integration)
                    && $0.fetchedAtSeconds > verdict.fetchedAtSeconds && $0.fetchedAtSeconds <= nowSeconds
            }
            return newer ?? verdict
        }
    }

    /// Whether somebody calls the device non-compliant or not managed, however long ago.
    static func areBad(_ known: [Verdict]) -> Bool {
        known.contains { $0.state == .noncompliant || $0.state == .notManaged }
    }

    /// The word as if it was said now: only its age is forgotten, not the end of a grace that it named.
    static func asOfNow(_ verdict: Verdict, _ nowSeconds: Int64) -> Verdict {
        var verdict = verdict
        verdict.observedAtSeconds = nowSeconds
        verdict.fetchedAtSeconds = nowSeconds
        // Longer than any decision lasts.
        verdict.expiresAtSeconds = nowSeconds + 3_600
        return verdict
    }

    /// Integrations that said something definite once and do not now, by name.
    static func silent(_ known: [Verdict], _ fresh: [Verdict], _ nowSeconds: Int64) -> [String] {
        let heard = fresh.filter { $0.isDefinite && $0.isFresh(atSeconds: nowSeconds) }
        let silent = known.filter { last in
            last.isDefinite && !heard.contains { ExactText.isEqual($0.integration, last.integration) }
        }
        // Everybody says something, but too long ago for a rule about its age.
        return silent.isEmpty ? ["verdict-age"] : Set(silent.map(\.integration)).sorted()
    }
}

extension Verdict {
    /// Whether the provider gave an answer; the others say only that it could not or did not.
    fileprivate var isDefinite: Bool {
        switch state {
        case .compliant, .grace, .noncompliant, .notManaged: true
        case .notFound, .ambiguous, .unknown, .error, .delegated: false
        }
    }

    /// What this answer leaves open is as it was.
    fileprivate func filled(from last: Verdict) -> Verdict {
        var verdict = self
        verdict.isManaged = isManaged ?? last.isManaged
        verdict.score = score ?? last.score
        verdict.risk = risk ?? last.risk
        verdict.isSensorRunning = isSensorRunning ?? last.isSensorRunning
        return verdict
    }
}
