import Access
import Fetch
import JSON

/// CrowdStrike Falcon: Zero Trust Assessment scores and hosts (providers.md 5).
struct CrowdStrikeConnector: Connector {
    static let vendor = Vendor(name: "crowdstrike", title: "CrowdStrike Falcon") {
        connection, parts throws(ConnectorFailure) in
        try CrowdStrikeConnector(connection, parts)
    }
    static let clouds = [
        "us-1": "https://api.crowdstrike.com", "us-2": "https://api.us-2.crowdstrike.com",
        "us-3": "https://api.us-3.crowdstrike.com", "eu-1": "https://api.eu-1.crowdstrike.com",
        "us-gov-1": "https://api.laggar.gcw.crowdstrike.com",
        "us-gov-2": "https://api.us-gov-2.crowdstrike.mil",
    ]
    /// A host with its policies and groups is 5 KB, some are much more, and a page may have 16 MiB.
    static let hostsPerPage = 500
    /// Of a GET with repeated `ids`.
    static let idsPerCall = 100
    /// The whole list is read at the pace of `refresh`, with scores in groups: that is fewer calls than
    /// asking for each known host, and the limit is the account's, shared with all its other clients.
    static let deviceSeconds: Int64 = 86_400
    /// Once a minute while a host is known by its connection alone.
    static let endingSeconds = OnlineStates.countSeconds - OnlineStates.askedSeconds

    private let connection: ProviderConnection
    private let falcon: ProviderClient
    private let clock: PostureClock
    private let missing = MissingPermissions()
    private let online: OnlineStates

    var integration: String { connection.integration }
    var provider: String { Self.vendor.name }
    var nativeKey: DeviceKey.Kind? { .falcon }
    var pace: RefreshPace {
        RefreshPace(
            deviceSeconds: Self.deviceSeconds, fullSeconds: connection.refreshSeconds,
            ttlSeconds: connection.ttlSeconds, endingSeconds: Self.endingSeconds)
    }

    init(_ connection: ProviderConnection, _ parts: ConnectorParts) throws(ConnectorFailure) {
        let cloud = try connection.text("cloud")
        guard let base = connection.texts["base-url"] ?? Self.clouds[cloud] else {
            throw ConnectorFailure(.configError, "no Falcon cloud \(cloud)")
        }
        var form = [
            (name: "client_id", value: try connection.text("client-id")),
            (name: "client_secret", value: try connection.secret("client-secret")),
        ]
        if let member = connection.texts["member-cid"] { form.append(("member_cid", member)) }
        let fixed = form
        // 201, not 200; and a token of another cloud than ours is good for nothing here.
        let grant = TokenGrant(
            url: base + "/oauth2/token", form: { _ in fixed }, acceptsStatus: [200, 201],
            errorWord: Self.errorWord,
            check: { response in
                guard let region = response.field("x-cs-region"), region.lowercased() != cloud else {
                    return nil
                }
                return ConnectorFailure(
                    .configError,
                    "the account is in cloud \(ProviderClient.plain(region)), not \(cloud); set cloud")
            })
        self.connection = connection
        clock = parts.clock
        online = OnlineStates()
        falcon = parts.client(
            ProviderAPI(
                name: "Falcon", base: base, credentials: .token(grant),
                hintFields: ["x-ratelimit-retryafter", "retry-after"], errorWord: Self.errorWord,
                windows: [RateWindow(calls: 3_000, seconds: 60)], allowsPlainHTTP: connection.allowsPlainHTTP,
                authoritiesPEM: connection.authoritiesPEM))
    }

    func status() async -> ConnectorStatus {
        var status = await falcon.status()
        status.missingPermissions = await missing.names
        return status
    }

    func forgetToken() async { await falcon.forgetToken() }

    /// 000.22: *Hosts* and *Zero Trust Assessment*, each with read permission.
    func probe() async -> ConnectorFailure? {
        for (scope, path) in [
            ("Hosts: read", "/devices/queries/devices/v1?limit=1"),
            (
                "Zero Trust Assessment: read",
                "/zero-trust-assessment/queries/assessments/v1?limit=1&filter=score%3A%3E%3D1"
            ),
        ] {
            do throws(ConnectorFailure) {
                _ = try await falcon.get(path, waitSecondsMax: Self.fetchWaitSecondsMax)
                await missing.note(scope, isMissing: false)
            } catch {
                guard error.kind == .forbidden else { return error }
                await missing.note(scope, isMissing: true)
                return ConnectorFailure(.forbidden, "scope \(scope) is missing: \(error.what)")
            }
        }
        return nil
    }

    // MARK: Everything

    func sync() async -> SyncResult {
        var walk = PageWalk()
        do throws(ConnectorFailure) {
            var offset: String? = ""
            while let current = offset {
                try walk.turn(to: "offset \(current)")
                let suffix = current.isEmpty ? "" : "&offset=\(FormBody.encoded(current))"
                let page = try await falcon.get(
                    "/devices/combined/devices/v1?limit=\(Self.hostsPerPage)&sort=device_id.asc\(suffix)",
                    waitSecondsMax: Self.syncWaitSecondsMax)
                let hosts = try Self.resources(page)
                let assessments = try await assessments(of: hosts, waitSecondsMax: Self.syncWaitSecondsMax)
                let pagination = page["meta"]?["pagination"]
                if walk.pages == 0 { walk.announcedCount = pagination?["total"]?.integer }
                offset = (pagination?["next"] ?? pagination?["offset"])?.string.flatMap {
                    $0.isEmpty ? nil : $0
                }
                // Nobody is asked here whether they are connected; what is known of it still counts.
                let known = await online.states(of: Self.agents(of: hosts), nowSeconds: clock.nowSeconds())
                try walk.take(hosts, hasNext: offset != nil) { host in record(host, assessments, known) }
            }
        } catch {
            return SyncResult(records: walk.records, isComplete: false, failure: error)
        }
        return SyncResult(
            records: walk.records, isComplete: walk.announcedCount != nil && walk.isProvenComplete)
    }

    private static func agents(of hosts: [JSONValue]) -> [String] {
        hosts.compactMap { $0["device_id"]?.string.flatMap { DeviceKey(.falcon, $0) }?.value }
    }

    /// Scores of these hosts by agent id. A host that was never assessed is simply not among them.
    private func assessments(
        of hosts: [JSONValue], waitSecondsMax: Double
    ) async throws(ConnectorFailure) -> [String: JSONValue] {
        let ids = Self.agents(of: hosts)
        var found: [String: JSONValue] = [:]
        for start in stride(from: 0, to: ids.count, by: Self.idsPerCall) {
            let some = ids[start..<min(start + Self.idsPerCall, ids.count)]
            let query = some.map { "ids=\($0)" }.joined(separator: "&")
            let answer: JSONValue
            do throws(ConnectorFailure) {
                answer = try await falcon.get(
                    "/zero-trust-assessment/entities/assessments/v1?\(query)", waitSecondsMax: waitSecondsMax)
            } catch {
                // None of them was assessed.
                if error.kind == .notFound { continue }
                throw error
            }
            for resource in try Self.resources(answer, mayMiss: true) {
                guard let id = resource["aid"]?.string.flatMap({ DeviceKey(.falcon, $0) })?.value else {
                    continue
                }
                found[id] = resource
            }
        }
        return found
    }

    // MARK: One device

    func fetch(_ keys: [DeviceKey]) async -> DeviceAnswer {
        do throws(ConnectorFailure) {
            let ids: [String]
            if let agent = keys.first(where: { $0.kind == .falcon }) {
                ids = [agent.value]
            } else if let serial = keys.first(where: { $0.kind == .serial }) {
                ids = try await agents(serial)
            } else {
                return .failed(ConnectorFailure(.notFound, "the device has no id that Falcon knows"))
            }
            guard !ids.isEmpty else { return .records([]) }
            let query = ids.map { "ids=\($0)" }.joined(separator: "&")
            let answer = try await falcon.get(
                "/devices/entities/devices/v2?\(query)", waitSecondsMax: Self.fetchWaitSecondsMax)
            let hosts = try Self.resources(answer, mayMiss: true)
            let assessments = try await assessments(of: hosts, waitSecondsMax: Self.fetchWaitSecondsMax)
            let states = await onlineStates(ids)
            var records: [VerdictRecord] = []
            for host in hosts {
                guard let (id, record) = record(host, assessments, states), ids.contains(id) else {
                    throw ConnectorFailure(
                        .malformedResponse, "an answer about another host than the one asked for")
                }
                records.append(record)
            }
            return .records(records)
        } catch {
            return error.kind == .notFound ? .records([]) : .failed(error)
        }
    }

    /// Whether these hosts are connected, asked at most once a minute. It only adds to what `last_seen` says, so a
    /// failure costs nothing else, and leaves what was known before to its own end.
    private func onlineStates(_ ids: [String]) async -> [String: OnlineStates.State] {
        let now = clock.nowSeconds()
        let known = await online.states(of: ids, nowSeconds: now)
        let unasked = ids.filter {
            known[$0]?.isYounger(than: OnlineStates.askedSeconds, nowSeconds: now) != true
        }
        guard !unasked.isEmpty else { return known }
        let query = unasked.map { "ids=\($0)" }.joined(separator: "&")
        let answer = try? await falcon.get(
            "/devices/entities/online-state/v1?\(query)", waitSecondsMax: Self.fetchWaitSecondsMax)
        var fresh: [String: Bool] = [:]
        for state in answer?["resources"]?.array ?? [] {
            guard let id = state["id"]?.string?.lowercased(), unasked.contains(id) else { continue }
            fresh[id] = state["state"]?.string?.lowercased() == "online"
        }
        await online.note(fresh, nowSeconds: now)
        return await online.states(of: ids, nowSeconds: now)
    }

    private func agents(_ serial: DeviceKey) async throws(ConnectorFailure) -> [String] {
        let value = serial.value.replacing("\\", with: "\\\\").replacing("'", with: "\\'")
        let answer = try await falcon.get(
            "/devices/queries/devices/v1?limit=\(Self.idsPerCall)&filter="
                + FormBody.encoded("serial_number:'\(value)'"), waitSecondsMax: Self.fetchWaitSecondsMax)
        let ids = try Self.resources(answer).compactMap {
            $0.string.flatMap { DeviceKey(.falcon, $0) }?.value
        }
        // "No such host" has consequences, so an answer that says otherwise elsewhere is not taken for it.
        guard !ids.isEmpty || answer["meta"]?["pagination"]?["total"]?.integer ?? 0 == 0 else {
            throw ConnectorFailure(.malformedResponse, "Falcon: hosts were announced and not named")
        }
        return ids
    }

    // MARK: Records

    private func record(
        _ host: JSONValue, _ assessments: [String: JSONValue], _ states: [String: OnlineStates.State]
    ) -> (id: String, record: VerdictRecord)? {
        guard let agent = host["device_id"]?.string.flatMap({ DeviceKey(.falcon, $0) }) else { return nil }
        let assessed = FalconHost(
            host: host, assessment: assessments[agent.value], agent: agent,
            onlineAtSeconds: states[agent.value].flatMap { $0.isOnline ? $0.atSeconds : nil },
            sensorSilenceSecondsMax: connection.number("sensor-max-silence", 3_600),
            scoreMember: (connection.texts["score-from"] ?? "overall").replacing("-", with: "_"))
        return (agent.value, assessed.record(of: connection, nowSeconds: clock.nowSeconds()))
    }

    /// 200 with a non-empty `errors` is a partial answer (providers.md 5.4).
    ///
    /// - Parameter mayMiss: ids that the vendor does not know are reported as errors with code 404 beside
    ///   the others.
    private static func resources(
        _ answer: JSONValue, mayMiss: Bool = false
    ) throws(ConnectorFailure) -> [JSONValue] {
        let errors = (answer["errors"]?.array ?? []).filter { !(mayMiss && $0["code"]?.integer == 404) }
        guard errors.isEmpty else {
            throw ConnectorFailure(
                .malformedResponse, "Falcon: partial answer, \(errorWord(answer) ?? "no code")")
        }
        guard let resources = answer["resources"]?.array else {
            throw ConnectorFailure(.malformedResponse, "Falcon: an answer without resources")
        }
        return resources
    }

    @Sendable private static func errorWord(_ body: JSONValue) -> String? {
        guard let error = body["errors"]?.array?.first else { return nil }
        let trace = body["meta"]?["trace_id"]?.string.map { ", trace \($0)" } ?? ""
        return "\(error["code"]?.integer ?? 0) \(error["message"]?.string ?? "")\(trace)"
    }
}
