import Identity
import JSON
import Store

/// How sign-ins are kept in step with their providers, as people read it.
struct RefreshStatusText {
    var providers: [RefreshStatus]
    var tallies: [String: RefreshTally]
    var nowSeconds: Int64

    /// Lines of `gatepost status`: a provider that fails, or that sessions can be refreshed at.
    var lines: [String] {
        providers.compactMap { status in
            if let since = status.failingSinceSeconds {
                return "\(status.provider): sign-ins cannot be refreshed for \(age(since)): "
                    + "\(status.failure ?? "-") (\(status.detail ?? "-")); they go on until their own end"
            }
            guard let tally = tallies[status.provider], tally.known > 0 else { return nil }
            let last = status.lastSuccessSeconds.map { "last success \(age($0)) ago" } ?? "none refreshed yet"
            let failing = tally.failing > 0 ? ", \(tally.failing) of them failing" : ""
            return "\(status.provider): \(tally.known) sign-in\(tally.known == 1 ? "" : "s") refreshed, "
                + "\(tally.resting) at rest\(failing); \(last)"
        }
    }

    private func age(_ seconds: Int64) -> String { "\(Age(seconds: max(0, nowSeconds - seconds)))" }

    var json: JSONValue {
        .array(
            providers.map { status in
                let tally = tallies[status.provider]
                return .object(
                    JSONObject([
                        ("provider", .string(status.provider)),
                        ("sign_ins", .integer(Int64(tally?.known ?? 0))),
                        ("resting", .integer(Int64(tally?.resting ?? 0))),
                        ("failing", .integer(Int64(tally?.failing ?? 0))),
                        ("running", .integer(Int64(status.running))),
                        ("last_success", status.lastSuccessSeconds.map { .integer($0) } ?? .null),
                        ("failing_since", status.failingSinceSeconds.map { .integer($0) } ?? .null),
                        ("failure", status.failure.map { .string($0) } ?? .null),
                    ]))
            })
    }

    // MARK: One session

    /// A cell of `gatepost session list`.
    static func cell(_ refresh: StoredRefresh?, nowSeconds: Int64) -> String {
        guard let refresh else { return "-" }
        if let since = refresh.failingSinceSeconds {
            return "failing for \(Age(seconds: max(0, nowSeconds - since))) (\(refresh.failure ?? "-"))"
        }
        let last = "\(Age(seconds: max(0, nowSeconds - refresh.refreshedAtSeconds))) ago"
        guard let due = refresh.dueAtSeconds else { return "\(last), at rest" }
        return due > nowSeconds ? "\(last), next in \(Age(seconds: due - nowSeconds))" : "\(last), due"
    }

    static func json(_ refresh: StoredRefresh?) -> JSONValue {
        guard let refresh else { return .null }
        return [
            "last": .integer(refresh.refreshedAtSeconds),
            "next": refresh.dueAtSeconds.map { .integer($0) } ?? .null,
            "failing_since": refresh.failingSinceSeconds.map { .integer($0) } ?? .null,
            "failure": refresh.failure.map { .string($0) } ?? .null,
            "unanswered_since": refresh.unansweredSinceSeconds.map { .integer($0) } ?? .null,
        ]
    }
}

extension ControlPlane {
    /// A store that does not answer leaves numbers out, not the whole status.
    func refreshStatus(_ services: Services) async -> RefreshStatusText {
        let source = await services.flow.refreshSource()
        return RefreshStatusText(
            providers: await refreshes.status(of: source),
            tallies: (try? await store.refreshTallies()) ?? [:], nowSeconds: nowSeconds())
    }
}
