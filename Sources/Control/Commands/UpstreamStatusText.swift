import Border
import Config
import JSON

/// The applications' endpoints and how they fare, as `gatepost status` shows them.
struct UpstreamStatusText {
    struct Row: Equatable {
        var application: String
        var endpoint: String
        /// A standing of `UpstreamNews`, or `unresolved`.
        var state: String
        var untilSeconds: Int64?
        var why: String?
        /// How many reactors say so.
        var reactors: Int
    }

    var rows: [Row]
    var nowSeconds: Int64

    var lines: [String] {
        guard !rows.isEmpty else { return [] }
        let table = Table(
            header: ["application", "endpoint", "state", "why"],
            rows: rows.map { row in
                let left = row.untilSeconds.map { " for \(Age(seconds: max(0, $0 - nowSeconds)))" } ?? ""
                let count = row.reactors > 1 ? " (\(row.reactors) reactors)" : ""
                return [row.application, row.endpoint, row.state + left + count, row.why ?? "-"]
            })
        return ["", table.text]
    }

    var json: JSONValue {
        .array(
            rows.map { row in
                [
                    "application": .string(row.application), "endpoint": .string(row.endpoint),
                    "state": .string(row.state), "until": row.untilSeconds.map { .integer($0) } ?? .null,
                    "why": row.why.map { .string($0) } ?? .null, "reactors": .integer(Int64(row.reactors)),
                ]
            })
    }
}

extension ControlPlane {
    func upstreamStatus(_ services: Services) -> UpstreamStatusText {
        let now = nowSeconds()
        var rows: [UpstreamStatusText.Row] = []
        for (application, route) in zip(services.config.applications, services.snapshot.applications) {
            for address in route.upstreams {
                let told = upstreamStandings.standing(route.name, address.text)
                // What is over by the clock is over, also before the reactor has said so.
                let isOver = told?.news.untilSeconds.map { $0 < now } ?? false
                let starts: UpstreamNews.Standing = route.upstreamRules.health == nil ? .healthy : .probing
                let state = isOver ? .healthy : told?.news.standing ?? starts
                rows.append(
                    UpstreamStatusText.Row(
                        application: route.name, endpoint: address.text, state: state.rawValue,
                        untilSeconds: isOver ? nil : told?.news.untilSeconds,
                        why: isOver ? nil : told?.news.why,
                        reactors: isOver ? 0 : told?.reactors ?? 0))
            }
            for upstream in application.upstreams {
                guard let since = upstreamNames.state(of: upstream.host)?.failingSinceSeconds else {
                    continue
                }
                rows.append(
                    UpstreamStatusText.Row(
                        application: route.name, endpoint: "\(upstream.host):\(upstream.port)",
                        state: "unresolved",
                        why: "no answer for \(Age(seconds: max(0, now - since)))"
                            + (upstreamNames.addresses(of: upstream.host).isEmpty
                                ? "" : "; the last one is used"),
                        reactors: 0))
            }
        }
        return UpstreamStatusText(rows: rows, nowSeconds: now)
    }
}
