import Access
import Fetch
import Foundation
import JSON

/// Microsoft Intune through Microsoft Graph (providers.md 2): polling only, because Graph has neither delta
/// nor notifications for managed devices.
struct IntuneConnector: Connector {
    static let pagesMax = 2_000
    static let recordsMax = 1_000_000
    static let syncWaitSecondsMax = 600.0
    /// A priority fetch has somebody waiting in front of a page.
    static let fetchWaitSecondsMax = 3.0
    static let devices = "/v1.0/deviceManagement/managedDevices"
    static let fields = [
        "id", "azureADDeviceId", "serialNumber", "udid", "wiFiMacAddress", "ethernetMacAddress",
        "complianceState",
        "complianceGracePeriodExpirationDateTime", "lastSyncDateTime", "deviceRegistrationState",
        "managedDeviceOwnerType", "isEncrypted", "isSupervised", "deviceCategoryDisplayName",
        "partnerReportedThreatState",
    ].joined(separator: ",")

    let connection: IntuneConnection
    private let graph: GraphClient
    private let clock: PostureClock
    private let base: URLOrigin?
    private let missing = MissingPermissions()

    var integration: String { connection.integration }
    var provider: String { ManagedDevice.provider }
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
        graph = GraphClient(connection: connection, fetcher: fetcher, clock: clock, random: random)
        base = URLOrigin(connection.graphURL)
    }

    func status() async -> ConnectorStatus {
        var status = await graph.status()
        status.missingPermissions = await missing.names
        return status
    }

    /// 000.9: `DeviceManagementManagedDevices.Read.All` is required,
    /// `DeviceManagementServiceConfig.Read.All` is not: without it everything but the partner list works.
    func probe() async -> ConnectorFailure? {
        do throws(ConnectorFailure) {
            _ = try await read(Self.devices + "?$top=1&$select=id")
        } catch {
            guard error.kind == .forbidden else { return error }
            await missing.note("DeviceManagementManagedDevices.Read.All", isMissing: true)
            return ConnectorFailure(
                .forbidden,
                "permission DeviceManagementManagedDevices.Read.All (application) is missing: \(error.what)")
        }
        await missing.note("DeviceManagementManagedDevices.Read.All", isMissing: false)
        do throws(ConnectorFailure) {
            _ = try await read("/v1.0/deviceManagement/complianceManagementPartners?$top=1")
            await missing.note("DeviceManagementServiceConfig.Read.All", isMissing: false)
        } catch {
            let isMissing = error.kind == .forbidden
            await missing.note("DeviceManagementServiceConfig.Read.All", isMissing: isMissing)
        }
        return nil
    }

    private func read(_ path: String) async throws(ConnectorFailure) -> JSONValue {
        try await graph.get(connection.graphURL + path, waitSecondsMax: Self.fetchWaitSecondsMax)
    }

    // MARK: Everything

    func sync() async -> SyncResult {
        var reading = Reading()
        do throws(ConnectorFailure) {
            var next: String? = connection.graphURL + Self.devices + "?$select=\(Self.fields)&$count=true"
            while let url = next {
                next = try await readPage(url, into: &reading)
            }
        } catch {
            return SyncResult(records: reading.records, isComplete: false, failure: error)
        }
        let isProven = await isProvenComplete(reading)
        return SyncResult(records: reading.records, isComplete: isProven)
    }

    /// What a synchronisation has seen so far.
    private struct Reading {
        var records: [VerdictRecord] = []
        var ids: Set<String> = []
        var links: Set<String> = []
        var previousPage: Set<String>?
        var announcedCount: Int64?
        var malformedCount = 0
    }

    /// - Returns: the next page's address, nil after the last one.
    private func readPage(_ url: String, into reading: inout Reading) async throws(ConnectorFailure)
        -> String?
    {
        guard reading.links.insert(url).inserted else {
            throw ConnectorFailure(.pagingLoop, "a next link came twice")
        }
        guard reading.links.count <= Self.pagesMax else {
            throw ConnectorFailure(.pagingLoop, "more than \(Self.pagesMax) pages")
        }
        let page = try await graph.get(url, waitSecondsMax: Self.syncWaitSecondsMax)
        guard let values = page["value"]?.array else {
            throw ConnectorFailure(.malformedResponse, "a page without a value array")
        }
        if reading.links.count == 1 { reading.announcedCount = page["@odata.count"]?.integer }
        let now = clock.nowSeconds()
        var pageIDs: Set<String> = []
        for value in values {
            guard let device = ManagedDevice(value) else {
                reading.malformedCount += 1
                continue
            }
            pageIDs.insert(device.id)
            if reading.ids.insert(device.id).inserted {
                reading.records.append(device.record(of: connection, nowSeconds: now))
            }
        }
        guard reading.records.count <= Self.recordsMax else {
            throw ConnectorFailure(.malformedResponse, "more than \(Self.recordsMax) devices")
        }
        guard let link = page["@odata.nextLink"], link != .null else { return nil }
        guard let next = link.string, next.utf8.count <= 8192, let base, URLOrigin(next) == base else {
            throw ConnectorFailure(.malformedResponse, "a next link leads to another host")
        }
        // A provider that hands out ever new links with the same devices never ends otherwise.
        guard reading.previousPage != pageIDs else {
            throw ConnectorFailure(.pagingLoop, "two pages in a row hold the same devices")
        }
        reading.previousPage = pageIDs
        return next
    }

    /// Large tenants may silently omit records (providers.md 2.4), so the provider's own count must agree.
    private func isProvenComplete(_ reading: Reading) async -> Bool {
        guard reading.malformedCount == 0 else { return false }
        let overview = try? await read("/v1.0/deviceManagement/managedDeviceOverview")
        guard let count = overview?["enrolledDeviceCount"]?.integer ?? reading.announcedCount else {
            return false
        }
        return Int64(reading.ids.count) >= count
    }

    // MARK: One device

    /// By Intune id first, then Entra id, then serial number: one filter per call, because `or` over ids
    /// returns only the first match (providers.md 2.4).
    func fetch(_ keys: [DeviceKey]) async -> DeviceAnswer {
        var asked = false
        do throws(ConnectorFailure) {
            for kind in [DeviceKey.Kind.intune, .entra, .serial] {
                guard let key = keys.first(where: { $0.kind == kind }) else { continue }
                asked = true
                let found = try await lookUp(key)
                if !found.isEmpty { return .records(found) }
            }
        } catch {
            return .failed(error)
        }
        return asked
            ? .records([]) : .failed(ConnectorFailure(.notFound, "the device has no id that Intune knows"))
    }

    private func lookUp(_ key: DeviceKey) async throws(ConnectorFailure) -> [VerdictRecord] {
        switch key.kind {
        case .intune:
            do throws(ConnectorFailure) {
                let answer = try await read("\(Self.devices)/\(key.value)?$select=\(Self.fields)")
                // Vendor samples wrap single objects as {"value": {…}}; live answers are bare. Both are read.
                return try records([answer["value"] ?? answer], expecting: key)
            } catch {
                if error.kind == .notFound { return [] }
                throw error
            }
        case .entra: return try await filtered("azureADDeviceId", key)
        case .serial: return try await filtered("serialNumber", key)
        case .falcon, .tanium, .hardware, .mac: return []
        }
    }

    private func filtered(_ field: String, _ key: DeviceKey) async throws(ConnectorFailure) -> [VerdictRecord]
    {
        let value = key.value.replacingOccurrences(of: "'", with: "''")
        var allowed = CharacterSet.alphanumerics
        allowed.insert(charactersIn: "-._~")
        let filter = "\(field) eq '\(value)'".addingPercentEncoding(withAllowedCharacters: allowed) ?? ""
        let page = try await read("\(Self.devices)?$filter=\(filter)&$select=\(Self.fields)")
        guard let values = page["value"]?.array, values.count <= 100 else {
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

/// Permissions that a probe found missing.
private actor MissingPermissions {
    private(set) var names: [String] = []

    func note(_ name: String, isMissing: Bool) {
        names.removeAll { $0 == name }
        if isMissing { names.append(name) }
    }
}

/// Scheme, host and port of an absolute URL, for comparing.
struct URLOrigin: Hashable, Sendable {
    let scheme: String
    let host: String
    let port: Int

    /// nil for anything with user information, without a host, or of another scheme than http and https.
    init?(_ text: String) {
        guard let parts = URLComponents(string: text), parts.user == nil, parts.password == nil,
            let scheme = parts.scheme?.lowercased(), scheme == "https" || scheme == "http",
            let host = parts.host?.lowercased(), !host.isEmpty
        else { return nil }
        self.scheme = scheme
        self.host = host
        port = parts.port ?? (scheme == "https" ? 443 : 80)
    }
}
