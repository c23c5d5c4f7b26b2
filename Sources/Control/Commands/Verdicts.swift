import Access
import Border
import JSON
import Posture
import Store

/// `gatepost verdicts` and `gatepost integrations`: what providers say, how old that is, and asking them again.
extension ControlPlane {
    func verdicts(_ command: JSONValue) async throws(StoreError) -> JSONValue {
        guard let id = command["device"]?.string else { return ["error": "name a device"] }
        let statement = try await store.sessions(.device(id: id), limit: 1).first?.statement
        guard let device = await services.posture.deviceFacts(id: id, statement: statement) else {
            return ["error": .string("no enrolled device \(id); gatepost device list shows them")]
        }
        var text = VerdictsText(device: device, nowSeconds: nowSeconds())
        text.publications = await services.posture.publicationsOf(deviceID: id)
        return .object(
            JSONObject([
                ("text", .string(text.text)), ("device", .string(id)),
                ("verdicts", .array(device.verdicts.map(text.json))),
                ("published", .array(text.publications.map(text.json))),
            ]))
    }

    /// Probes one integration again, as *Reconnect* does.
    func reconnect(_ command: JSONValue) async -> JSONValue {
        guard let name = command["integration"]?.string else { return ["error": "name an integration"] }
        guard let begun = await services.posture.beginReconnect(integration: name) else {
            let names = await services.posture.integrationStatus().map(\.integration).joined(separator: ", ")
            return ["error": .string("no provider integration \(name); there are: \(names)")]
        }
        return ["text": .string(ReconnectText(name: name, begun: begun).text)]
    }
}

/// What a provider said when it was asked again.
struct ReconnectText {
    var name: String
    var begun: Reconnection

    var text: String {
        let status = begun.status
        var first = "\(name) is \(status.state.rawValue)"
        if let reason = status.pendingReason { first += ": \(reason)" }
        var lines = [first]
        lines += status.connection.missingPermissions.map { "works without \($0), which is not granted" }
        if begun.synchronisation != nil {
            let read = status.devicesRead ?? 0
            lines.append(
                "its devices are being read (\(read) so far); gatepost status shows how far that has got")
        }
        return lines.joined(separator: "\n")
    }
}

/// The verdicts about one device, with both of their ages.
struct VerdictsText {
    var device: DeviceFacts
    var nowSeconds: Int64
    /// What directories were told of it.
    var publications: [Publication] = []

    var text: String { ([table] + publications.map(line)).joined(separator: "\n") }

    private func line(_ publication: Publication) -> String {
        let said =
            publication.state.map { "\(words($0)), \(age(publication.atSeconds ?? 0))" } ?? "nothing yet"
        let waiting = publication.waiting.map { "; waiting: \(words($0))" } ?? ""
        return "published to \(publication.integration): \(said)\(waiting)"
    }

    private func words(_ state: PublishedState) -> String {
        let managed = state.isManaged.map { $0 ? ", managed" : ", not managed" } ?? ""
        return (state.isCompliant ? "compliant" : "not compliant") + managed
    }

    func json(_ publication: Publication) -> JSONValue {
        func json(_ state: PublishedState?) -> JSONValue {
            guard let state else { return .null }
            return [
                "is_compliant": .bool(state.isCompliant),
                "is_managed": state.isManaged.map { .bool($0) } ?? .null,
            ]
        }
        return [
            "integration": .string(publication.integration), "state": json(publication.state),
            "at": publication.atSeconds.map { .integer($0) } ?? .null, "waiting": json(publication.waiting),
        ]
    }

    private var table: String {
        guard !device.verdicts.isEmpty else { return "no provider says anything about \(device.id) yet" }
        let rows = device.verdicts.map { verdict in
            [
                verdict.integration, verdict.provider, state(verdict), score(verdict),
                verdict.labels.isEmpty ? "-" : verdict.labels.joined(separator: " "),
                age(verdict.observedAtSeconds), age(verdict.fetchedAtSeconds), rest(verdict),
                "\(verdict.matchKey), \(verdict.matchStrength.rawValue)",
            ]
        }
        return Table(
            header: [
                "integration", "provider", "state", "score", "labels", "reported", "fetched", "good for",
                "match",
            ],
            rows: rows
        ).text
    }

    /// The verdict's state, with the provider's own word where it is another one.
    private func state(_ verdict: Verdict) -> String {
        let word = verdict.state.rawValue
        return verdict.rawState.isEmpty || verdict.rawState.lowercased() == word
            ? word : "\(word) (\(verdict.rawState))"
    }

    private func score(_ verdict: Verdict) -> String {
        let score = verdict.score.map { "\($0.value) of \($0.maximum)" }
        return [score, verdict.risk?.rawValue].compactMap { $0 }.joined(separator: ", ").nonEmpty ?? "-"
    }

    private func age(_ seconds: Int64) -> String {
        seconds <= 0 ? "never" : "\(Age(seconds: max(0, nowSeconds - seconds))) ago"
    }

    private func rest(_ verdict: Verdict) -> String {
        verdict.isFresh(atSeconds: nowSeconds)
            ? "\(Age(seconds: verdict.endsAtSeconds - nowSeconds))" : "stale"
    }

    func json(_ verdict: Verdict) -> JSONValue {
        .object(
            JSONObject([
                ("id", .string(verdict.id)), ("integration", .string(verdict.integration)),
                ("provider", .string(verdict.provider)), ("native_id", .string(verdict.nativeID)),
                ("state", .string(verdict.state.rawValue)), ("raw_state", .string(verdict.rawState)),
                ("labels", .array(verdict.labels.map { .string($0) })),
                ("score", verdict.score.map { .integer($0.value) } ?? .null),
                ("risk", verdict.risk.map { .string($0.rawValue) } ?? .null),
                ("sensor_running", verdict.isSensorRunning.map { .bool($0) } ?? .null),
                ("observed_at", .integer(verdict.observedAtSeconds)),
                ("fetched_at", .integer(verdict.fetchedAtSeconds)),
                ("expires_at", .integer(verdict.expiresAtSeconds)),
                ("match_key", .string(verdict.matchKey)),
                ("match_strength", .string(verdict.matchStrength.rawValue)),
                ("digest", .string(verdict.digest)),
                ("reasons", .array(verdict.reasons(atSeconds: nowSeconds).map { .string($0.rawValue) })),
                ("provenance", verdict.provenance?.json ?? .null),
                (
                    "checks",
                    .array(
                        verdict.checks.map { check in
                            [
                                "id": .string(check.id), "title": .string(check.title),
                                "state": .string(check.state.rawValue),
                            ]
                        })
                ),
                ("remedies", .array(verdict.remedies.map { .string($0) })),
            ]))
    }
}

extension String {
    fileprivate var nonEmpty: String? { isEmpty ? nil : self }
}
