import Access
import Fetch
import Foundation
import JSON

/// Omnissa Workspace ONE UEM: enrolment, compliance and compromise of devices (providers.md 6).
struct WorkspaceOneConnector: Connector {
    static let vendor = Vendor(name: "workspace-one", title: "Omnissa Workspace ONE UEM") {
        connection, parts throws(ConnectorFailure) in try WorkspaceOneConnector(connection, parts)
    }
    static let devicesPerPage: Int64 = 500
    /// The whole list is read at the pace of `refresh`: one filtered by when devices were seen would let the
    /// verdicts of those that were not seen lately run out, although nothing is wrong with them.
    static let deviceSeconds: Int64 = 86_400

    private let connection: ProviderConnection
    private let client: ProviderClient
    private let clock: PostureClock
    private let zone: TimeZone

    var integration: String { connection.integration }
    var provider: String { Self.vendor.name }
    var pace: RefreshPace {
        RefreshPace(
            deviceSeconds: Self.deviceSeconds, fullSeconds: connection.refreshSeconds,
            ttlSeconds: connection.ttlSeconds)
    }

    init(_ connection: ProviderConnection, _ parts: ConnectorParts) throws(ConnectorFailure) {
        let name = connection.texts["time-zone"] ?? "UTC"
        guard let zone = TimeZone(identifier: name) else {
            throw ConnectorFailure(.configError, "no time zone \(name)")
        }
        self.zone = zone
        self.connection = connection
        clock = parts.clock
        // The version of the interface is chosen by this field.
        var fields = [(name: "accept", value: "application/json;version=1")]
        if let code = connection.secrets["tenant-code"] { fields.append(("aw-tenant-code", code)) }
        client = parts.client(
            ProviderAPI(
                name: "Workspace ONE", base: try connection.text("api-url"),
                credentials: try Self.credentials(connection), fields: fields, errorWord: Self.errorWord,
                failureInside: Self.failureInside, allowsPlainHTTP: connection.allowsPlainHTTP,
                authoritiesPEM: connection.authoritiesPEM))
    }

    /// OAuth where the console has it, Basic elsewhere.
    private static func credentials(
        _ connection: ProviderConnection
    ) throws(ConnectorFailure) -> ProviderCredentials {
        guard let id = connection.texts["client-id"] else {
            let pair = "\(try connection.text("username")):\(try connection.secret("password"))"
            _ = try connection.secret("tenant-code")
            return .fixed([("authorization", "Basic \(Data(pair.utf8).base64EncodedString())")])
        }
        let regional = connection.texts["region"].map {
            "https://\($0).uemauth.workspaceone.com/connect/token"
        }
        guard let url = connection.texts["token-url"] ?? regional else {
            throw ConnectorFailure(.configError, "no region and no token-url")
        }
        let form = [
            (name: "grant_type", value: "client_credentials"), (name: "client_id", value: id),
            (name: "client_secret", value: try connection.secret("client-secret")),
        ]
        return .token(TokenGrant(url: url, form: { _ in form }, lifetimeSeconds: 3_600))
    }

    func status() async -> ConnectorStatus { await client.status() }

    func forgetToken() async { await client.forgetToken() }

    func probe() async -> ConnectorFailure? {
        do throws(ConnectorFailure) {
            _ = try await page(0, size: 1, waitSecondsMax: Self.fetchWaitSecondsMax)
            return nil
        } catch {
            guard error.kind == .forbidden else { return error }
            return ConnectorFailure(
                .forbidden,
                "the role lacks REST API > Devices > Read, or the API key is another's: \(error.what)")
        }
    }

    // MARK: Everything

    func sync() async -> SyncResult {
        var walk = PageWalk()
        do throws(ConnectorFailure) {
            var number: Int64? = 0
            while let current = number {
                try walk.turn(to: "page \(current)")
                let page = try await page(
                    current, size: Self.devicesPerPage, waitSecondsMax: Self.syncWaitSecondsMax)
                if walk.pages == 0 { walk.announcedCount = page.total }
                let hasNext = (current + 1) * page.size < page.total ?? 0
                number = hasNext ? current + 1 : nil
                try walk.take(page.devices, hasNext: hasNext, read: record)
            }
        } catch {
            return SyncResult(records: walk.records, isComplete: false, failure: error)
        }
        return SyncResult(
            records: walk.records, isComplete: walk.announcedCount != nil && walk.isProvenComplete)
    }

    private struct Page {
        var devices: [JSONValue]
        /// nil with 204, which is "no hit" and proves nothing.
        var total: Int64?
        var size: Int64
    }

    private func page(
        _ number: Int64, size: Int64, waitSecondsMax: Double
    ) async throws(ConnectorFailure) -> Page {
        let answer = try await client.call(
            ProviderCall(
                url: client.api.base + "/mdm/devices/search?page=\(number)&pagesize=\(size)",
                acceptsStatus: [200, 204]), waitSecondsMax: waitSecondsMax)
        if answer == .null { return Page(devices: [], total: nil, size: size) }
        guard let devices = answer["Devices"]?.array else {
            throw ConnectorFailure(.malformedResponse, "Workspace ONE: a page without Devices")
        }
        // The console may hold fewer on a page than it was asked for.
        let held = answer["PageSize"]?.integer ?? size
        guard (1...size).contains(held), answer["Page"]?.integer ?? number == number else {
            throw ConnectorFailure(.malformedResponse, "Workspace ONE: another page than the one asked for")
        }
        return Page(devices: devices, total: answer["Total"]?.integer, size: held)
    }

    // MARK: One device

    func fetch(_ keys: [DeviceKey]) async -> DeviceAnswer {
        let searches: [(DeviceKey.Kind, String)] = [(.serial, "Serialnumber"), (.hardware, "Udid")]
        var hasAsked = false
        do throws(ConnectorFailure) {
            for (kind, word) in searches {
                guard let key = keys.first(where: { $0.kind == kind }) else { continue }
                hasAsked = true
                if let found = try await lookUp(key, by: word) { return .records([found]) }
            }
        } catch {
            return .failed(error)
        }
        return hasAsked
            ? .records([])
            : .failed(ConnectorFailure(.notFound, "the device has no id that Workspace ONE knows"))
    }

    private func lookUp(_ key: DeviceKey, by word: String) async throws(ConnectorFailure) -> VerdictRecord? {
        let answer = try await client.call(
            ProviderCall(
                url: client.api.base + "/mdm/devices?searchby=\(word)&id=\(FormBody.encoded(key.value))",
                acceptsStatus: [200, 204, 404]), waitSecondsMax: Self.fetchWaitSecondsMax)
        if answer == .null || answer["errorCode"]?.integer != nil { return nil }
        guard let (_, record) = record(answer), record.keys.contains(key) else {
            throw ConnectorFailure(
                .malformedResponse, "an answer about another device than the one asked for")
        }
        return record
    }

    // MARK: Records

    private func record(_ value: JSONValue) -> (id: String, record: VerdictRecord)? {
        WorkspaceOneDevice(value, zone: zone).map {
            ($0.id, $0.record(of: connection, nowSeconds: clock.nowSeconds()))
        }
    }

    @Sendable private static func errorWord(_ body: JSONValue) -> String? {
        guard let code = body["errorCode"]?.integer else { return nil }
        return "\(code) \(body["message"]?.string ?? "")"
    }

    /// Old versions send an error document with status 200, so the code is looked at before anything else.
    @Sendable private static func failureInside(_ body: JSONValue) -> ConnectorFailure? {
        guard let code = body["errorCode"]?.integer, code != 0 else { return nil }
        let what = "Workspace ONE: \(ProviderClient.plain(errorWord(body) ?? ""))"
        switch code {
        case 1_005: return ConnectorFailure(.authFailed, what)
        default: return ConnectorFailure(.malformedResponse, what)
        }
    }
}
