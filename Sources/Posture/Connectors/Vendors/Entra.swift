import Access
import Fetch
import JSON
import Signatures
import Store

/// Devices of the Microsoft Entra directory (providers.md 3.1, 3.2): one complete reading, then only what
/// changed. It is where Intune and partners write compliance to (001.2, 001.3, 002.9).
struct EntraConnector: Connector {
    static let vendor = Vendor(name: "entra", title: "Microsoft Entra") {
        connection, parts throws(ConnectorFailure) in
        try EntraConnector(connection, parts)
    }
    static let permission = "Device.Read.All"
    static let writePermission = "Device.ReadWrite.All"
    /// Delta links of directory objects last seven days; a complete reading once a week also heals what was
    /// missed.
    static let baselineSecondsMax: Int64 = 6 * 86_400
    private static let background = [(name: "x-ms-throttle-priority", value: "low")]

    /// The list that administrators are asked to grant, and no more.
    private var permissions: [String] {
        [Self.permission, PartnerList.permission] + (publishing == nil ? [] : [Self.writePermission])
    }

    let connection: ProviderConnection
    let tenant: Graph.Tenant
    let graph: ProviderClient
    private let clock: PostureClock
    private let missing = MissingPermissions()
    private let partners = PartnerList()

    var integration: String { connection.integration }
    var provider: String { Self.vendor.name }
    var pace: RefreshPace {
        RefreshPace(
            // Changes come by delta; asking for each device beside that only heals what one reading missed.
            deviceSeconds: max(connection.refreshSeconds, 7_200), fullSeconds: connection.refreshSeconds,
            ttlSeconds: connection.ttlSeconds)
    }

    init(_ connection: ProviderConnection, _ parts: ConnectorParts) throws(ConnectorFailure) {
        self.connection = connection
        tenant = try Graph.Tenant(connection, vault: parts.vault)
        clock = parts.clock
        graph = parts.client(Graph.api(tenant))
    }

    func status() async -> ConnectorStatus {
        var status = await graph.status()
        status.missingPermissions = await missing.names
        status.partners = await partners.partners
        await tenant.describe(needing: permissions, in: &status)
        return status
    }

    func forgetToken() async { await graph.forgetToken() }

    var consent: GraphConsent? {
        GraphConsent(tenant: tenant, client: graph, scopes: permissions)
    }

    /// `Device.Read.All` is required; the list of partners is not.
    func probe() async -> ConnectorFailure? {
        do throws(ConnectorFailure) {
            _ = try await graph.get(
                "/v1.0/devices?$top=1&$select=id", waitSecondsMax: Self.fetchWaitSecondsMax)
        } catch {
            guard error.kind == .forbidden else { return error }
            await missing.note(Self.permission, isMissing: true)
            return tenant.missing(Self.permission, error)
        }
        await missing.note(Self.permission, isMissing: false)
        await partners.refresh(graph, missing, waitSecondsMax: Self.fetchWaitSecondsMax)
        return nil
    }

    // MARK: Everything, and what changed

    func sync() async -> SyncResult {
        await partners.refresh(graph, missing, waitSecondsMax: Self.fetchWaitSecondsMax)
        let started = clock.nowSeconds()
        var reading = await reading()
        do throws(ConnectorFailure) {
            let first = "\(tenant.graphURL)/v1.0/devices/delta?$select=\(EntraDevice.fields)"
            let link = try await reading.follow(first, graph, fields: Self.background)
            let countAgrees = await countAgrees(reading)
            let isComplete = reading.isComplete && countAgrees
            return SyncResult(
                records: reading.records, isComplete: isComplete,
                position: isComplete ? await position(link, baselineSeconds: started) : nil)
        } catch {
            return SyncResult(records: reading.records, isComplete: false, failure: error)
        }
    }

    func changes(since position: String) async -> IncrementalResult {
        await partners.refresh(graph, missing, waitSecondsMax: Self.fetchWaitSecondsMax)
        let parts = position.split(separator: " ", maxSplits: 2)
        let fingerprint = await fingerprint()
        guard parts.count == 3, parts[0] == fingerprint, let baseline = Int64(parts[1]) else {
            return .baselineNeeded("the configuration or a partner's state changed")
        }
        guard (0..<Self.baselineSecondsMax).contains(clock.nowSeconds() - baseline) else {
            return .baselineNeeded("the last complete reading is a week old")
        }
        var reading = await reading()
        do throws(ConnectorFailure) {
            let link = try await reading.follow(String(parts[2]), graph, fields: Self.background)
            guard reading.isComplete else { return .baselineNeeded("a change could not be read") }
            return .changes(
                IncrementalChanges(
                    changed: reading.records, removed: reading.removed,
                    position: await self.position(link, baselineSeconds: baseline)))
        } catch {
            switch error.kind {
            // syncStateNotFound, resyncRequired, and a link that leads nowhere or in circles.
            case .malformedResponse, .pagingLoop, .notFound: return .baselineNeeded(error.what)
            case .authFailed, .forbidden, .throttled, .unavailable, .timeout, .tlsError, .clockSkew,
                .configError:
                return .failed(error, read: reading.records)
            }
        }
    }

    private func reading() async -> EntraReading {
        EntraReading(
            connection: connection, partners: await partners.partners, nowSeconds: clock.nowSeconds())
    }

    /// The last link is the vendor's word that this was all; its count, where we may ask for it, must not say
    /// more.
    private func countAgrees(_ reading: EntraReading) async -> Bool {
        let call = ProviderCall(
            url: tenant.graphURL + "/v1.0/devices/$count",
            fields: Self.background + [(name: "consistencylevel", value: "eventual")])
        guard let answer = try? await graph.call(call, waitSecondsMax: Self.fetchWaitSecondsMax),
            let count = answer.integer
        else { return false }
        return Int64(reading.count) >= count
    }

    private func position(_ link: String, baselineSeconds: Int64) async -> String {
        "\(await fingerprint()) \(baselineSeconds) \(link)"
    }

    /// What a delta link is frozen to, and what our reading of records depends on beside them.
    private func fingerprint() async -> String {
        let silent = await partners.partners.filter { !$0.speaks }.map(\.id).sorted()
        let parts = [tenant.graphURL, tenant.id, tenant.clientID, EntraDevice.fields] + silent
        return Base64URL.encode(Array(Digest.sha256(Array(parts.joined(separator: " ").utf8)).prefix(12)))
    }

    // MARK: One device

    func fetch(_ keys: [DeviceKey]) async -> DeviceAnswer {
        guard let key = keys.first(where: { $0.kind == .entra }) else {
            return .failed(ConnectorFailure(.notFound, "the device has no id that Entra knows"))
        }
        do throws(ConnectorFailure) {
            let filter = FormBody.encoded("deviceId eq '\(key.value)'")
            let page = try await graph.get(
                "/v1.0/devices?$filter=\(filter)&$select=\(EntraDevice.fields)",
                waitSecondsMax: Self.fetchWaitSecondsMax)
            guard let values = page["value"]?.array, values.count <= 100 else {
                throw ConnectorFailure(.malformedResponse, "a page without a value array of at most 100")
            }
            var found: [VerdictRecord] = []
            let partners = await partners.partners
            for value in values {
                guard let device = EntraDevice(value), device.key == key else {
                    throw ConnectorFailure(
                        .malformedResponse, "an answer about another device than the one asked for")
                }
                found.append(
                    device.record(of: connection, partners: partners, nowSeconds: clock.nowSeconds()))
            }
            return .records(found)
        } catch {
            return .failed(error)
        }
    }
}

/// The pages of a complete or incremental reading. Entries come in any order and several times; the last one
/// counts.
struct EntraReading: Sendable {
    var connection: ProviderConnection
    var partners: [PartnerState]
    var nowSeconds: Int64

    private var walk = PageWalk()
    private var latest: [String: PackedVerdict] = [:]
    private var gone: Set<String> = []

    init(connection: ProviderConnection, partners: [PartnerState], nowSeconds: Int64) {
        self.connection = connection
        self.partners = partners
        self.nowSeconds = nowSeconds
    }

    /// By the directory's id.
    var records: VerdictRecords {
        var records = VerdictRecords()
        for (_, packed) in latest.sorted(by: { $0.key < $1.key }) {
            records.append(packed, of: connection.integration)
        }
        return records
    }
    var count: Int { latest.count }
    var removed: [String] { gone.sorted() }
    var isComplete: Bool { walk.isProvenComplete }

    /// Follows next links as they are given, empty pages included.
    ///
    /// - Returns: the delta link, which also is the proof that this was the last page.
    mutating func follow(
        _ first: String, _ graph: ProviderClient, fields: [(name: String, value: String)]
    ) async throws(ConnectorFailure) -> String {
        var url = first
        while true {
            try walk.turn(to: url)
            // Both statuses carry a document that says why the link is of no use.
            let page = try await graph.call(
                ProviderCall(url: url, fields: fields, acceptsStatus: [200, 400, 410]),
                waitSecondsMax: EntraConnector.syncWaitSecondsMax)
            if page["error"] != nil {
                let word = Graph.errorWord(page).map(ProviderClient.plain) ?? "no code"
                throw ConnectorFailure(.malformedResponse, "Graph: delta refused, \(word)")
            }
            guard let values = page["value"]?.array else {
                throw ConnectorFailure(.malformedResponse, "a page without a value array")
            }
            let next = try Graph.link(page["@odata.nextLink"])
            try take(values, hasNext: next != nil)
            if let next {
                url = next
                continue
            }
            guard let delta = try Graph.link(page["@odata.deltaLink"]), delta.utf8.count <= 8_192,
                !delta.contains(" ")
            else { throw ConnectorFailure(.malformedResponse, "a last page without a delta link") }
            return delta
        }
    }

    private mutating func take(_ values: [JSONValue], hasNext: Bool) throws(ConnectorFailure) {
        var present: [JSONValue] = []
        var malformed = 0
        for value in values {
            guard value["@removed"] != nil else {
                present.append(value)
                continue
            }
            // `changed` (restorable) and `deleted` are both gone.
            guard let id = value["id"]?.string.flatMap(EntraDevice.objectID) else {
                malformed += 1
                continue
            }
            latest[id] = nil
            gone.insert(id)
        }
        var read: [(String, VerdictRecord)] = []
        try walk.take(present, hasNext: hasNext) { value in
            guard let device = EntraDevice(value) else { return nil }
            let record = device.record(of: connection, partners: partners, nowSeconds: nowSeconds)
            read.append((device.objectID, record))
            return (device.objectID, record)
        }
        walk.malformedCount += malformed
        for (id, record) in read {
            latest[id] = VerdictRecords.packed(record.said(by: CallTrace.current?.last))
            gone.remove(id)
        }
    }
}
