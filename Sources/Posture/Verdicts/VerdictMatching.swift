import Access

/// Which cached records are about a device, and how strongly (providers.md 13).
enum VerdictMatching {
    /// One device, as it is asked about.
    struct Question: Sendable {
        /// Pinned to the device, strongest kind first.
        var keys: [DeviceKey]
        /// Kinds whose last stated value contradicts the pinned one.
        var conflicts: Set<String> = []
    }

    /// One integration that is asked.
    struct Source: Sendable {
        var integration: String
        var provider: String
        var ttlSeconds: Int64
        /// See `Connector`.
        var nativeKey: DeviceKey.Kind?

        init(_ connector: any Connector) {
            integration = connector.integration
            provider = connector.provider
            ttlSeconds = connector.pace.ttlSeconds
            nativeKey = connector.nativeKey
        }
    }

    /// One integration's verdict for a device.
    ///
    /// - Parameter table: what it said last; nil: nothing.
    /// - Returns: nil when nothing is known: that is not "not found".
    static func verdict(
        of question: Question, by source: Source, in table: VerdictTable?, nowSeconds: Int64
    ) -> Verdict? {
        guard let table else { return nil }
        for key in question.keys {
            let found = table.records(named: key)
            guard !found.isEmpty else { continue }
            // Records that are gone, retired or replaced do not make a living one ambiguous.
            let current = CurrentRecords.current(found, nowSeconds: nowSeconds)
            let candidates = current.isEmpty ? [found[0]] : current
            if !question.conflicts.isEmpty || candidates.count > 1 {
                return ambiguous(candidates[0].verdict, key: key)
            }
            var verdict = candidates[0].verdict
            verdict.matchKey = key.kind.rawValue
            verdict.matchStrength = key.kind.strengthWhenPinned
            return verdict
        }
        guard let key = question.keys.first, let completed = table.completedAtSeconds,
            nowSeconds < completed + source.ttlSeconds
        else { return nil }
        return notFound(source, key: key, completed)
    }

    /// Treated as unknown by policy, whatever the records say.
    static func ambiguous(_ verdict: Verdict, key: DeviceKey) -> Verdict {
        var verdict = verdict
        verdict.id += ":ambiguous"
        verdict.state = .ambiguous
        verdict.labels = []
        verdict.isManaged = nil
        verdict.risk = nil
        verdict.score = nil
        verdict.isSensorRunning = nil
        verdict.matchKey = key.kind.rawValue
        verdict.matchStrength = .weak
        verdict.remedies = ProviderRemedies.sentences(.ambiguous, provider: verdict.provider)
        return verdict
    }

    private static func notFound(_ source: Source, key: DeviceKey, _ completed: Int64) -> Verdict {
        Verdict(
            id: "\(source.integration):\(key.value):\(completed):absent", integration: source.integration,
            provider: source.provider,
            nativeID: "", state: .notFound, isManaged: false, observedAtSeconds: completed,
            fetchedAtSeconds: completed, expiresAtSeconds: completed + source.ttlSeconds,
            matchKey: key.kind.rawValue,
            matchStrength: key.kind.strengthWhenPinned, rawState: "not in a complete synchronisation",
            remedies: ProviderRemedies.sentences(.notFound, provider: source.provider))
    }
}

extension VerdictCache {
    /// What integrations say of devices, in their order: one question to this actor for all of them, because thousands
    /// of devices may have changed in one answer, and each question of its own would wait for its turn.
    func verdicts(
        of questions: [VerdictMatching.Question], by sources: [VerdictMatching.Source], nowSeconds: Int64
    ) async -> [[Verdict]] {
        for source in sources {
            if await readAhead(questions, source) { continue }
            await ready(source.integration)
        }
        let asked = sources.map { ($0, tables[ExactKey($0.integration)]) }
        return questions.map { question in
            asked.compactMap { source, table in
                VerdictMatching.verdict(of: question, by: source, in: table, nowSeconds: nowSeconds)
            }
        }
    }
}
