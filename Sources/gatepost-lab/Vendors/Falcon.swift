import JSON
import Signatures
import Synchronization

/// CrowdStrike Falcon: tokens, hosts and Zero Trust Assessment (providers.md 5).
struct Falcon: Vendor {
    static let clientID = "falcon-demo-client"
    static let clientSecret = "falcon-demo-secret"
    static let customer = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
    static let tokenSeconds: Int64 = 1_799
    static let callsPerMinute = 6_000

    let name = "crowdstrike"
    let members = VendorMembers(serial: "serial_number", state: "status", lastSeen: "last_seen")
    let window: (calls: Int, seconds: Int64)? = (callsPerMinute, 60)
    /// Per source address: a client that goes on with a dead token locks out its whole address.
    let refusedWindow: (calls: Int, seconds: Int64)? = (15, 60)
    /// Of a scroll.
    let cursorSeconds: Int64? = 120
    var hintField: String { "X-RateLimit-RetryAfter" }
    func hint(seconds: Int64, nowSeconds: Int64) -> String { "\(nowSeconds + seconds)" }
    func limitFields(calls: Int) -> [(String, String)] {
        [
            ("X-RateLimit-Limit", "\(Self.callsPerMinute)"),
            ("X-RateLimit-Remaining", "\(max(0, Self.callsPerMinute - calls))"),
        ]
    }

    var demo: [VendorDevice] {
        [
            Self.host(
                "4f1d2c3b4a5968778695a4b3c2d1e0f1", serial: "LAB-ALICE-0001", name: "alice-laptop",
                overall: 83),
            Self.host(
                "4f1d2c3b4a5968778695a4b3c2d1e0f2", serial: "LAB-BOB-0001", name: "bob-laptop", overall: 41),
        ]
    }

    /// A host, with its assessment under `zta`: what a test changes is in one place.
    static func host(_ id: String, serial: String, name: String, overall: Int64?) -> VendorDevice {
        var record: JSONObject = [
            "device_id": .string(id), "cid": .string(customer), "hostname": .string(name),
            "serial_number": .string(serial), "mac_address": .string("7c-21-4a-0b-1c-\(id.suffix(2))"),
            "platform_name": "Windows",
            "os_version": "Windows 11", "agent_version": "7.16.18613.0", "status": "normal",
            "reduced_functionality_mode": "no", "provision_status": "Provisioned", "tags": [], "groups": [],
        ]
        if let overall { record["zta"] = .integer(overall) }
        return VendorDevice(id: id, record: record, name: name)
    }

    // MARK: Tokens and errors

    func open(_ path: [String], _ exchange: Exchange, _ emulator: VendorEmulator) throws -> Response? {
        guard path.count == 2, path[0] == "oauth2", ["token", "revoke"].contains(path[1]) else { return nil }
        guard exchange.head.method == "POST", let form = Parameters(parsing: try exchange.readBody()) else {
            return error(400, exchange)
        }
        let (id, secret) = Self.basic(exchange) ?? (form["client_id"] ?? "", form["client_secret"] ?? "")
        guard id == Self.clientID, secret == Self.clientSecret, emulator.faults.fires(.revokedSecret) == nil
        else {
            return error(403, exchange)
        }
        if path[1] == "revoke" {
            let token = form["token"] ?? ""
            emulator.state.withLock { $0.tokens[token] = nil }
            return .json([:], fields: Self.trace)
        }
        let region = emulator.faults.fires(.wrongCloud) == nil ? "us-1" : "us-2"
        let token = emulator.issueToken(nowSeconds: exchange.nowSeconds, lifeSeconds: Self.tokenSeconds)
        return .json(
            [
                "access_token": .string(token), "token_type": "bearer",
                "expires_in": .integer(Self.tokenSeconds),
            ],
            status: 201, fields: [("X-Cs-Region", region)] + Self.trace)
    }

    /// Client authentication in a field: revoking asks for it.
    private static func basic(_ exchange: Exchange) -> (String, String)? {
        guard let field = exchange.head.field("authorization"), field.lowercased().hasPrefix("basic "),
            let bytes = Base64.decode(String(field.dropFirst(6)))
        else { return nil }
        let halves = String(decoding: bytes, as: UTF8.self).split(separator: ":", maxSplits: 1)
        return halves.count == 2 ? (String(halves[0]), String(halves[1])) : nil
    }

    func error(_ status: Int, _ exchange: Exchange) -> Response {
        let messages = [
            400: "invalid request", 401: "access denied, invalid bearer token",
            403: "access denied, authorization failed", 404: "404: Page Not Found",
            429: "API rate limit exceeded.",
        ]
        let error: JSONValue = [
            "code": .integer(Int64(status)), "message": .string(messages[status] ?? "Internal Server Error"),
        ]
        return .json(["meta": Self.meta([:]), "errors": [error]], status: status, fields: Self.trace)
    }

    static let trace = [("X-Cs-Traceid", "d000ce63-0000-4000-8000-1234567890ab")]

    static func meta(_ pagination: JSONObject) -> JSONValue {
        var meta: JSONObject = [
            "query_time": .number(0.012), "powered_by": "lab", "trace_id": .string(trace[0].1),
        ]
        if !pagination.members.isEmpty { meta["pagination"] = .object(pagination) }
        return .object(meta)
    }

    func found(
        _ resources: [JSONValue], errors: [JSONValue] = [], pagination: JSONObject = [:]
    ) -> Response {
        .json(
            ["meta": Self.meta(pagination), "errors": .array(errors), "resources": .array(resources)],
            fields: Self.trace)
    }
}
