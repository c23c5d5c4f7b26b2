import JSON
import Signatures
import Synchronization

/// Omnissa Workspace ONE UEM: regional tokens or Basic with an API key, versions by `Accept`, zone-less times
/// (providers.md 6).
struct WorkspaceOne: Vendor {
    static let clientID = "workspace-one-demo-client"
    static let clientSecret = "workspace-one-demo-secret"
    static let username = "lab-reader"
    static let password = "workspace-one-demo-password"
    static let tenantCode = "workspace-one-demo-api-key"
    static let tokenSeconds: Int64 = 3_600
    static let devicesMax = 500

    let name = "workspace-one"
    let members = VendorMembers(
        serial: "SerialNumber", state: "ComplianceStatus", lastSeen: "LastSeen",
        time: { .string(Self.time($0)) })
    let window: (calls: Int, seconds: Int64)? = nil

    var demo: [VendorDevice] {
        [
            Self.device(4_711, serial: "LAB-ALICE-0001", name: "alice-laptop", compliance: "Compliant"),
            Self.device(4_712, serial: "LAB-BOB-0001", name: "bob-laptop", compliance: "NonCompliant"),
        ]
    }

    /// No zone, three digits of fraction: as the vendor writes times.
    static func time(_ seconds: Int64) -> String { "\(Timestamp.rfc3339(seconds).dropLast()).120" }

    static func device(_ id: Int64, serial: String, name: String, compliance: String) -> VendorDevice {
        let isCompliant = compliance == "Compliant"
        return VendorDevice(
            id: "\(id)",
            record: [
                "Id": ["Value": .integer(id)], "Uuid": .string("b0c1d2e3-0000-4000-8000-00000000\(id)"),
                "Udid": .string("4C4C4544-0000-4000-8000-00000000\(id)"), "SerialNumber": .string(serial),
                "MacAddress": .string("7C214A0D\(id)"), "Imei": "", "DeviceFriendlyName": .string(name),
                "DeviceReportedName": .string(name), "UserName": "person", "Ownership": "C",
                "Platform": "AppleOsX", "Model": "MacBookPro18,1", "OperatingSystem": "15.2.0",
                "EnrollmentStatus": "Enrolled", "ComplianceStatus": .string(compliance),
                "CompromisedStatus": false, "IsSupervised": true, "LastEnrolledOn": "2026-01-10T09:00:00.000",
                "ComplianceSummary": [
                    "DeviceCompliance": [
                        [
                            "CompliantStatus": .bool(isCompliant), "PolicyName": "Encryption",
                            "PolicyDetail": "", "ActionTaken": [["ActionType": 1]],
                        ]
                    ]
                ],
            ], name: name)
    }

    // MARK: Credentials and errors

    func open(_ path: [String], _ exchange: Exchange, _ emulator: VendorEmulator) throws -> Response? {
        // `{region}.uemauth.workspaceone.com/connect/token`, with the region as the first segment here.
        guard path.count == 3, path[1...2] == ["connect", "token"] else { return nil }
        guard ["na", "emea", "apac", "uat"].contains(path[0]), exchange.head.method == "POST",
            let form = Parameters(parsing: try exchange.readBody()),
            form["grant_type"] == "client_credentials"
        else { return .json(["error": "invalid_request"], status: 400) }
        // A client is known in its own region only.
        guard path[0] == "emea", form["client_id"] == Self.clientID,
            form["client_secret"] == Self.clientSecret,
            emulator.faults.fires(.revokedSecret) == nil
        else { return .json(["error": "invalid_client"], status: 400) }
        let token = emulator.issueToken(nowSeconds: exchange.nowSeconds, lifeSeconds: Self.tokenSeconds)
        return .json([
            "access_token": .string(token), "token_type": "Bearer", "expires_in": .integer(Self.tokenSeconds),
        ])
    }

    func isAuthorized(_ exchange: Exchange, _ emulator: VendorEmulator) -> Bool {
        let field = exchange.head.field("authorization") ?? ""
        let code = exchange.head.field("aw-tenant-code")
        if field.hasPrefix("Basic ") {
            let pair = Base64.encode(Array("\(Self.username):\(Self.password)".utf8))
            return field == "Basic \(pair)" && code == Self.tenantCode
                && !emulator.faults.isActive(.revokedSecret)
        }
        // With OAuth the key is not needed; a wrong one is refused all the same.
        guard field.hasPrefix("Bearer "), code == nil || code == Self.tenantCode else { return false }
        return emulator.accepts(token: String(field.dropFirst(7)), nowSeconds: exchange.nowSeconds)
    }

    func error(_ status: Int, _ exchange: Exchange) -> Response {
        let codes: [Int: (Int64, String)] = [
            401: (1_005, "Invalid credentials"), 403: (1_006, "Access denied"),
            404: (1_000, "Device not found"),
            429: (1_015, "Too many requests"),
        ]
        let (code, message) = codes[status] ?? (1_001, "Internal error")
        return Self.document(code, message, status: status)
    }

    private static func document(_ code: Int64, _ message: String, status: Int) -> Response {
        .json(
            [
                "errorCode": .integer(code), "message": .string(message),
                "activityId": "0d8f0000-0000-4000-8000-1234567890ab",
            ], status: status)
    }

    // MARK: Devices

    func answer(_ path: [String], _ exchange: Exchange, _ emulator: VendorEmulator) throws -> Response? {
        guard path.first == "API", exchange.head.method == "GET" else { return nil }
        guard let version = Self.version(exchange) else {
            return Self.document(1_003, "No such version", status: 406)
        }
        if emulator.faults.fires(.errorInside) != nil {
            return Self.document(1_001, "Something went wrong", status: 200)
        }
        let query = RepeatedParameters(exchange.head.query)
        let devices = emulator.records(nowSeconds: exchange.nowSeconds)
        switch Array(path.dropFirst()) {
        case ["system", "info"]:
            return .json(["ProductName": "Workspace ONE UEM", "ProductVersion": "24.6.0.0"])
        case ["mdm", "devices", "search"]: return search(devices, query, version, exchange, emulator)
        case ["mdm", "devices"]: return one(devices, query, exchange)
        case let rest where rest.count == 3 && rest[0...1] == ["mdm", "devices"]:
            let found = devices.first {
                $0["Id"]?["Value"]?.integer == Int64(rest[2]) || $0["Uuid"]?.string == rest[2]
            }
            return found.map { .json(.object($0)) }
        case _: return nil
        }
    }

    /// `Accept: application/json;version=1`; nil for a version that there is not.
    private static func version(_ exchange: Exchange) -> Int? {
        let parts = (exchange.head.field("accept") ?? "").split(separator: ";")
        guard let part = parts.first(where: { $0.hasPrefix("version=") }) else { return 1 }
        return Int(part.dropFirst(8)).flatMap { (1...4).contains($0) ? $0 : nil }
    }

    private func search(
        _ devices: [JSONObject], _ query: RepeatedParameters, _ version: Int, _ exchange: Exchange,
        _ emulator: VendorEmulator
    ) -> Response {
        guard let asked = Int(query["pagesize"] ?? "\(Self.devicesMax)"), asked >= 1,
            let number = Int(query["page"] ?? "0"), number >= 0
        else { return Self.document(1_002, "Invalid page", status: 400) }
        let status = query[version == 1 ? "compliantstatus" : "compliance_status"]?.lowercased()
        let since = query[version == 1 ? "seensince" : "seen_since"]
        let matching = devices.filter { device in
            (status == nil || device["ComplianceStatus"]?.string?.lowercased() == status)
                && (since == nil || (device["LastSeen"]?.string ?? "") >= since ?? "")
        }
        // No hit is no document at all.
        if matching.isEmpty { return Response(status: 204) }
        let size = min(asked, Self.devicesMax, emulator.state.withLock { $0.pageMax } ?? Self.devicesMax)
        let (page, _) = emulator.page(matching, offset: number * size, size: size)
        let isEndless = [VendorFault.loop, .sameIDs, .twoCycle].contains { emulator.faults.isActive($0) }
        return .json([
            "Devices": .array(page.map { .object($0) }), "Page": .integer(Int64(number)),
            "PageSize": .integer(Int64(size)),
            "Total": .integer(Int64(isEndless ? 1_000_000 : matching.count)),
        ])
    }

    private func one(_ devices: [JSONObject], _ query: RepeatedParameters, _ exchange: Exchange) -> Response {
        let members = [
            "serialnumber": "SerialNumber", "udid": "Udid", "macaddress": "MacAddress", "imeinumber": "Imei",
            "easid": "EasId",
        ]
        guard let member = members[query["searchby"]?.lowercased() ?? ""], let id = query["id"], !id.isEmpty
        else {
            return Self.document(1_002, "Invalid searchby", status: 400)
        }
        let found = devices.first { $0[member]?.string?.lowercased() == id.lowercased() }
        return found.map { .json(.object($0)) } ?? error(404, exchange)
    }
}
