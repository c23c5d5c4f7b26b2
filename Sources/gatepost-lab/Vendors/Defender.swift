import JSON
import Synchronization

/// Microsoft Defender for Endpoint: Entra's tokens and the list of machines (providers.md 4).
struct Defender: Vendor {
    static let tenant = "72f988bf-0000-4000-8000-1a2b3c4d5e6f"
    static let clientID = "8b1d0c3a-0000-4000-8000-9b8c7d6e5f41"
    static let clientSecret = "defender-demo-secret"
    static let scope = "https://api.securitycenter.microsoft.com/.default"
    static let tokenSeconds: Int64 = 3_599
    static let machinesMax = 10_000

    let name = "defender"
    let members = VendorMembers(
        serial: "aadDeviceId", state: "healthStatus", lastSeen: "lastSeen", time: { .string(Self.time($0)) })
    let window: (calls: Int, seconds: Int64)? = nil
    let windows: [(calls: Int, seconds: Int64)] = [(100, 60), (1_500, 3_600)]

    var demo: [VendorDevice] {
        [
            Self.machine(
                "a7c0d5e3b1f24968a0b7c4d2e9f80613572adc41", entra: "9d3e2c10-7f6a-4f0e-8f30-000000000001",
                name: "alice-laptop", health: "Active", risk: "Low"),
            Self.machine(
                "a7c0d5e3b1f24968a0b7c4d2e9f80613572adc42", entra: "9d3e2c10-7f6a-4f0e-8f30-000000000002",
                name: "bob-laptop", health: "NoSensorData", risk: nil),
        ]
    }

    /// This API writes seven digits of fraction.
    static func time(_ seconds: Int64) -> String { "\(Timestamp.rfc3339(seconds).dropLast()).7654321Z" }

    static func machine(_ id: String, entra: String, name: String, health: String, risk: String?)
        -> VendorDevice
    {
        let mac = "7C214A0B1C" + id.suffix(2).uppercased()
        return VendorDevice(
            id: id,
            record: [
                "id": .string(id), "computerDnsName": .string("\(name).corp.example"),
                "firstSeen": "2026-01-10T09:10:00.1234567Z", "osPlatform": "Windows11", "version": "24H2",
                "osBuild": 26_100, "osProcessor": "x64", "lastIpAddress": "10.1.2.3",
                "healthStatus": .string(health), "onboardingStatus": "Onboarded",
                "riskScore": risk.map { .string($0) } ?? .null, "exposureLevel": "Medium",
                "deviceValue": "Normal", "rbacGroupId": 140, "rbacGroupName": "Finance", "isAadJoined": true,
                "aadDeviceId": .string(entra), "machineTags": ["vip"],
                "ipAddresses": [
                    [
                        "ipAddress": "10.1.2.3", "macAddress": .string(mac), "operationalStatus": "Up",
                        "type": "Ethernet",
                    ]
                ],
            ], name: name)
    }

    // MARK: Tokens and errors

    func open(_ path: [String], _ exchange: Exchange, _ emulator: VendorEmulator) throws -> Response? {
        guard path.count == 4, path[1...3] == ["oauth2", "v2.0", "token"] else { return nil }
        guard exchange.head.method == "POST", let form = Parameters(parsing: try exchange.readBody()),
            form["grant_type"] == "client_credentials"
        else { return Self.refuse("invalid_request", 900_144, 400) }
        guard path[0] == Self.tenant else { return Self.refuse("invalid_request", 90_002, 400) }
        guard form["client_id"] == Self.clientID else {
            return Self.refuse("unauthorized_client", 700_016, 400)
        }
        if let refusal = credentialRefusal(form, exchange, emulator) { return refusal }
        // A token for Graph is void here.
        guard form["scope"] == Self.scope else { return Self.refuse("invalid_scope", 70_011, 400) }
        let token = emulator.issueToken(nowSeconds: exchange.nowSeconds, lifeSeconds: Self.tokenSeconds)
        return .json([
            "token_type": "Bearer", "expires_in": .integer(Self.tokenSeconds),
            "ext_expires_in": .integer(Self.tokenSeconds), "access_token": .string(token),
        ])
    }

    /// nil: the secret is right, or the assertion is the registered certificate's.
    private func credentialRefusal(
        _ form: Parameters, _ exchange: Exchange, _ emulator: VendorEmulator
    ) -> Response? {
        let isRevoked = emulator.faults.fires(.revokedSecret) != nil
        guard let assertion = form["client_assertion"] else {
            let isRight = form["client_secret"] == Self.clientSecret && !isRevoked
            return isRight ? nil : Self.refuse("invalid_client", 7_000_215, 401)
        }
        let isRight = emulator.certificate.withLock { certificate in
            certificate.map {
                RegisteredCertificate(certificate: $0).acceptedID(
                    of: assertion, type: form["client_assertion_type"], clientID: Self.clientID,
                    endpoint: "\(emulator.address)/\(Self.tenant)/oauth2/v2.0/token",
                    nowSeconds: exchange.nowSeconds) != nil
            } ?? false
        }
        return isRight && !isRevoked ? nil : Self.refuse("invalid_client", 700_027, 401)
    }

    private static func refuse(_ word: String, _ number: Int64, _ status: Int) -> Response {
        .json(
            [
                "error": .string(word), "error_description": .string("AADSTS\(number): refused."),
                "error_codes": [.integer(number)],
            ], status: status)
    }

    private static let codes = [
        400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "ResourceNotFound",
        429: "TooManyRequests",
    ]

    func error(_ status: Int, _ exchange: Exchange) -> Response {
        Self.error(Self.codes[status] ?? "InternalServerError", status)
    }

    private static func error(_ code: String, _ status: Int) -> Response {
        .json(
            [
                "error": [
                    "code": .string(code), "message": .string("The request failed: \(code)."),
                    "target": "0d8f0000-0000-4000-8000-1234567890ab",
                ]
            ], status: status)
    }

    // MARK: Machines

    func answer(_ path: [String], _ exchange: Exchange, _ emulator: VendorEmulator) throws -> Response? {
        let machines = emulator.records(nowSeconds: exchange.nowSeconds)
        guard path.count >= 2, path[0...1] == ["api", "machines"], exchange.head.method == "GET" else {
            return nil
        }
        if emulator.faults.fires(.errorInside) != nil { return Self.error("InternalServerError", 200) }
        switch path.count {
        case 2: return list(machines, RepeatedParameters(exchange.head.query), exchange, emulator)
        case 3 where path[2] == "$count":
            return .text("\(machines.count)")
        case 3:
            let found = machines.first {
                $0["id"]?.string == path[2] || $0["computerDnsName"]?.string == path[2]
            }
            return found.map { .json(.object($0)) }
        case _: return nil
        }
    }

    private func list(
        _ machines: [JSONObject], _ query: RepeatedParameters, _ exchange: Exchange,
        _ emulator: VendorEmulator
    ) -> Response {
        guard let size = Int(query["$top"] ?? "\(Self.machinesMax)"), (1...Self.machinesMax).contains(size),
            let skip = Int(query["$skip"] ?? "0"), skip >= 0,
            let matching = Self.matching(machines, query["$filter"])
        else { return Self.error("InvalidInput", 400) }
        let (page, next) = emulator.page(matching, offset: skip, size: size)
        // Nothing to list is "not found" in this API.
        if page.isEmpty, next == nil { return Self.error("ResourceNotFound", 404) }
        var body: JSONObject = [
            "@odata.context": .string("\(emulator.address)/api/$metadata#Machines"),
            "value": .array(page.map { .object($0) }),
        ]
        // A caller who asked for fewer goes on by `$skip`; a page that the service cut says where it goes on.
        if let next, page.count < size {
            body["@odata.nextLink"] = .string("\(emulator.address)/api/machines?$top=\(size)&$skip=\(next)")
        }
        if emulator.faults.isActive(.loop) {
            body["@odata.nextLink"] = .string("\(emulator.address)/api/machines?$top=\(size)&$skip=1")
        }
        if emulator.faults.fires(.crossHostNext) != nil {
            body["@odata.nextLink"] = "http://defender.evil.example/api/machines?$skip=1"
        }
        return .json(.object(body))
    }

    /// `member op 'value'` with `eq` and `ge`, the forms that clients need; nil for anything else (the
    /// vendor's 400).
    private static func matching(_ machines: [JSONObject], _ filter: String?) -> [JSONObject]? {
        guard let filter else { return machines }
        let words = filter.split(separator: " ", maxSplits: 2).map(String.init)
        guard words.count == 3, filterable.contains(words[0]) else { return nil }
        let isQuoted = words[2].hasPrefix("'") && words[2].hasSuffix("'") && words[2].count >= 2
        let value = (isQuoted ? String(words[2].dropFirst().dropLast()) : words[2]).lowercased()
        return machines.filter { machine in
            guard let own = machine[words[0]]?.string?.lowercased() else { return false }
            return words[1] == "eq" ? own == value : words[1] == "ge" && own >= value
        }
    }

    private static let filterable: Set<String> = [
        "computerDnsName", "id", "version", "deviceValue", "aadDeviceId", "machineTags", "lastSeen",
        "exposureLevel",
        "onboardingStatus", "lastIpAddress", "healthStatus", "osPlatform", "riskScore", "rbacGroupId",
    ]
}
