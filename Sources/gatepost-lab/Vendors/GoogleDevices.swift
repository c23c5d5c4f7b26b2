import JSON
import Signatures
import Synchronization

/// Google's Cloud Identity devices with the token endpoint of service accounts (providers.md 8.5).
struct GoogleDevices: Vendor {
    static let account = "gatepost@demo.iam.gserviceaccount.com"
    static let admin = "admin@corp.example"
    static let scope = "https://www.googleapis.com/auth/cloud-identity.devices.readonly"
    static let tokenSeconds: Int64 = 3_599
    /// The account's public key as Google knows it; a test makes the pair and uploads its certificate.
    static let registered = Mutex<VerificationKey?>(nil)

    let name = "google"
    let members = VendorMembers(serial: "serialNumber", state: "managementState", lastSeen: "lastSyncTime")
    let window: (calls: Int, seconds: Int64)? = nil

    var demo: [VendorDevice] {
        [
            Self.device("d1", serial: "LAB-ALICE-0001", name: "alice-laptop", state: "APPROVED"),
            Self.device("d2", serial: "LAB-BOB-0001", name: "bob-laptop", state: "BLOCKED"),
        ]
    }

    static func device(_ id: String, serial: String, name: String, state: String) -> VendorDevice {
        VendorDevice(
            id: "devices/\(id)",
            record: [
                "name": .string("devices/\(id)"), "deviceId": .string("id-\(id)"),
                "serialNumber": .string(serial),
                "deviceType": "CHROME_OS", "ownerType": "COMPANY", "managementState": .string(state),
                "compromisedState": "UNCOMPROMISED", "encryptionState": "ENCRYPTED", "osVersion": "16093.0.0",
                "wifiMacAddresses": [.string("7c214a0b1c\(id.dropFirst())0")],
            ], name: name)
    }

    func open(_ path: [String], _ exchange: Exchange, _ emulator: VendorEmulator) throws -> Response? {
        guard path == ["token"] else { return nil }
        guard exchange.head.method == "POST", let form = Parameters(parsing: try exchange.readBody()),
            form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer",
            emulator.faults.fires(.revokedSecret) == nil,
            accepts(
                form["assertion"] ?? "", endpoint: emulator.address + "/token",
                nowSeconds: exchange.nowSeconds)
        else {
            return .json(
                ["error": "invalid_grant", "error_description": "Invalid JWT Signature."], status: 400)
        }
        let token = emulator.issueToken(nowSeconds: exchange.nowSeconds, lifeSeconds: Self.tokenSeconds)
        return .json([
            "access_token": .string(token), "token_type": "Bearer", "expires_in": .integer(Self.tokenSeconds),
        ])
    }

    /// `POST certificate`: the PEM certificate of the account's key, as one uploads it in Google's console.
    func control(_ path: [String], _ exchange: Exchange) throws -> Response? {
        guard path == ["certificate"] else { return nil }
        guard exchange.head.method == "POST",
            let certificate = try? Certificate(pem: try exchange.readBody())
        else { return .json(["error": "POST a PEM certificate"], status: 400) }
        Self.registered.withLock { $0 = certificate.publicKey }
        return .json([:])
    }

    private func accepts(_ text: String, endpoint: String, nowSeconds: Int64) -> Bool {
        guard let key = Self.registered.withLock({ $0 }), let token = try? JWS(compact: text),
            token.verify(with: key),
            let claims = try? token.payloadObject
        else { return false }
        return claims["iss"]?.string == Self.account && claims["sub"]?.string == Self.admin
            && claims["scope"]?.string == Self.scope && claims["aud"]?.string == endpoint
            && (nowSeconds...nowSeconds + 3_600).contains(claims["exp"]?.integer ?? 0)
            && (claims["iat"]?.integer ?? .max) <= nowSeconds + 300
    }

    func error(_ status: Int, _ exchange: Exchange) -> Response {
        let words = [
            400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
            429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE",
        ]
        return .json(
            [
                "error": [
                    "code": .integer(Int64(status)), "message": "no",
                    "status": .string(words[status] ?? "INTERNAL"),
                    "details": [],
                ]
            ], status: status)
    }

    func answer(_ path: [String], _ exchange: Exchange, _ emulator: VendorEmulator) throws -> Response? {
        guard path == ["v1", "devices"] else { return nil }
        let query = RepeatedParameters(exchange.head.query)
        guard query["customer"]?.hasPrefix("customers/") == true else { return error(400, exchange) }
        var records = emulator.records(nowSeconds: exchange.nowSeconds)
        if let filter = query["filter"] {
            guard filter.hasPrefix("serial:\""), filter.hasSuffix("\"") else { return error(400, exchange) }
            let value = filter.dropFirst(8).dropLast().lowercased()
            records = records.filter { $0["serialNumber"]?.string?.lowercased() == value }
        }
        guard let size = Int(query["pageSize"] ?? "20"), (1...100).contains(size),
            let (page, next) = emulator.page(
                records, cursor: query["pageToken"], size: size, nowSeconds: exchange.nowSeconds)
        else { return error(400, exchange) }
        var answer: JSONObject = [:]
        // As with every Google API, what is empty is left out.
        if !page.isEmpty { answer["devices"] = .array(page.map { .object($0) }) }
        if let next { answer["nextPageToken"] = .string(next) }
        return .json(.object(answer))
    }
}
