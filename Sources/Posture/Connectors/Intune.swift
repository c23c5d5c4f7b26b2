import Access
import Fetch
import JSON

/// Microsoft Intune through Microsoft Graph (providers.md 2): polling only, because Graph has neither delta
/// nor notifications for managed devices.
struct IntuneConnector: Connector {
    static let vendor = Vendor(name: ManagedDevice.provider) { connection, parts throws(ConnectorFailure) in
        IntuneConnector(
            connection: try IntuneConnection(connection, vault: parts.vault), fetcher: parts.fetcher,
            clock: parts.clock,
            random: parts.random)
    }
    static let devices = "/v1.0/deviceManagement/managedDevices"
    static let fields = [
        "id", "deviceName", "azureADDeviceId", "serialNumber", "udid", "wiFiMacAddress", "ethernetMacAddress",
        "complianceState",
        "complianceGracePeriodExpirationDateTime", "lastSyncDateTime", "deviceRegistrationState",
        "managedDeviceOwnerType", "isEncrypted", "isSupervised", "deviceCategoryDisplayName",
        "partnerReportedThreatState", "userPrincipalName", "userId",
    ].joined(separator: ",")

    /// What is asked for of each device.
    var fields: String { connection.matchesOwners ? "\(Self.fields),operatingSystem" : Self.fields }
    let connection: IntuneConnection
    private let tenant: Graph.Tenant
    let graph: ProviderClient
    let clock: PostureClock
    let missing = MissingPermissions()
    private let partners = PartnerList()

    static let permission = "DeviceManagementManagedDevices.Read.All"
    /// 000.9, 002.16: the list that administrators are asked to grant, and no more.
    static let permissions = [permission, PartnerList.permission, IntuneSettings.permission]

    var integration: String { connection.integration }
    var provider: String { ManagedDevice.provider }
    var nativeKey: DeviceKey.Kind? { .intune }
    var pace: RefreshPace {
        RefreshPace(
            deviceSeconds: connection.refreshSeconds, fullSeconds: connection.fullSyncSeconds,
            ttlSeconds: connection.ttlSeconds)
    }

    init(
        connection: IntuneConnection, fetcher: any Fetcher, clock: PostureClock,
        random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) }
    ) {
        self.connection = connection
        self.clock = clock
        tenant = Graph.Tenant(
            id: connection.tenant, clientID: connection.clientID, credential: connection.credential,
            delegation: connection.delegation,
            loginURL: connection.loginURL, graphURL: connection.graphURL,
            authoritiesPEM: connection.authoritiesPEM, allowsPlainHTTP: connection.allowsPlainHTTP,
            facts: TokenFacts(tenant: connection.tenant, loginURL: connection.loginURL))
        graph = ProviderClient(api: Graph.api(tenant), fetcher: fetcher, clock: clock, random: random)
    }

    func status() async -> ConnectorStatus {
        var status = await graph.status()
        status.missingPermissions = await missing.names
        status.partners = await partners.partners
        await tenant.describe(needing: Self.permissions, in: &status)
        return status
    }

    func forgetToken() async { await graph.forgetToken() }

    var consent: GraphConsent? {
        GraphConsent(tenant: tenant, client: graph, scopes: Self.permissions)
    }

    /// 000.9: `DeviceManagementManagedDevices.Read.All` is required,
    /// `DeviceManagementServiceConfig.Read.All` is not: without it everything but the partner list works.
    func probe() async -> ConnectorFailure? {
        do throws(ConnectorFailure) {
            _ = try await read(Self.devices + "?$top=1&$select=id")
        } catch {
            guard error.kind == .forbidden else { return error }
            await missing.note(Self.permission, isMissing: true)
            return tenant.missing(Self.permission, error)
        }
        await missing.note(Self.permission, isMissing: false)
        await partners.refresh(graph, missing, waitSecondsMax: Self.fetchWaitSecondsMax)
        return nil
    }

    private func read(_ path: String) async throws(ConnectorFailure) -> JSONValue {
        try await graph.get(path, waitSecondsMax: Self.fetchWaitSecondsMax)
    }

    // MARK: Everything

    func sync() async -> SyncResult {
        var walk = PageWalk()
        do throws(ConnectorFailure) {
            try await Graph.walk(
                graph, from: "\(Self.devices)?$select=\(fields)&$count=true",
                waitSecondsMax: Self.syncWaitSecondsMax, into: &walk
            ) { value in
                let now = clock.nowSeconds()
                return ManagedDevice(value).map { ($0.id, $0.record(of: connection, nowSeconds: now)) }
            }
        } catch {
            return SyncResult(records: walk.records, isComplete: false, failure: error)
        }
        return SyncResult(records: walk.records, isComplete: await isProvenComplete(walk))
    }

    /// Large tenants may silently omit records (providers.md 2.4), so the provider's own count must agree,
    /// and there must be one.
    private func isProvenComplete(_ walk: PageWalk) async -> Bool {
        var walk = walk
        let overview = try? await read("/v1.0/deviceManagement/managedDeviceOverview")
        walk.announcedCount = overview?["enrolledDeviceCount"]?.integer ?? walk.announcedCount
        return walk.announcedCount != nil && walk.isProvenComplete
    }

    // MARK: One device

    /// One filter per call, because `or` over ids returns only the first match (providers.md 2.4).
    static let lookUpKinds = [DeviceKey.Kind.intune, .entra, .serial]
    static let unknownIDs = ConnectorFailure(.notFound, "the device has no id that Intune knows")

    /// By Intune id first, then Entra id, then serial number.
    func fetch(_ keys: [DeviceKey]) async -> DeviceAnswer {
        var asked = false
        do throws(ConnectorFailure) {
            for kind in Self.lookUpKinds {
                guard let key = keys.first(where: { $0.kind == kind }) else { continue }
                asked = true
                let found = try await lookUp(key)
                if !found.isEmpty { return .records(await detailed(found)) }
            }
        } catch {
            return .failed(error)
        }
        return asked ? .records([]) : .failed(Self.unknownIDs)
    }

    /// The settings one by one, for rules and for the page that a refused person reads (002.13), when the
    /// tenant granted it: the state itself does not depend on it (providers.md 2.1). A permission that is
    /// missing is asked for again only where something failed.
    private func detailed(_ records: [VerdictRecord]) async -> [VerdictRecord] {
        var records = records
        for index in records.indices {
            let verdict = records[index].verdict
            let isRefused = await missing.names.contains(IntuneSettings.permission)
            guard !isRefused || verdict.state != .compliant else { continue }
            do throws(ConnectorFailure) {
                Self.add(try await read(Self.statesPath(verdict.nativeID)), to: &records[index])
                await missing.note(IntuneSettings.permission, isMissing: false)
            } catch {
                guard error.kind == .forbidden else { continue }
                await missing.note(IntuneSettings.permission, isMissing: true)
            }
        }
        return records
    }

    static func statesPath(_ nativeID: String) -> String {
        "\(devices)/\(nativeID)/deviceCompliancePolicyStates"
    }

    static func add(_ states: JSONValue, to record: inout VerdictRecord) {
        record.verdict.remedies += IntuneSettings.failed(states)
        record.verdict.checks = IntuneSettings.checks(states)
    }

    private func lookUp(_ key: DeviceKey) async throws(ConnectorFailure) -> [VerdictRecord] {
        guard let path = path(of: key) else { return [] }
        do throws(ConnectorFailure) {
            return try records(in: try await read(path), of: key)
        } catch {
            if error.kind == .notFound, key.kind == .intune { return [] }
            throw error
        }
    }

    /// Where a device is read by this key; nil: by no key of this kind.
    func path(of key: DeviceKey) -> String? {
        switch key.kind {
        case .intune: "\(Self.devices)/\(key.value)?$select=\(fields)"
        case .entra: filtered("azureADDeviceId", key)
        case .serial: filtered("serialNumber", key)
        case .falcon, .tanium, .hardware, .name, .mac, .owner: nil
        }
    }

    private func filtered(_ field: String, _ key: DeviceKey) -> String {
        let value = key.value.replacing("'", with: "''")
        let filter = FormBody.encoded("\(field) eq '\(value)'")
        return "\(Self.devices)?$filter=\(filter)&$select=\(fields)"
    }

    /// The devices in the answer from `path(of:)`.
    func records(in answer: JSONValue, of key: DeviceKey) throws(ConnectorFailure) -> [VerdictRecord] {
        // Vendor samples wrap single objects as {"value": {…}}; live answers are bare. Both are read.
        if key.kind == .intune { return try records([answer["value"] ?? answer], expecting: key) }
        guard let values = answer["value"]?.array, values.count <= 100 else {
            throw ConnectorFailure(.malformedResponse, "a page without a value array of at most 100")
        }
        return try records(values, expecting: key)
    }

    /// A record that does not carry the key we asked for is somebody else's: a lying or broken filter.
    private func records(_ values: [JSONValue], expecting key: DeviceKey) throws(ConnectorFailure)
        -> [VerdictRecord]
    {
        var found: [VerdictRecord] = []
        for value in values {
            guard let device = ManagedDevice(value), device.keys.contains(key) else {
                throw ConnectorFailure(
                    .malformedResponse, "an answer about another device than the one asked for")
            }
            found.append(device.record(of: connection, nowSeconds: clock.nowSeconds()))
        }
        return found
    }
}
