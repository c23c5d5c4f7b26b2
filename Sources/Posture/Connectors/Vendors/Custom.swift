import Access
import JSON

/// A posture service of the customer's own, over the external evaluation contract (providers.md 8.6, 001.23):
/// we say which devices, it says a score for each.
struct CustomConnector: Connector {
    static let vendor = Vendor(name: "custom", title: "Your organisation's posture service") {
        connection, parts throws(ConnectorFailure) in
        try CustomConnector(connection, parts)
    }

    private let connection: ProviderConnection
    private let url: String
    private let client: ProviderClient
    private let clock: PostureClock

    var integration: String { connection.integration }
    var provider: String { Self.vendor.name }
    var pace: RefreshPace {
        // Everything is asked in batches, so one round is as cheap as one device.
        RefreshPace(
            deviceSeconds: connection.refreshSeconds, fullSeconds: connection.refreshSeconds,
            ttlSeconds: connection.ttlSeconds)
    }

    init(_ connection: ProviderConnection, _ parts: ConnectorParts) throws(ConnectorFailure) {
        self.connection = connection
        url = try connection.text("api-url")
        clock = parts.clock
        let token = try connection.secret("api-token")
        client = parts.client(
            ProviderAPI(
                name: "Custom provider", base: url,
                credentials: .fixed([(name: "authorization", value: "Bearer \(token)")]),
                errorWord: { $0["error"]?.string }, allowsPlainHTTP: connection.allowsPlainHTTP,
                authoritiesPEM: connection.authoritiesPEM))
    }

    func status() async -> ConnectorStatus { await client.status() }

    func forgetToken() async { await client.forgetToken() }

    /// An empty batch: whoever answers it speaks the contract and knows us.
    func probe() async -> ConnectorFailure? {
        do throws(ConnectorFailure) {
            _ = try await ask([], waitSecondsMax: Self.fetchWaitSecondsMax)
            return nil
        } catch {
            return error
        }
    }

    /// Without devices there is nothing to ask.
    func sync() async -> SyncResult { SyncResult(records: [], isComplete: false) }

    /// Its answers are only about what was asked, so a missing device is known from its own answer and not
    /// from a list that lacks it: a synchronisation is never a proof of absence for any other.
    func sync(known: [KnownDevice]) async -> SyncResult {
        var records = VerdictRecords()
        var refused = 0
        do throws(ConnectorFailure) {
            for start in stride(from: 0, to: known.count, by: EvaluationRequest.devicesMax) {
                let batch = Array(known[start..<min(start + EvaluationRequest.devicesMax, known.count)])
                let answer = try await ask(batch, waitSecondsMax: Self.syncWaitSecondsMax)
                for device in batch {
                    if let record = record(of: device, answer) {
                        records.append(record)
                    } else {
                        refused += 1
                    }
                }
            }
        } catch {
            return SyncResult(records: records, isComplete: false, failure: error)
        }
        let failure = refused == 0 ? nil : Self.malformed(refused)
        return SyncResult(records: records, isComplete: false, failure: failure)
    }

    func fetch(_ keys: [DeviceKey]) async -> DeviceAnswer {
        .failed(ConnectorFailure(.notFound, "a custom provider is asked for enrolled devices"))
    }

    func fetch(_ device: KnownDevice) async -> DeviceAnswer {
        do throws(ConnectorFailure) {
            let answer = try await ask([device], waitSecondsMax: Self.fetchWaitSecondsMax)
            guard let record = record(of: device, answer) else { return .failed(Self.malformed(1)) }
            return .records([record])
        } catch {
            return .failed(error)
        }
    }

    private static func malformed(_ count: Int) -> ConnectorFailure {
        ConnectorFailure(.malformedResponse, "\(count) devices were answered with no score from 0 to 100")
    }

    private func ask(_ devices: [KnownDevice], waitSecondsMax: Double) async throws(ConnectorFailure)
        -> JSONValue
    {
        // Asking is reading: nothing changes there however often it is done.
        let answer = try await client.call(
            ProviderCall(method: "POST", url: url, body: EvaluationRequest(devices).body),
            waitSecondsMax: waitSecondsMax)
        guard let result = answer["result"], result.object != nil else {
            throw ConnectorFailure(.malformedResponse, "an answer without a result object")
        }
        return result
    }

    /// nil: malformed for this device. Further ids in the answer are nobody's.
    private func record(of device: KnownDevice, _ result: JSONValue) -> VerdictRecord? {
        let now = clock.nowSeconds()
        guard let entry = result[device.id], entry != .null else {
            return DeclaredDevice(
                id: device.id, keys: device.keys, state: .notFound, isManaged: false, lastSeenSeconds: now,
                rawState: "not in the answer",
                remedies: [
                    "\(connection.integration) does not know this device. Ask your administrator to add it."
                ]
            ).record(of: connection, source: .null, nowSeconds: now)
        }
        guard let score = EvaluationAnswer.score(entry) else { return nil }
        var record = DeclaredDevice(
            id: device.id, keys: device.keys, state: state(entry, score), isManaged: nil,
            score: Verdict.Score(value: score, minimum: 0, maximum: 100, higherIsBetter: true),
            lastSeenSeconds: now, assessedSeconds: now,
            rawState: "score \(score) \(entry["s2s_id"]?.string ?? "")",
            remedies: remedies(entry, score)
        ).record(of: connection, source: entry, nowSeconds: now)
        if let life = entry["expires_in"], life != .null {
            // What cannot be read as a life has none.
            let end = now.addingReportingOverflow(max(life.integer ?? 0, 0))
            record.verdict.expiresAtSeconds = min(
                record.verdict.expiresAtSeconds, end.overflow ? .max : end.partialValue)
        }
        return record
    }

    /// Its own word when it gives one, otherwise the score against the limit: by default only a full one is
    /// compliant.
    private func state(_ entry: JSONValue, _ score: Int64) -> Verdict.State {
        guard let word = entry["state"], word != .null else {
            return score >= connection.number("compliant-score", 100) ? .compliant : .noncompliant
        }
        switch word.lowercasedWord {
        case "compliant": return .compliant
        case "noncompliant", "non_compliant": return .noncompliant
        case "not_managed": return .notManaged
        case "error": return .error
        case _: return .unknown
        }
    }

    private func remedies(_ entry: JSONValue, _ score: Int64) -> [String] {
        let reasons = (entry["reasons"]?.array ?? []).prefix(5).compactMap(\.string).map(
            RecordReading.shortened)
        guard !reasons.isEmpty else {
            return ["\(connection.integration) gives this device a score of \(score) of 100."]
        }
        return ["\(connection.integration) says: \(reasons.joined(separator: ", "))."]
    }
}

/// What we say of devices: `device_id` always, what we do not know blank.
struct EvaluationRequest: Sendable {
    static let devicesMax = 1_000
    var body: JSONValue

    init(_ devices: [KnownDevice]) {
        precondition(devices.count <= Self.devicesMax, "\(devices.count) devices in one request")
        let list = devices.map { device -> JSONValue in
            func value(_ kind: DeviceKey.Kind) -> JSONValue {
                .string(device.keys.first { $0.kind == kind }?.value ?? "")
            }
            return [
                "device_id": .string(device.id), "email": .string(device.email ?? ""),
                "serial_number": value(.serial), "mac_address": .string(device.addresses.first?.value ?? ""),
                "virtual_ipv4": "",
                "hostname": "",
            ]
        }
        body = ["devices": .array(list)]
    }
}

/// What is said of one device.
enum EvaluationAnswer {
    static let scores: ClosedRange<Int64> = 0...100

    /// nil for anything but a whole number from 0 to 100.
    static func score(_ entry: JSONValue) -> Int64? {
        guard case .integer(let score)? = entry["score"], scores.contains(score) else { return nil }
        return score
    }
}
