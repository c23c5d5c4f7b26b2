import JSON
import Synchronization

/// Tanium's API gateway: one GraphQL endpoint, a session token, cursors that end (providers.md 7.1).
struct Tanium: Vendor {
    static let apiToken = "token-0123456789abcdef-demo"
    static let endpointsMax = 10_000

    let name = "tanium"
    let members = VendorMembers(serial: "serialNumber", state: "riskLevel", lastSeen: "eidLastSeen")
    let window: (calls: Int, seconds: Int64)? = nil
    let cursorSeconds: Int64? = 300

    var demo: [VendorDevice] {
        [
            Self.endpoint(1_001, serial: "LAB-ALICE-0001", name: "alice-laptop", score: 210, risk: "Low"),
            Self.endpoint(1_002, serial: "LAB-BOB-0001", name: "bob-laptop", score: 870, risk: "Critical"),
        ]
    }

    static func endpoint(_ computer: Int64, serial: String, name: String, score: Int64?, risk: String?)
        -> VendorDevice
    {
        var record: JSONObject = [
            "id": .string("MTo6\(computer)"), "computerID": .string("\(computer)"), "name": .string(name),
            "domainName": "corp.example", "serialNumber": .string(serial),
            "systemUUID": .string("4c4c4544-0000-4000-8000-00000000\(computer)"), "manufacturer": "LENOVO",
            "model": "T14", "isVirtual": false, "ipAddress": "10.1.2.3", "ipAddresses": ["10.1.2.3"],
            "macAddresses": [.string("7c-21-4a-0c-\(computer / 100)-0\(computer % 10)")],
            "lastLoggedInUser": "corp\\person", "eidFirstSeen": "2026-01-10T09:00:00Z",
            "osName": "Windows 11", "osGeneration": "Windows 11", "osPlatform": "Windows",
        ]
        if let score { record["totalScore"] = .integer(score) }
        if let risk { record["riskLevel"] = .string(risk) }
        return VendorDevice(id: "MTo6\(computer)", record: record, name: name)
    }

    // MARK: Tokens and errors

    func isAuthorized(_ exchange: Exchange, _ emulator: VendorEmulator) -> Bool {
        // A token of this vendor ends for good: there is none to renew it with.
        guard emulator.faults.fires(.revokedSecret) == nil, emulator.faults.fires(.expireTokens) == nil else {
            return false
        }
        return exchange.head.field("session") == Self.apiToken
    }

    func error(_ status: Int, _ exchange: Exchange) -> Response {
        let texts = [401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 429: "Too Many Requests"]
        return .json(["text": .string(texts[status] ?? "Internal Server Error")], status: status)
    }

    /// This vendor's way of saying that something went wrong: with status 200.
    private func refused(_ message: String, data: JSONValue = .null) -> Response {
        .json([
            "data": data,
            "errors": [
                ["message": .string(message), "path": ["endpoints"], "extensions": ["code": "INTERNAL"]]
            ],
        ])
    }

    // MARK: Queries

    func answer(_ path: [String], _ exchange: Exchange, _ emulator: VendorEmulator) throws -> Response? {
        guard path == ["plugin", "products", "gateway", "graphql"], exchange.head.method == "POST" else {
            return nil
        }
        guard exchange.head.field("content-type")?.hasPrefix("application/json") == true,
            let body = try? JSONValue(parsing: try exchange.readBody()), let text = body["query"]?.string
        else { return error(400, exchange) }
        do throws(GraphQLQuery.Refusal) {
            let query = try GraphQLQuery(text, variables: body["variables"]?.object ?? [:])
            guard query.fields.count == 1, query.fields[0].name == "endpoints" else {
                throw GraphQLQuery.Refusal(
                    message: "Cannot query field \"\(query.fields.first?.name ?? "")\" on type \"Query\".")
            }
            return try endpoints(query.fields[0], exchange, emulator)
        } catch {
            return refused(error.message)
        }
    }

    private func endpoints(
        _ field: GraphQLQuery.Field, _ exchange: Exchange, _ emulator: VendorEmulator
    ) throws(GraphQLQuery.Refusal) -> Response {
        try Self.check(field, ["totalRecords", "pageInfo", "edges"], "EndpointConnection")
        guard let node = field["edges"]?["node"] else {
            throw GraphQLQuery.Refusal(message: "Field \"edges\" must have a selection of subfields.")
        }
        let hidden = emulator.state.withLock { $0.hiddenFields }
        try Self.check(node, Self.fields.subtracting(hidden), "Endpoint")
        let all = try Self.matching(
            emulator.records(nowSeconds: exchange.nowSeconds), field.arguments["filter"])
        let size = Int(field.arguments["first"]?.integer ?? 20)
        guard (1...Self.endpointsMax).contains(size) else {
            throw GraphQLQuery.Refusal(message: "first must be between 1 and \(Self.endpointsMax)")
        }
        let cursor = field.arguments["after"]?.string
        guard
            let (page, next) = emulator.page(all, cursor: cursor, size: size, nowSeconds: exchange.nowSeconds)
        else { throw GraphQLQuery.Refusal(message: "Cursor has expired or is invalid") }
        var shown = page
        let isPartial = emulator.faults.fires(.errorInside) != nil
        if isPartial { shown = shown.dropLast() }
        var connection: JSONObject = [:]
        for part in field.selection {
            switch part.name {
            case "totalRecords": connection[part.name] = .integer(Int64(all.count))
            case "pageInfo":
                connection[part.name] = [
                    "hasNextPage": .bool(next != nil), "endCursor": next.map { .string($0) } ?? .null,
                ]
            case _: connection[part.name] = .array(shown.map { ["node": Self.project($0, node)] })
            }
        }
        let data: JSONValue = ["endpoints": .object(connection)]
        return isPartial ? refused("a module did not answer", data: data) : .json(["data": data])
    }

    private static let fields: Set<String> = [
        "id", "computerID", "name", "domainName", "serialNumber", "systemUUID", "manufacturer", "model",
        "isVirtual",
        "ipAddress", "ipAddresses", "macAddresses", "lastLoggedInUser", "eidFirstSeen", "eidLastSeen", "os",
        "risk",
    ]
    private static let nested: [String: [String: String]] = [
        "os": ["name": "osName", "generation": "osGeneration", "platform": "osPlatform"],
        "risk": ["totalScore": "totalScore", "riskLevel": "riskLevel"],
    ]

    private static func check(
        _ field: GraphQLQuery.Field, _ known: Set<String>, _ type: String
    ) throws(GraphQLQuery.Refusal) {
        for inner in field.selection where !known.contains(inner.name) {
            throw GraphQLQuery.Refusal(message: "Cannot query field \"\(inner.name)\" on type \"\(type)\".")
        }
    }

    /// `{path:"serialNumber", op:EQ, value:…}`, the filter that clients use.
    private static func matching(
        _ records: [JSONObject], _ filter: JSONValue?
    ) throws(GraphQLQuery.Refusal) -> [JSONObject] {
        guard let filter, filter != .null else { return records }
        guard let path = filter["path"]?.string, filter["op"]?.string == "EQ",
            let value = filter["value"]?.string,
            fields.contains(path)
        else { throw GraphQLQuery.Refusal(message: "invalid filter") }
        return records.filter { $0[path]?.string?.lowercased() == value.lowercased() }
    }

    /// Just what was asked for.
    private static func project(_ record: JSONObject, _ node: GraphQLQuery.Field) -> JSONValue {
        var shown: JSONObject = [:]
        for field in node.selection {
            guard let members = nested[field.name] else {
                shown[field.name] = record[field.name] ?? .null
                continue
            }
            var inner: JSONObject = [:]
            for part in field.selection {
                inner[part.name] = members[part.name].flatMap { record[$0] } ?? .null
            }
            shown[field.name] = .object(inner)
        }
        return .object(shown)
    }
}
