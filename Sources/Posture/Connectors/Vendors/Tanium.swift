import Access
import Fetch
import JSON

/// Tanium through its API gateway, a GraphQL endpoint (providers.md 7.1): managed endpoints and their risk.
struct TaniumConnector: Connector {
    static let vendor = Vendor(name: "tanium", title: "Tanium") {
        connection, parts throws(ConnectorFailure) in
        try TaniumConnector(connection, parts)
    }
    static let path = "/plugin/products/gateway/graphql"
    static let endpointsPerPage = 500
    /// The whole list is read at the pace of `refresh`.
    static let deviceSeconds: Int64 = 86_400
    /// Cursors end after minutes, so a slow synchronisation may have to begin anew; and each field that a
    /// gateway does not have costs one attempt.
    static let attemptsMax = 4

    private let connection: ProviderConnection
    private let client: ProviderClient
    private let clock: PostureClock
    private let fields = TaniumFields()

    var integration: String { connection.integration }
    var provider: String { Self.vendor.name }
    var pace: RefreshPace {
        RefreshPace(
            deviceSeconds: Self.deviceSeconds, fullSeconds: connection.refreshSeconds,
            ttlSeconds: connection.ttlSeconds)
    }

    init(_ connection: ProviderConnection, _ parts: ConnectorParts) throws(ConnectorFailure) {
        self.connection = connection
        clock = parts.clock
        // No published limits: one query in flight, because the walk asks for one page after the other.
        client = parts.client(
            ProviderAPI(
                name: "Tanium", base: try connection.text("api-url"),
                credentials: .fixed([("session", try connection.secret("api-token"))]),
                errorWord: Self.errorWord, allowsPlainHTTP: connection.allowsPlainHTTP,
                authoritiesPEM: connection.authoritiesPEM))
    }

    func status() async -> ConnectorStatus {
        var status = await client.status()
        status.missingPermissions = await fields.missing.sorted().map { "field \($0) of endpoints" }
        return status
    }

    func probe() async -> ConnectorFailure? {
        do throws(ConnectorFailure) {
            let answer = try await readable(waitSecondsMax: Self.fetchWaitSecondsMax) { fields in
                .object([
                    "query": .string(TaniumQuery.list(fields)), "variables": ["first": 1, "after": .null],
                ])
            }
            return answer.failure
        } catch {
            guard error.kind == .forbidden || error.kind == .authFailed else { return error }
            return ConnectorFailure(
                error.kind,
                "the API token is expired, lacks the API gateway's read permission, or is used from an "
                    + "address that it "
                    + "does not trust: \(error.what)")
        }
    }

    // MARK: Everything

    func sync() async -> SyncResult {
        var result = SyncResult(records: [], isComplete: false)
        for _ in 0..<Self.attemptsMax {
            var walk = PageWalk()
            do throws(WalkEnd) {
                let failure = try await read(into: &walk)
                return SyncResult(
                    records: walk.records,
                    isComplete: failure == nil && walk.announcedCount != nil && walk.isProvenComplete,
                    failure: failure)
            } catch {
                result = SyncResult(records: walk.records, isComplete: false, failure: error.failure)
                // Absence says nothing after a broken walk, so it begins anew instead of going on.
                guard error.isStaleCursor else { return result }
            }
        }
        return result
    }

    /// What ended a walk: a cursor that is too old is no failure of the provider.
    private struct WalkEnd: Error {
        var failure: ConnectorFailure
        var isStaleCursor = false
    }

    /// - Returns: what the provider said was wrong beside the data; then the data are only a part.
    private func read(into walk: inout PageWalk) async throws(WalkEnd) -> ConnectorFailure? {
        var cursor: String? = ""
        var partial: ConnectorFailure?
        while let after = cursor {
            do throws(ConnectorFailure) {
                try walk.turn(to: "cursor \(after)")
                let answer = try await readable(waitSecondsMax: Self.syncWaitSecondsMax) { fields in
                    .object([
                        "query": .string(TaniumQuery.list(fields)),
                        "variables": [
                            "first": .integer(Int64(Self.endpointsPerPage)),
                            "after": after.isEmpty ? .null : .string(after),
                        ],
                    ])
                }
                partial = partial ?? answer.failure
                if walk.pages == 0 { walk.announcedCount = answer.endpoints["totalRecords"]?.integer }
                let info = answer.endpoints["pageInfo"]
                let hasNext = info?["hasNextPage"]?.bool ?? false
                let next = info?["endCursor"]?.string
                guard !hasNext || next?.isEmpty == false else {
                    throw ConnectorFailure(.malformedResponse, "Tanium: a next page that is not named")
                }
                cursor = hasNext ? next : nil
                try walk.take(answer.nodes, hasNext: hasNext, read: record)
            } catch {
                let isStale = !after.isEmpty && error.what.lowercased().contains("cursor")
                throw WalkEnd(failure: error, isStaleCursor: isStale && error.kind == .malformedResponse)
            }
        }
        return partial
    }

    // MARK: One device

    func fetch(_ keys: [DeviceKey]) async -> DeviceAnswer {
        let paths: [(DeviceKey.Kind, String)] = [
            (.tanium, "computerID"), (.serial, "serialNumber"), (.hardware, "systemUUID"),
        ]
        var hasAsked = false
        do throws(ConnectorFailure) {
            for (kind, path) in paths {
                guard let key = keys.first(where: { $0.kind == kind }),
                    await !fields.missing.contains(path)
                else { continue }
                hasAsked = true
                let found = try await lookUp(key, path)
                if !found.isEmpty { return .records(found) }
            }
        } catch {
            return .failed(error)
        }
        return hasAsked
            ? .records([]) : .failed(ConnectorFailure(.notFound, "the device has no id that Tanium knows"))
    }

    private func lookUp(_ key: DeviceKey, _ path: String) async throws(ConnectorFailure) -> [VerdictRecord] {
        let answer = try await readable(waitSecondsMax: Self.fetchWaitSecondsMax) { fields in
            .object([
                "query": .string(TaniumQuery.filtered(fields, path: path)),
                "variables": ["value": .string(key.value), "first": 100],
            ])
        }
        if let failure = answer.failure { throw failure }
        // "No such endpoint" has consequences, so an answer that says otherwise elsewhere is not taken for it.
        guard !answer.nodes.isEmpty || answer.endpoints["totalRecords"]?.integer ?? 0 == 0 else {
            throw ConnectorFailure(.malformedResponse, "Tanium: endpoints were announced and not named")
        }
        var records: [VerdictRecord] = []
        for node in answer.nodes {
            guard let (_, record) = record(node), record.keys.contains(key) else {
                throw ConnectorFailure(
                    .malformedResponse, "an answer about another endpoint than the one asked for")
            }
            records.append(record)
        }
        return records
    }

    // MARK: Queries

    private struct Answer {
        var endpoints: JSONValue
        var nodes: [JSONValue]
        /// What came beside the data.
        var failure: ConnectorFailure?
    }

    /// One query; when the gateway does not know a field that we can do without, once more without it.
    private func readable(
        waitSecondsMax: Double, _ body: (Set<String>) -> JSONValue
    ) async throws(ConnectorFailure) -> Answer {
        for _ in 0...TaniumQuery.optionalFields.count {
            let known = await fields.known
            // A query that only reads: trying it again does no harm.
            let answer = try await client.call(
                ProviderCall(
                    method: "POST", url: client.api.base + Self.path, body: body(known),
                    acceptsStatus: [200, 400]),
                waitSecondsMax: waitSecondsMax)
            let errors = answer["errors"]?.array ?? []
            if let unknown = TaniumQuery.unknownField(errors), known.contains(unknown) {
                await fields.forget(unknown)
                continue
            }
            return try Self.answer(answer, errors)
        }
        throw ConnectorFailure(.malformedResponse, "Tanium: the gateway knows too few fields of endpoints")
    }

    /// Errors come with status 200: without data they are the answer, beside data they make it a part.
    private static func answer(_ answer: JSONValue, _ errors: [JSONValue]) throws(ConnectorFailure) -> Answer
    {
        let failure = errors.isEmpty ? nil : Self.failure(answer)
        guard let endpoints = answer["data"]?["endpoints"], let edges = endpoints["edges"]?.array else {
            throw failure ?? ConnectorFailure(.malformedResponse, "Tanium: an answer without endpoints")
        }
        return Answer(endpoints: endpoints, nodes: edges.map { $0["node"] ?? .null }, failure: failure)
    }

    private static func failure(_ answer: JSONValue) -> ConnectorFailure {
        let word = ProviderClient.plain(errorWord(answer) ?? "no message")
        let isRefusal = ["forbidden", "unauthorized", "permission", "not authorized"].contains {
            word.lowercased().contains($0)
        }
        return ConnectorFailure(isRefusal ? .forbidden : .malformedResponse, "Tanium: \(word)")
    }

    @Sendable private static func errorWord(_ body: JSONValue) -> String? {
        body["errors"]?.array?.first?["message"]?.string ?? body["text"]?.string
    }

    private func record(_ node: JSONValue) -> (id: String, record: VerdictRecord)? {
        TaniumEndpoint(node).map {
            ($0.id, $0.record(of: connection, nowSeconds: clock.nowSeconds()))
        }
    }
}

/// Which optional fields this gateway turned out not to have.
actor TaniumFields {
    private(set) var missing: Set<String> = []

    var known: Set<String> { TaniumQuery.optionalFields.subtracting(missing) }
    func forget(_ field: String) { missing.insert(field) }
}

/// The queries' texts. Values travel as variables, never spliced in.
enum TaniumQuery {
    /// Fields that some versions of the gateway do not have; nothing else depends on them.
    static let optionalFields: Set<String> = ["computerID", "systemUUID", "risk", "macAddresses"]

    static func list(_ fields: Set<String>) -> String {
        "query($first:Int!,$after:Cursor){endpoints(first:$first,after:$after){totalRecords "
            + "pageInfo{hasNextPage endCursor} edges{node{\(selection(fields))}}}}"
    }

    static func filtered(_ fields: Set<String>, path: String) -> String {
        "query($first:Int!,$value:String!){endpoints(first:$first,"
            + "filter:{path:\"\(path)\",op:EQ,value:$value}){"
            + "totalRecords edges{node{\(selection(fields))}}}}"
    }

    private static func selection(_ fields: Set<String>) -> String {
        let optional = fields.sorted().map { $0 == "risk" ? "risk{totalScore riskLevel}" : $0 }
        return (["id", "serialNumber", "isVirtual", "eidLastSeen", "os{platform}"] + optional)
            .joined(separator: " ")
    }

    /// `Cannot query field "risk" on type …`: the wording of every common GraphQL server.
    static func unknownField(_ errors: [JSONValue]) -> String? {
        errors.lazy.compactMap { $0["message"]?.string }.filter {
            $0.lowercased().contains("cannot query field")
        }
        .compactMap { message in optionalFields.first { message.contains("\"\($0)\"") } }.first
    }
}
