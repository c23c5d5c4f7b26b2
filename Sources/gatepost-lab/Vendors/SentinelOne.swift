import JSON
import Synchronization

/// SentinelOne: agents (providers.md 8.2).
struct SentinelOne: FixedTokenVendor {
    static let token = "sentinelone-demo-token"
    static let scheme = "ApiToken"

    let name = "sentinelone"
    let members = VendorMembers(serial: "serialNumber", state: "operationalState", lastSeen: "lastActiveDate")
    let window: (calls: Int, seconds: Int64)? = (25, 1)

    var demo: [VendorDevice] {
        [
            Self.agent("1001", serial: "LAB-ALICE-0001", name: "alice-laptop", isInfected: false),
            Self.agent("1002", serial: "LAB-BOB-0001", name: "bob-laptop", isInfected: true),
        ]
    }

    static func agent(_ id: String, serial: String, name: String, isInfected: Bool) -> VendorDevice {
        VendorDevice(
            id: id,
            record: [
                "id": .string(id), "uuid": .string("f431b0a1a8744d2a8a92fc88fa3c\(id)"),
                "computerName": .string(name),
                "serialNumber": .string(serial), "machineType": "laptop", "osType": "windows",
                "osName": "Windows 11",
                "agentVersion": "24.1.4.257", "isActive": true, "isUpToDate": true,
                "infected": .bool(isInfected),
                "activeThreats": isInfected ? 2 : 0, "networkStatus": "connected", "operationalState": "na",
                "mitigationMode": "protect", "networkQuarantineEnabled": false,
                "networkInterfaces": [
                    [
                        "name": "Ethernet",
                        "physical": .string("7c:21:4a:0b:\(id.prefix(2)):\(id.suffix(2))"), "inet": [],
                    ]
                ],
            ], name: name)
    }

    func error(_ status: Int, _ exchange: Exchange) -> Response {
        let titles = [
            401: "Authentication Failed", 403: "Insufficient permissions", 429: "Too many requests",
        ]
        return .json(
            [
                "errors": [
                    [
                        "code": .integer(Int64(status) * 10_000 + 10), "detail": nil,
                        "title": .string(titles[status] ?? "Error"),
                    ]
                ]
            ], status: status)
    }

    func answer(_ path: [String], _ exchange: Exchange, _ emulator: VendorEmulator) throws -> Response? {
        guard path == ["web", "api", "v2.1", "agents"] else { return nil }
        if emulator.faults.fires(.errorInside) != nil {
            return .json(["data": [], "errors": [["code": 5_000_010, "title": "Server could not process"]]])
        }
        let query = RepeatedParameters(exchange.head.query)
        var records = emulator.records(nowSeconds: exchange.nowSeconds)
        if let part = query["serialNumber__contains"]?.lowercased() {
            records = records.filter { $0["serialNumber"]?.string?.lowercased().contains(part) == true }
        }
        guard let size = Int(query["limit"] ?? "10"), (1...1_000).contains(size),
            let (page, next) = emulator.page(
                records, cursor: query["cursor"], size: size, nowSeconds: exchange.nowSeconds)
        else { return error(400, exchange) }
        return .json([
            "data": .array(page.map { .object($0) }),
            "pagination": [
                "totalItems": .integer(Int64(records.count)), "nextCursor": next.map { .string($0) } ?? nil,
            ],
        ])
    }
}
