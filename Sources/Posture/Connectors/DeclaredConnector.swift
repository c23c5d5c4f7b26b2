import Access
import JSON

/// Asks a vendor that is declared as data.
struct DeclaredConnector: Connector {
    private let declared: DeclaredVendor
    private let connection: ProviderConnection
    private let client: ProviderClient
    private let clock: PostureClock
    private let missing = MissingPermissions()

    var integration: String { connection.integration }
    var provider: String { declared.name }
    var pace: RefreshPace {
        RefreshPace(
            deviceSeconds: connection.refreshSeconds, fullSeconds: declared.fullSyncSeconds,
            ttlSeconds: connection.ttlSeconds)
    }

    static func vendor(_ declared: DeclaredVendor) -> Vendor {
        Vendor(name: declared.name, title: declared.title) { connection, parts throws(ConnectorFailure) in
            try DeclaredConnector(declared, connection, parts)
        }
    }

    private init(
        _ declared: DeclaredVendor, _ connection: ProviderConnection, _ parts: ConnectorParts
    ) throws(ConnectorFailure) {
        self.declared = declared
        self.connection = connection
        clock = parts.clock
        var api = try declared.api(connection)
        api.allowsPlainHTTP = connection.allowsPlainHTTP
        api.authoritiesPEM = connection.authoritiesPEM
        client = parts.client(api)
    }

    func status() async -> ConnectorStatus {
        var status = await client.status()
        status.missingPermissions = await missing.names
        return status
    }

    func forgetToken() async { await client.forgetToken() }

    func probe() async -> ConnectorFailure? {
        do throws(ConnectorFailure) {
            _ = try await page(at: firstPosition, size: 1, waitSecondsMax: Self.fetchWaitSecondsMax)
            await missing.note(declared.permission, isMissing: false)
            return nil
        } catch {
            guard error.kind == .forbidden else { return error }
            await missing.note(declared.permission, isMissing: true)
            return ConnectorFailure(.forbidden, "permission \(declared.permission) is missing: \(error.what)")
        }
    }

    // MARK: Everything

    func sync() async -> SyncResult {
        var walk = PageWalk()
        if let detail = declared.detail { await missing.note(detail.permission, isMissing: false) }
        var pagesWithoutNews = 0
        do throws(ConnectorFailure) {
            var position = firstPosition
            var isOver = false
            while !isOver {
                try walk.turn(to: position)
                let answer = try await page(
                    at: position, size: declared.list.size, waitSecondsMax: Self.syncWaitSecondsMax)
                let values = try items(answer, declared.list.items)
                if walk.pages == 0, case .member(let path)? = declared.list.total {
                    walk.announcedCount = answer.at(path)?.integer
                }
                let next = try self.next(after: position, values.count, answer)
                let detailed = try await detailed(values, waitSecondsMax: Self.syncWaitSecondsMax)
                let known = walk.deviceCount
                try walk.take(detailed, hasNext: next != nil) { record($0) }
                pagesWithoutNews = walk.deviceCount > known || values.isEmpty ? 0 : pagesWithoutNews + 1
                guard pagesWithoutNews < 2 else {
                    throw ConnectorFailure(.pagingLoop, "two pages in a row brought no other device")
                }
                position = next ?? position
                isOver = next == nil
            }
            if case .path(let path, let member)? = declared.list.total {
                let answer = try await client.get(path, waitSecondsMax: Self.fetchWaitSecondsMax)
                walk.announcedCount = answer.at(member)?.integer
            }
        } catch {
            return SyncResult(records: walk.records, isComplete: false, failure: error)
        }
        return SyncResult(records: walk.records, isComplete: isProvenComplete(walk))
    }

    /// Where the vendor gives a count it must be there and agree. Where it gives none, a list that is simply
    /// empty proves nothing: an account without devices has none to miss.
    private func isProvenComplete(_ walk: PageWalk) -> Bool {
        let hasProof = declared.list.total == nil ? walk.deviceCount > 0 : walk.announcedCount != nil
        return hasProof && walk.isProvenComplete
    }

    private var firstPosition: String {
        switch declared.list.paging {
        case .page(_, let first): "\(first)"
        case .offset: "0"
        case .cursor: ""
        }
    }

    private func page(at position: String, size: Int, waitSecondsMax: Double) async throws(ConnectorFailure)
        -> JSONValue
    {
        let list = declared.list
        var query = "\(list.sizeParameter)=\(size)"
        switch list.paging {
        case .page(let parameter, _), .offset(let parameter): query += "&\(parameter)=\(position)"
        case .cursor(let parameter, _):
            if !position.isEmpty { query += "&\(parameter)=\(FormBody.encoded(position))" }
        }
        return try await client.get(
            list.path + (list.path.contains("?") ? "&" : "?") + query, waitSecondsMax: waitSecondsMax)
    }

    /// Numbers go on until an *empty* page, not until a short one: a vendor may cap its pages below what was
    /// asked for.
    private func next(after position: String, _ count: Int, _ answer: JSONValue) throws(ConnectorFailure)
        -> String?
    {
        switch declared.list.paging {
        case .page: return count == 0 ? nil : Int(position).map { "\($0 + 1)" }
        case .offset: return count == 0 ? nil : Int(position).map { "\($0 + count)" }
        case .cursor(_, let path):
            guard let value = answer.at(path), value != .null else { return nil }
            guard let text = value.string else {
                throw ConnectorFailure(.malformedResponse, "a cursor that is no text")
            }
            return text.isEmpty ? nil : text
        }
    }

    private func items(_ answer: JSONValue, _ path: [String]) throws(ConnectorFailure) -> [JSONValue] {
        if declared.list.mayLackItems, answer.object != nil, answer.at(path) == nil, answer["error"] == nil {
            return []
        }
        guard let values = answer.at(path)?.array else {
            throw ConnectorFailure(.malformedResponse, "\(client.api.name): an answer without a list")
        }
        return values
    }

    private func record(_ value: JSONValue) -> (id: String, record: VerdictRecord)? {
        let now = clock.nowSeconds()
        guard let device = declared.read(value, connection, now) else { return nil }
        return (device.id, device.record(of: connection, source: value, nowSeconds: now))
    }

    // MARK: Details

    /// The records with what further calls say of them, a few calls at a time.
    private func detailed(_ values: [JSONValue], waitSecondsMax: Double) async throws(ConnectorFailure)
        -> [JSONValue]
    {
        guard let detail = declared.detail else { return values }
        var detailed: [JSONValue] = []
        for start in stride(from: 0, to: values.count, by: detail.callsMax) {
            let some = values[start..<min(start + detail.callsMax, values.count)]
            let answers = await withTaskGroup(of: (Int, Result<JSONValue, ConnectorFailure>).self) { group in
                for (index, value) in zip(some.indices, some) {
                    group.addTask {
                        (index, await self.withDetail(value, detail, waitSecondsMax: waitSecondsMax))
                    }
                }
                var answers: [Int: Result<JSONValue, ConnectorFailure>] = [:]
                for await (index, answer) in group { answers[index] = answer }
                return answers
            }
            for index in some.indices {
                switch answers[index] {
                case .success(let value)?: detailed.append(value)
                case .failure(let failure)?: throw failure
                case nil:
                    throw ConnectorFailure(.unavailable, "\(client.api.name): a detail without an answer")
                }
            }
        }
        return detailed
    }

    private func withDetail(_ value: JSONValue, _ detail: DeclaredDetail, waitSecondsMax: Double) async
        -> Result<JSONValue, ConnectorFailure>
    {
        guard var record = value.object, let path = detail.path(value, connection) else {
            return .success(value)
        }
        // Refused for one is refused for all: a complete reading does not ask ten thousand times.
        if await missing.names.contains(detail.permission), waitSecondsMax >= Self.syncWaitSecondsMax {
            record[detail.member] = .null
            return .success(.object(record))
        }
        do throws(ConnectorFailure) {
            record[detail.member] = try await client.get(path, waitSecondsMax: waitSecondsMax)
            await missing.note(detail.permission, isMissing: false)
        } catch {
            switch error.kind {
            case .forbidden: await missing.note(detail.permission, isMissing: true)
            case .notFound: break
            case .authFailed, .throttled, .unavailable, .timeout, .tlsError, .malformedResponse, .pagingLoop,
                .clockSkew, .configError:
                return .failure(error)
            }
            record[detail.member] = .null
        }
        return .success(.object(record))
    }

    // MARK: One device

    func fetch(_ keys: [DeviceKey]) async -> DeviceAnswer {
        var asked = false
        do throws(ConnectorFailure) {
            for lookUp in declared.lookUps {
                guard let key = keys.first(where: { $0.kind == lookUp.kind }) else { continue }
                asked = true
                let found = try await records(lookUp, key)
                if !found.isEmpty { return .records(found) }
            }
        } catch {
            return .failed(error)
        }
        return asked
            ? .records([])
            : .failed(ConnectorFailure(.notFound, "the device has no id that \(client.api.name) looks up"))
    }

    private func records(_ lookUp: DeclaredLookUp, _ key: DeviceKey) async throws(ConnectorFailure)
        -> [VerdictRecord]
    {
        let answer: JSONValue
        do throws(ConnectorFailure) {
            answer = try await client.get(
                lookUp.path(FormBody.encoded(key.value)), waitSecondsMax: Self.fetchWaitSecondsMax)
        } catch {
            if error.kind == .notFound { return [] }
            throw error
        }
        let values: [JSONValue]
        if let path = lookUp.items {
            values = try items(answer, path)
        } else {
            guard let record = answer.at(lookUp.record), record.object != nil else {
                throw ConnectorFailure(.malformedResponse, "\(client.api.name): an answer without a record")
            }
            values = [record]
        }
        guard values.count <= 100 else {
            throw ConnectorFailure(
                .malformedResponse, "\(client.api.name): more than 100 records for one device")
        }
        let wanted = try own(values, key, lookUp)
        return try await detailed(wanted, waitSecondsMax: Self.fetchWaitSecondsMax).compactMap {
            record($0)?.record
        }
    }

    /// A record that does not carry the key we asked for is somebody else's: a lying or broken filter.
    private func own(_ values: [JSONValue], _ key: DeviceKey, _ lookUp: DeclaredLookUp)
        throws(ConnectorFailure)
        -> [JSONValue]
    {
        var own: [JSONValue] = []
        for value in values {
            if let device = record(value)?.record, device.keys.contains(key) {
                own.append(value)
            } else if !lookUp.mayHoldOthers {
                throw ConnectorFailure(
                    .malformedResponse,
                    "\(client.api.name): an answer about another device than the one asked for")
            }
        }
        return own
    }
}
