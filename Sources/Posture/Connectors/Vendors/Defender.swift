import Access
import Fetch
import JSON

/// Microsoft Defender for Endpoint: health, risk and exposure of machines (providers.md 4).
struct DefenderConnector: Connector {
    static let vendor = Vendor(name: "defender", title: "Microsoft Defender for Endpoint") {
        connection, parts throws(ConnectorFailure) in try DefenderConnector(connection, parts)
    }
    /// The vendor allows 10,000. A machine with many adapters and tags is 3 KB or more, and a page may have 16 MiB.
    static let machinesPerPage = 2_000
    static let permission = "Machine.Read.All"
    static let standardScope = "https://api.securitycenter.microsoft.com/.default"
    /// The whole list is read at the pace of `refresh`: risk moves without `lastSeen`, so a list filtered by
    /// it would miss that, and 50,000 machines are 26 calls.
    static let deviceSeconds: Int64 = 86_400

    private let connection: ProviderConnection
    private let client: ProviderClient
    private let clock: PostureClock
    private let missing = MissingPermissions()
    private let facts: TokenFacts
    private let application: String

    var integration: String { connection.integration }
    var provider: String { Self.vendor.name }
    var pace: RefreshPace {
        RefreshPace(
            deviceSeconds: Self.deviceSeconds, fullSeconds: connection.refreshSeconds,
            // The vendor's limit for questions about single machines is one a second.
            ttlSeconds: connection.ttlSeconds, questionsAtOnceMax: 1)
    }

    init(_ connection: ProviderConnection, _ parts: ConnectorParts) throws(ConnectorFailure) {
        let (login, tenant) = (try connection.text("login-url"), try connection.text("tenant"))
        let clientID = try connection.text("client-id")
        let credential = try Graph.Credential(connection)
        let tokenURL = "\(login)/\(tenant)/oauth2/v2.0/token"
        let request = [
            (name: "grant_type", value: "client_credentials"),
            (name: "scope", value: connection.texts["scope"] ?? Self.standardScope),
        ]
        let facts = TokenFacts(tenant: tenant, loginURL: login)
        self.facts = facts
        // A token of this API: what the same application may do at Graph is no part of it.
        application = "defender \(tenant) \(clientID)"
        let grant = TokenGrant(
            url: tokenURL,
            form: { nowSeconds in
                credential.proof(clientID: clientID, tokenURL: tokenURL, nowSeconds: nowSeconds) + request
            }, errorWord: Graph.tokenErrorWord,
            received: { answer, client async throws(ConnectorFailure) in
                try await facts.received(answer, client)
            })
        self.connection = connection
        clock = parts.clock
        client = parts.client(
            ProviderAPI(
                name: "Defender", base: try connection.text("api-url"), credentials: .token(grant),
                errorWord: { $0["error"]?["code"]?.string },
                // The vendor's limits; per-device questions are one a second at most.
                windows: [RateWindow(calls: 100, seconds: 60), RateWindow(calls: 1_500, seconds: 3_600)],
                allowsPlainHTTP: connection.allowsPlainHTTP, authoritiesPEM: connection.authoritiesPEM))
    }

    func status() async -> ConnectorStatus {
        var status = await client.status()
        status.missingPermissions = await missing.names
        status.granted = await facts.granted
        status.needed = [Self.permission]
        status.application = application
        return status
    }

    func forgetToken() async { await client.forgetToken() }

    func probe() async -> ConnectorFailure? {
        do throws(ConnectorFailure) {
            _ = try await page("/api/machines?$top=1", waitSecondsMax: Self.fetchWaitSecondsMax)
            await missing.note(Self.permission, isMissing: false)
            return nil
        } catch {
            guard error.kind == .forbidden else { return error }
            await missing.note(Self.permission, isMissing: true)
            return ConnectorFailure(
                .forbidden, "permission \(Self.permission) (application) is missing: \(error.what)")
        }
    }

    // MARK: Everything

    func sync() async -> SyncResult {
        var walk = PageWalk()
        do throws(ConnectorFailure) {
            var next: String? = "/api/machines?$top=\(Self.machinesPerPage)"
            var count = 0
            while let url = next {
                try walk.turn(to: url)
                let page = try await page(url, waitSecondsMax: Self.syncWaitSecondsMax)
                count += page.values.count
                next = page.link
                // Without a link a full page may be followed by another; behind the last one is a 404.
                if next == nil, page.values.count >= Self.machinesPerPage {
                    next = "/api/machines?$top=\(Self.machinesPerPage)&$skip=\(count)"
                }
                try walk.take(page.values, hasNext: next != nil, read: record)
            }
            walk.announcedCount = await announcedCount()
        } catch {
            return SyncResult(
                records: Self.withoutPredecessors(walk.records), isComplete: false, failure: error)
        }
        // "No recent machines" looks like any other 404, so absence is believed only when the vendor's count
        // says so.
        return SyncResult(
            records: Self.withoutPredecessors(walk.records),
            isComplete: walk.announcedCount != nil && walk.isProvenComplete)
    }

    private func announcedCount() async -> Int64? {
        try? await client.get("/api/machines/$count", waitSecondsMax: Self.fetchWaitSecondsMax).integer
    }

    private struct Page {
        var values: [JSONValue]
        var link: String?
    }

    /// One page; the vendor's own 404 is an empty one.
    private func page(_ url: String, waitSecondsMax: Double) async throws(ConnectorFailure) -> Page {
        let absolute = url.hasPrefix("/") ? client.api.base + url : url
        let answer = try await client.call(
            ProviderCall(url: absolute, acceptsStatus: [200, 404]), waitSecondsMax: waitSecondsMax)
        if let code = answer["error"]?["code"]?.string {
            guard ["resourcenotfound", "notfound"].contains(code.lowercased()) else {
                throw ConnectorFailure(.malformedResponse, "Defender: \(ProviderClient.plain(code))")
            }
            return Page(values: [])
        }
        guard let values = answer["value"]?.array else {
            throw ConnectorFailure(.malformedResponse, "Defender: a page without a value array")
        }
        return Page(values: values, link: try Graph.link(answer["@odata.nextLink"]))
    }

    // MARK: One device

    /// By the Entra device id; Defender knows no serial numbers.
    func fetch(_ keys: [DeviceKey]) async -> DeviceAnswer {
        guard let key = keys.first(where: { $0.kind == .entra }) else {
            return .failed(ConnectorFailure(.notFound, "the device has no Entra device id"))
        }
        let filter = FormBody.encoded("aadDeviceId eq '\(key.value)'")
        do throws(ConnectorFailure) {
            let page = try await page(
                "/api/machines?$filter=\(filter)", waitSecondsMax: Self.fetchWaitSecondsMax)
            guard page.values.count <= 100, page.link == nil else {
                throw ConnectorFailure(.malformedResponse, "Defender: a page of more than 100 for one device")
            }
            var records: [VerdictRecord] = []
            for value in page.values {
                guard let (_, record) = record(value), record.keys.contains(key) else {
                    throw ConnectorFailure(
                        .malformedResponse, "an answer about another machine than the one asked for")
                }
                records.append(record)
            }
            return .records(Array(Self.withoutPredecessors(records)))
        } catch {
            return .failed(error)
        }
    }

    // MARK: Records

    private func record(_ value: JSONValue) -> (id: String, record: VerdictRecord)? {
        DefenderMachine(value).map {
            ($0.id, $0.record(of: connection, nowSeconds: clock.nowSeconds()))
        }
    }

    /// A reinstalled machine gets a new record beside its old one, with the same Entra id: the one that
    /// reported last is the machine. The others stay, for the record, without the keys that would make it
    /// ambiguous.
    static func withoutPredecessors(_ records: some Sequence<VerdictRecord>) -> VerdictRecords {
        var newest: [DeviceKey: Int64] = [:]
        for record in records {
            for key in record.keys where key.kind == .entra {
                newest[key] = max(newest[key] ?? .min, record.verdict.observedAtSeconds)
            }
        }
        return VerdictRecords(
            records.lazy.map { record in
                guard let device = record.keys.first(where: { $0.kind == .entra }),
                    let last = newest[device], record.verdict.observedAtSeconds < last
                else { return record }
                var old = record
                old.keys = []
                old.verdict.matchKey = ""
                return old
            })
    }
}
