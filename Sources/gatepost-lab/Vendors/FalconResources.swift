import JSON

/// Hosts, online states and Zero Trust Assessments (providers.md 5.2, 5.3).
extension Falcon {
    func answer(_ path: [String], _ exchange: Exchange, _ emulator: VendorEmulator) throws -> Response? {
        let query = RepeatedParameters(exchange.head.query)
        let records = emulator.records(nowSeconds: exchange.nowSeconds)
        switch path.joined(separator: "/") {
        case "devices/queries/devices/v1": return queryHosts(records, query, exchange, emulator)
        case "devices/queries/devices-scroll/v1": return scrollHosts(records, query, exchange, emulator)
        case "devices/combined/devices/v1": return listHosts(records, query, exchange, emulator)
        case "devices/entities/devices/v2":
            let isPost = exchange.head.method == "POST"
            let ids = try isPost ? Self.ids(exchange) : query.all("ids")
            guard (1...(isPost ? 5_000 : 100)).contains(ids.count) else { return error(400, exchange) }
            let known = ids.compactMap { id in records.first { $0["device_id"]?.string == id } }
            return found(known.map { .object(Self.host($0)) }, errors: Self.missing(ids, records))
        case "devices/entities/online-state/v1": return onlineStates(records, query.all("ids"), exchange)
        case "zero-trust-assessment/entities/assessments/v1":
            return assessments(records, query.all("ids"), exchange)
        case "zero-trust-assessment/queries/assessments/v1": return scores(records, query, exchange, emulator)
        case "zero-trust-assessment/entities/audit/v1": return audit(records)
        case _: return nil
        }
    }

    private static func ids(_ exchange: Exchange) throws -> [String] {
        (try? JSONValue(parsing: try exchange.readBody(bytesMax: 1 << 20)))?["ids"]?.array?.compactMap(
            \.string) ?? []
    }

    /// An id that is not known is left out of the resources, with an error entry of its own.
    private static func missing(_ ids: [String], _ records: [JSONObject]) -> [JSONValue] {
        ids.filter { id in !records.contains { $0["device_id"]?.string == id } }.map {
            ["code": 404, "message": .string("resource \($0) not found"), "id": .string($0)]
        }
    }

    /// Without the members that are the emulator's own.
    private static func host(_ record: JSONObject) -> JSONObject {
        JSONObject(
            record.members.filter { !$0.name.hasPrefix("zta") && $0.name != "online" }.map {
                ($0.name, $0.value)
            })
    }

    // MARK: Hosts

    /// nil: a filter of another form than `field:'value'` and `field:['a','b']`, the ones that clients use on
    /// hosts.
    private func matching(_ records: [JSONObject], _ filter: String?) -> [JSONObject]? {
        guard let filter, !filter.isEmpty else { return records }
        guard let colon = filter.firstIndex(of: ":"), filter.hasSuffix("'") || filter.hasSuffix("']") else {
            return nil
        }
        let field = String(filter[..<colon])
        var text = filter[filter.index(after: colon)...]
        if text.first == "[" { text = text.dropFirst().dropLast() }
        guard text.first == "'", text.count >= 2 else { return nil }
        let unescaped = text.dropFirst().dropLast().replacing("\\'", with: "'").replacing("\\\\", with: "\\")
        let values = unescaped.split(separator: "','").map { $0.lowercased() }
        return records.filter { $0[field]?.string.map { values.contains($0.lowercased()) } ?? false }
    }

    private func queryHosts(
        _ records: [JSONObject], _ query: RepeatedParameters, _ exchange: Exchange, _ emulator: VendorEmulator
    ) -> Response {
        guard let hosts = matching(records, query["filter"]), let size = Int(query["limit"] ?? "100"),
            (1...5_000).contains(size), let offset = Int(query["offset"] ?? "0"), offset >= 0
        else { return error(400, exchange) }
        let page = emulator.page(hosts, offset: offset, size: size).page
        return found(
            page.compactMap { $0["device_id"] },
            pagination: [
                "total": .integer(Int64(hosts.count)), "offset": .integer(Int64(offset + page.count)),
                "limit": .integer(Int64(size)),
            ])
    }

    private func scrollHosts(
        _ records: [JSONObject], _ query: RepeatedParameters, _ exchange: Exchange, _ emulator: VendorEmulator
    ) -> Response {
        guard let hosts = matching(records, query["filter"]), let size = Int(query["limit"] ?? "100"),
            (1...10_000).contains(size),
            let (page, next) = emulator.page(
                hosts, cursor: query["offset"], size: size, nowSeconds: exchange.nowSeconds)
        else { return error(400, exchange) }
        return found(
            page.compactMap { $0["device_id"] },
            pagination: [
                "total": .integer(Int64(hosts.count)), "offset": .string(next ?? ""),
                "expires_at": .integer((exchange.nowSeconds + 120) * 1_000_000_000),
            ])
    }

    private func listHosts(
        _ records: [JSONObject], _ query: RepeatedParameters, _ exchange: Exchange, _ emulator: VendorEmulator
    ) -> Response {
        guard let hosts = matching(records, query["filter"]), let size = Int(query["limit"] ?? "100"),
            (1...10_000).contains(size),
            let (all, next) = emulator.page(hosts, cursor: query["offset"], size: size)
        else { return error(400, exchange) }
        var page = all
        var errors: [JSONValue] = []
        if emulator.faults.fires(.errorInside) != nil {
            page = page.dropLast()
            errors = [["code": 500, "message": "partial failure"]]
        }
        var pagination: JSONObject = ["total": .integer(Int64(hosts.count)), "limit": .integer(Int64(size))]
        pagination["next"] = .string(next ?? "")
        return found(page.map { .object(Self.host($0)) }, errors: errors, pagination: pagination)
    }

    private func onlineStates(_ records: [JSONObject], _ ids: [String], _ exchange: Exchange) -> Response {
        guard (1...100).contains(ids.count) else { return error(400, exchange) }
        let known = ids.compactMap { id in records.first { $0["device_id"]?.string == id } }
        let states = known.map { record -> JSONValue in
            let state = record["online"] ?? "unknown"
            var members: JSONObject = [
                "id": record["device_id"] ?? .null, "cid": .string(Self.customer), "state": state,
            ]
            if state != "offline" { members["last_seen"] = record["last_seen"] }
            return .object(members)
        }
        return found(states, errors: Self.missing(ids, records))
    }

    // MARK: Assessments

    private func assessments(_ records: [JSONObject], _ ids: [String], _ exchange: Exchange) -> Response {
        guard (1...100).contains(ids.count) else { return error(400, exchange) }
        let assessed = records.filter { $0["zta"] != nil }
        let known = ids.compactMap { id in assessed.first { $0["device_id"]?.string == id } }
        return found(
            known.map { Self.assessment($0, nowSeconds: exchange.nowSeconds) },
            errors: Self.missing(ids, assessed))
    }

    private static func assessment(_ record: JSONObject, nowSeconds: Int64) -> JSONValue {
        let overall = record["zta"] ?? .null
        let signal: JSONValue = [
            "signal_id": "secure_boot", "signal_name": "Secure Boot", "group_name": "boot",
            "criteria": "enabled",
            "meets_criteria": (overall.integer ?? 0) >= 60 ? "yes" : "no",
        ]
        return [
            "aid": record["device_id"] ?? .null, "cid": .string(customer),
            "system_serial_number": record["serial_number"] ?? .null, "event_platform": "Win",
            "product_type_desc": "Workstation", "sensor_file_status": "deployed",
            "modified_time": record["zta_modified"] ?? .string(Timestamp.rfc3339(nowSeconds - 600)),
            "assessment": [
                "sensor_config": record["zta_sensor"] ?? overall, "os": record["zta_os"] ?? overall,
                "overall": overall, "version": "3.8.1",
            ],
            "assessment_items": ["sensor_signals": [], "os_signals": [signal]],
        ]
    }

    /// `score:>=80` and its kin; sorted as asked.
    private func scores(
        _ records: [JSONObject], _ query: RepeatedParameters, _ exchange: Exchange, _ emulator: VendorEmulator
    ) -> Response {
        guard let filter = query["filter"], filter.hasPrefix("score:"),
            let number = Int64(filter.dropFirst(6).drop { ">=<'".contains($0) }.filter { $0 != "'" }),
            let size = Int(query["limit"] ?? "100"), (1...1_000).contains(size)
        else { return error(400, exchange) }
        let sign = filter.dropFirst(6).prefix { ">=<".contains($0) }
        var hosts = records.filter { record in
            guard let score = record["zta"]?.integer else { return false }
            switch sign {
            case ">=": return score >= number
            case ">": return score > number
            case "<=": return score <= number
            case "<": return score < number
            case _: return score == number
            }
        }
        hosts.sort { ($0["zta"]?.integer ?? 0) < ($1["zta"]?.integer ?? 0) }
        if query["sort"] != "score|asc" { hosts.reverse() }
        guard let (page, next) = emulator.page(hosts, cursor: query["after"], size: size) else {
            return error(400, exchange)
        }
        return found(
            page.map { ["aid": $0["device_id"] ?? .null, "score": $0["zta"] ?? .null] },
            pagination: [
                "after": .string(next ?? ""), "limit": .integer(Int64(size)),
                "total": .integer(Int64(hosts.count)),
            ])
    }

    private func audit(_ records: [JSONObject]) -> Response {
        let scores = records.compactMap { $0["zta"]?.integer }
        let average = scores.isEmpty ? 0 : Double(scores.reduce(0, +)) / Double(scores.count)
        return found([
            [
                "cid": .string(Self.customer), "num_aids": .integer(Int64(scores.count)),
                "average_overall_score": .number(average),
                "platforms": [
                    [
                        "name": "Windows", "num_aids": .integer(Int64(scores.count)),
                        "average_overall_score": .number(average),
                    ]
                ],
            ]
        ])
    }
}
