import JSON
import Synchronization

/// Jamf Pro: tokens, the computer inventory and compliance (providers.md 8.1).
struct Jamf: Vendor {
    static let clientID = "jamf-demo-client"
    static let clientSecret = "jamf-demo-secret"
    /// Set per API client, and often short.
    static let tokenSeconds: Int64 = 300

    let name = "jamf"
    let members = VendorMembers(serial: "serial", state: "compliance", lastSeen: "lastContactTime")
    let window: (calls: Int, seconds: Int64)? = nil

    var demo: [VendorDevice] {
        [
            Self.computer("12", serial: "LAB-ALICE-0001", name: "alice-laptop", compliance: "COMPLIANT"),
            Self.computer("13", serial: "LAB-BOB-0001", name: "bob-laptop", compliance: "NON_COMPLIANT"),
        ]
    }

    /// Flat: what a test changes is in one place; `document` makes the vendor's shape of it.
    static func computer(_ id: String, serial: String, name: String, compliance: String) -> VendorDevice {
        VendorDevice(
            id: id,
            record: [
                "id": .string(id), "name": .string(name),
                "udid": .string("0E2C5A54-0000-4000-8000-0000000000\(id)"),
                "serial": .string(serial), "mac": .string("7C:21:4A:0B:1C:\(id)"), "managed": true,
                "compliance": .string(compliance), "groups": ["All Managed Macs"],
            ], name: name)
    }

    func open(_ path: [String], _ exchange: Exchange, _ emulator: VendorEmulator) throws -> Response? {
        guard path == ["api", "v1", "oauth", "token"] else { return nil }
        guard exchange.head.method == "POST", let form = Parameters(parsing: try exchange.readBody()),
            form["grant_type"] == "client_credentials", form["client_id"] == Self.clientID,
            form["client_secret"] == Self.clientSecret, emulator.faults.fires(.revokedSecret) == nil
        else { return .json(["error": "invalid_client"], status: 401) }
        let token = emulator.issueToken(nowSeconds: exchange.nowSeconds, lifeSeconds: Self.tokenSeconds)
        return .json([
            "access_token": .string(token), "token_type": "Bearer", "expires_in": .integer(Self.tokenSeconds),
            "scope": "api-role:1",
        ])
    }

    func error(_ status: Int, _ exchange: Exchange) -> Response {
        let codes = [401: "INVALID_TOKEN", 403: "INVALID_PRIVILEGE", 404: "NOT_FOUND", 400: "INVALID_FIELD"]
        let error: JSONValue = [
            "code": .string(codes[status] ?? "ERROR"), "description": "no", "id": "0", "field": nil,
        ]
        return .json(["httpStatus": .integer(Int64(status)), "errors": [error]], status: status)
    }

    func answer(_ path: [String], _ exchange: Exchange, _ emulator: VendorEmulator) throws -> Response? {
        let records = emulator.records(nowSeconds: exchange.nowSeconds)
        switch path.joined(separator: "/") {
        case "api/v1/computers-inventory": return inventory(records, exchange, emulator)
        case _:
            guard path.count == 6, path[2] == "conditional-access", path[4] == "computer",
                let record = records.first(where: { $0["id"]?.string == path[5] })
            else { return nil }
            let entry: JSONValue = [
                "deviceId": record["id"] ?? nil, "applicable": true,
                "complianceState": record["compliance"] ?? nil,
                "complianceVendor": "Microsoft",
                "complianceVendorDeviceInformation": ["deviceIds": ["9d3e2c10-7f6a-4f0e-8f30-2b9b8a7c6d5e"]],
            ]
            return .json([entry])
        }
    }

    private func inventory(_ records: [JSONObject], _ exchange: Exchange, _ emulator: VendorEmulator)
        -> Response
    {
        let query = RepeatedParameters(exchange.head.query)
        guard let number = Int(query["page"] ?? "0"), number >= 0,
            let size = Int(query["page-size"] ?? "100"),
            (1...2_000).contains(size)
        else { return error(400, exchange) }
        var matching = records
        if let filter = query["filter"] {
            let halves = filter.components(of: "==")
            guard halves.count == 2, halves[1].hasPrefix("\""), halves[1].hasSuffix("\""),
                halves[1].count >= 2,
                let member = ["udid": "udid", "hardware.serialNumber": "serial"][halves[0]]
            else { return error(400, exchange) }
            let value = halves[1].dropFirst().dropLast().lowercased()
            matching = records.filter { $0[member]?.string?.lowercased() == value }
        }
        let step = min(size, emulator.state.withLock { $0.pageMax } ?? size)
        let (page, _) = emulator.page(matching, offset: number * step, size: step)
        let sections = query.all("section")
        return .json([
            "totalCount": .integer(Int64(matching.count)),
            "results": .array(page.map { .object(Self.document($0, sections)) }),
        ])
    }

    /// Only the sections that were asked for are there.
    private static func document(_ record: JSONObject, _ sections: [String]) -> JSONObject {
        var document: JSONObject = ["id": record["id"] ?? nil, "udid": record["udid"] ?? nil]
        let groups = (record["groups"]?.array ?? []).map { name -> JSONValue in
            ["groupId": "1", "groupName": name, "smartGroup": true]
        }
        let parts: [(String, String, JSONValue)] = [
            (
                "GENERAL", "general",
                [
                    "name": record["name"] ?? nil, "platform": "Mac",
                    "lastContactTime": record["lastContactTime"] ?? nil, "supervised": true,
                    "remoteManagement": ["managed": record["managed"] ?? nil],
                ]
            ),
            (
                "HARDWARE", "hardware",
                [
                    "serialNumber": record["serial"] ?? nil, "macAddress": record["mac"] ?? nil,
                    "model": "MacBook Pro",
                ]
            ), ("SECURITY", "security", ["sipStatus": "ENABLED", "firewallEnabled": true]),
            (
                "OPERATING_SYSTEM", "operatingSystem",
                ["version": "15.3", "fileVault2Status": "ALL_ENCRYPTED"]
            ),
            ("USER_AND_LOCATION", "userAndLocation", ["username": "alice", "email": "alice@corp.example"]),
            ("GROUP_MEMBERSHIPS", "groupMemberships", .array(groups)),
        ]
        for (section, member, value) in parts where sections.contains(section) { document[member] = value }
        return document
    }
}

extension String {
    /// The parts between a separator of two characters.
    fileprivate func components(of separator: String) -> [String] {
        guard let range = firstRange(of: separator) else { return [self] }
        return [String(self[..<range.lowerBound]), String(self[range.upperBound...])]
    }
}
