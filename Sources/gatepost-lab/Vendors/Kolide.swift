import JSON
import Synchronization

/// Kolide, which is 1Password Device Trust (providers.md 8.3).
struct Kolide: FixedTokenVendor {
    static let token = "k2sk_v1_demo"
    static let version = "2026-04-07"

    let name = "kolide"
    let members = VendorMembers(serial: "serial", state: "auth_state", lastSeen: "last_seen_at")
    let window: (calls: Int, seconds: Int64)? = (270, 60)
    func limitFields(calls: Int) -> [(String, String)] {
        [
            ("RateLimit-Limit", "270"), ("Ratelimit-Remaining", "\(max(0, 270 - calls))"),
            ("Ratelimit-Reset", "60"),
        ]
    }

    var demo: [VendorDevice] {
        [
            Self.device("71", serial: "LAB-ALICE-0001", name: "alice-laptop", state: "Good"),
            Self.device("72", serial: "LAB-BOB-0001", name: "bob-laptop", state: "Blocked"),
        ]
    }

    static func device(_ id: String, serial: String, name: String, state: String) -> VendorDevice {
        VendorDevice(
            id: id,
            record: [
                "id": .string(id), "name": .string(name), "serial": .string(serial),
                "hardware_uuid": .string("4C4C4544-0000-4000-8000-0000000000\(id)"),
                "auth_state": .string(state),
                "will_block_at": nil, "device_type": "Mac", "form_factor": "laptop",
                "registered_at": "2026-01-10T09:00:00Z", "operating_system": "macOS 15.3",
                "hardware_model": "MacBook Pro", "registered_owner_info": ["identifier": "1"],
            ], name: name)
    }

    func error(_ status: Int, _ exchange: Exchange) -> Response {
        .json(["error": .string(status == 401 ? "Unauthorized" : "Error \(status)")], status: status)
    }

    func answer(_ path: [String], _ exchange: Exchange, _ emulator: VendorEmulator) throws -> Response? {
        guard path == ["devices"] else { return nil }
        guard [Self.version, "2023-05-26", nil].contains(exchange.head.field("x-kolide-api-version")) else {
            return error(400, exchange)
        }
        let query = RepeatedParameters(exchange.head.query)
        var records = emulator.records(nowSeconds: exchange.nowSeconds)
        if let text = query["query"] {
            guard text.hasPrefix("serial:\""), text.hasSuffix("\"") else { return error(400, exchange) }
            let value = text.dropFirst(8).dropLast().lowercased()
            records = records.filter { $0["serial"]?.string?.lowercased() == value }
        }
        guard let size = Int(query["per_page"] ?? "25"), (1...100).contains(size),
            let (page, next) = emulator.page(
                records, cursor: query["cursor"], size: size, nowSeconds: exchange.nowSeconds)
        else { return error(400, exchange) }
        return .json([
            "data": .array(page.map { .object($0) }),
            "pagination": [
                "next": .string(next.map { "\(emulator.address)/devices?cursor=\($0)" } ?? ""),
                "next_cursor": .string(next ?? ""), "current_cursor": .string(query["cursor"] ?? ""),
                "count": .integer(Int64(page.count)),
            ],
        ])
    }
}
