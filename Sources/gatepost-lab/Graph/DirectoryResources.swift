/// `/v1.0/devices`, its delta function and the partners, as Microsoft Entra answers (providers.md 3.1, 3.2,
/// 3.4, 6.4).

import JSON
import Synchronization

extension GraphEmulator {
    static let directoryTopMax = 999

    /// nil: not one of these resources.
    func directoryResource(_ exchange: Exchange, _ route: [String], _ parameters: Parameters) -> Response? {
        if route == ["deviceManagement", "complianceManagementPartners"] {
            return partners(exchange)
        }
        guard let first = route.first, first == "devices" || first.hasPrefix("devices(") else { return nil }
        if let refusal = throttledByUnits(exchange, parameters) { return refusal }
        var response = directoryAnswer(exchange, route, parameters)
        response.fields.append(("x-ms-resource-unit", "\(Self.units(parameters))"))
        return response
    }

    private func partners(_ exchange: Exchange) -> Response {
        if faults.fires(.missingPartnerScope) != nil {
            return error(
                exchange, 403, "Forbidden", "Application is not authorized to perform this operation.")
        }
        let partners = directory.withLock { $0.partners }
        return .json(["value": .array(partners)], fields: identityFields(exchange))
    }

    private func directoryAnswer(_ exchange: Exchange, _ route: [String], _ parameters: Parameters)
        -> Response
    {
        do throws(QueryRefusal) {
            guard parameters["$skip"] == nil else {
                throw QueryRefusal(what: "'$skip' is not supported by the service.")
            }
            switch (route.count, route.last) {
            case (1, "devices"): return try directoryList(exchange, parameters)
            case (1, .some(let key)): return try directorySingle(exchange, parameters, Self.alternateKey(key))
            case (2, "delta"), (2, "delta()"): return try delta(exchange, parameters)
            case (2, "$count"):
                try requireEventual(exchange)
                return .text(String(directory.withLock { $0.devices.count }))
            case (2, .some(let id)): return try directorySingle(exchange, parameters, id)
            case _:
                return error(exchange, 404, "Request_ResourceNotFound", "Resource not found for the segment.")
            }
        } catch {
            return self.error(exchange, 400, "Request_BadRequest", error.what)
        }
    }

    private func requireEventual(_ exchange: Exchange) throws(QueryRefusal) {
        guard exchange.head.field("consistencylevel")?.lowercased() == "eventual" else {
            throw QueryRefusal(what: "$count needs the header ConsistencyLevel: eventual.")
        }
    }

    /// `devices(deviceId='…')`
    private static func alternateKey(_ segment: String) -> String {
        String(segment.dropFirst("devices(deviceId='".count).prefix { $0 != "'" })
    }

    // MARK: Lists

    private func directoryList(_ exchange: Exchange, _ parameters: Parameters) throws(QueryRefusal)
        -> Response
    {
        var query = try DirectoryQuery(parameters)
        if query.wantsCount { try requireEventual(exchange) }
        var offset = 0
        if let name = parameters["$skiptoken"] {
            guard let token = directory.withLock({ $0.token(name) }), !token.isDelta else {
                throw QueryRefusal(what: "$skiptoken is not known")
            }
            query.select = token.select
            query.top = token.top
            offset = token.offset
        }
        let all = directoryRecords(exchange).filter { query.matches($0) }
        let end = min(offset + query.top, all.count)
        var members: [(String, JSONValue)] = [
            ("@odata.context", "https://graph.microsoft.com/v1.0/$metadata#devices")
        ]
        if query.wantsCount { members.append(("@odata.count", .integer(Int64(all.count)))) }
        if end < all.count {
            let token = DirectoryState.Token(
                isDelta: false, select: query.select, top: query.top, since: 0, offset: end,
                issuedSeconds: exchange.nowSeconds)
            let name = directory.withLock { $0.keep(token) }
            members.append(("@odata.nextLink", .string("\(address)/v1.0/devices?$skiptoken=\(name)")))
        }
        let page = all[min(offset, all.count)..<max(end, min(offset, all.count))]
        members.append(("value", .array(page.map { .object(query.reduce($0)) })))
        return .json(.object(JSONObject(members)), fields: identityFields(exchange))
    }

    private func directorySingle(
        _ exchange: Exchange, _ parameters: Parameters, _ id: String
    ) throws(QueryRefusal) -> Response {
        let query = try DirectoryQuery(parameters)
        let wanted = id.lowercased()
        let isKey = exchange.head.path.contains("(deviceId=")
        let found = directoryRecords(exchange).first { record in
            record[isKey ? "deviceId" : "id"]?.string?.lowercased() == wanted
        }
        guard let found else {
            return error(
                exchange, 404, "Request_ResourceNotFound",
                "Resource '\(id)' does not exist or one of its queried reference-property objects "
                    + "are not present."
            )
        }
        let context = JSONValue.string("https://graph.microsoft.com/v1.0/$metadata#devices/$entity")
        let members = [("@odata.context", context)] + query.reduce(found).members.map { ($0.name, $0.value) }
        return .json(.object(JSONObject(members)), fields: identityFields(exchange))
    }

    /// All objects as the device faults want them.
    func directoryRecords(_ exchange: Exchange) -> [JSONObject] {
        var records = directory.withLock { $0.devices.map(\.members) }
        if faults.fires(.deviceMissing) != nil { records = Array(records.dropFirst()) }
        if faults.fires(.nullFields) != nil {
            for index in records.indices {
                for name in ["isCompliant", "isManaged", "trustType"] { records[index][name] = .null }
            }
        }
        if faults.fires(.unknownEnum) != nil {
            for index in records.indices { records[index]["isCompliant"] = "somethingNew" }
        }
        return records
    }

    // MARK: Resource units (3.4)

    /// `GET devices` costs 1; `$select` and a small `$top` take one off each, but 1 is the least.
    private static func units(_ parameters: Parameters) -> Int64 {
        1 + (parameters["$expand"] == nil ? 0 : 1)
    }

    private func throttledByUnits(_ exchange: Exchange, _ parameters: Parameters) -> Response? {
        let units = Self.units(parameters)
        let used = directory.withLock { $0.spend(units, nowSeconds: exchange.nowSeconds) }
        guard used > 1 || faults.fires(.throttleUnits) != nil else { return nil }
        var response = error(exchange, 429, "TooManyRequests", "Too many requests; try again later.")
        response.fields += [
            ("Retry-After", "\(DirectoryState.windowSeconds)"), ("x-ms-resource-unit", "\(units)"),
            ("x-ms-throttle-limit-percentage", "\(min(max(used, 1), 1.8))"),
            ("x-ms-throttle-scope", "Tenant_Application/ReadWrite/\(Self.clientID)/\(Self.tenant)"),
            ("x-ms-throttle-information", "ResourceUnitLimitExceeded"),
        ]
        return response
    }
}

/// What the devices collection understands of OData.
struct DirectoryQuery {
    static let filterable = ["deviceId", "displayName", "operatingSystem", "isCompliant", "accountEnabled"]

    var top = 100
    var select: [String] = []
    var wantsCount = false
    private var filter: (field: String, value: JSONValue)?

    init(_ parameters: Parameters) throws(QueryRefusal) {
        for (name, value) in parameters.pairs {
            switch name {
            case "$top":
                guard let count = Int(value), (1...GraphEmulator.directoryTopMax).contains(count) else {
                    throw QueryRefusal(what: "Invalid page size specified: '\(value)'.")
                }
                top = count
            case "$select": select = value.split(separator: ",").map(String.init)
            case "$count": wantsCount = value == "true"
            case "$skiptoken", "$deltatoken": break
            case "$filter": filter = try Self.filter(value)
            case _: throw QueryRefusal(what: "Unrecognized query option '\(name)'.")
            }
        }
    }

    /// `field eq 'text'` or `field eq true`.
    private static func filter(_ text: String) throws(QueryRefusal) -> (String, JSONValue) {
        let words = text.split(separator: " ", maxSplits: 2).map(String.init)
        guard words.count == 3, filterable.contains(words[0]), words[1] == "eq" else {
            throw QueryRefusal(what: "Unsupported or invalid query filter clause.")
        }
        if words[2] == "true" || words[2] == "false" { return (words[0], .bool(words[2] == "true")) }
        guard words[2].count >= 2, words[2].hasPrefix("'"), words[2].hasSuffix("'") else {
            throw QueryRefusal(what: "Unsupported or invalid query filter clause.")
        }
        return (words[0], .string(String(words[2].dropFirst().dropLast()).replacing("''", with: "'")))
    }

    func matches(_ record: JSONObject) -> Bool {
        guard let filter else { return true }
        guard let text = filter.value.string else { return record[filter.field] == filter.value }
        return record[filter.field]?.string?.lowercased() == text.lowercased()
    }

    /// The record with the selected members; `id` always.
    func reduce(_ record: JSONObject) -> JSONObject {
        guard !select.isEmpty else { return record }
        return JSONObject(
            record.members.filter { $0.name == "id" || select.contains($0.name) }.map { ($0.name, $0.value) })
    }
}
