import JSON
import Synchronization

/// Kandji, which is Iru now (providers.md 8.4).
struct Kandji: FixedTokenVendor {
    static let token = "kandji-demo-token"

    let name = "kandji"
    let members = VendorMembers(serial: "serial_number", state: "mdm_enabled", lastSeen: "last_check_in")
    let window: (calls: Int, seconds: Int64)? = (10_000, 3_600)

    var demo: [VendorDevice] {
        [
            Self.device(
                "a1b2c3d4-0000-4000-8000-000000000001", "LAB-ALICE-0001", name: "alice-laptop", status: "PASS"
            ),
            Self.device(
                "a1b2c3d4-0000-4000-8000-000000000002", "LAB-BOB-0001", name: "bob-laptop", status: "ERROR"),
        ]
    }

    /// The parameters stand under `parameters`; the list does not show them.
    static func device(_ id: String, _ serial: String, name: String, status: String) -> VendorDevice {
        VendorDevice(
            id: id,
            record: [
                "device_id": .string(id), "device_name": .string(name), "model": "MacBook Pro",
                "serial_number": .string(serial), "platform": "Mac", "os_version": "15.3",
                "user": ["email": "alice@corp.example", "name": "Alice", "id": 1], "asset_tag": nil,
                "blueprint_id": "b1", "blueprint_name": "Laptops", "mdm_enabled": true,
                "agent_installed": true,
                "is_missing": false, "is_removed": false, "tags": ["finance"],
                "parameters": [
                    ["item_id": "p1", "name": "Gatekeeper", "status": "PASS", "category": "Security"],
                    [
                        "item_id": "p2", "name": "FileVault", "status": .string(status),
                        "category": "Security",
                    ],
                ],
            ], name: name)
    }

    func error(_ status: Int, _ exchange: Exchange) -> Response {
        .json(["error": .string(status == 401 ? "Unauthorized" : "Error \(status)")], status: status)
    }

    func answer(_ path: [String], _ exchange: Exchange, _ emulator: VendorEmulator) throws -> Response? {
        guard path.count >= 3, path[..<3] == ["api", "v1", "devices"] else { return nil }
        let records = emulator.records(nowSeconds: exchange.nowSeconds)
        if path.count == 5, path[4] == "parameters" {
            guard let record = records.first(where: { $0["device_id"]?.string == path[3] }) else {
                return nil
            }
            return .json(["device_id": record["device_id"] ?? nil, "parameters": record["parameters"] ?? []])
        }
        guard path.count == 3 else { return nil }
        let query = RepeatedParameters(exchange.head.query)
        guard let size = Int(query["limit"] ?? "300"), (1...300).contains(size),
            let offset = Int(query["offset"] ?? "0"), offset >= 0
        else { return error(400, exchange) }
        let serial = query["serial_number"]?.lowercased()
        let matching = records.filter { serial == nil || $0["serial_number"]?.string?.lowercased() == serial }
        let (page, _) = emulator.page(matching, offset: offset, size: size)
        return .json(.array(page.map { $0.without("parameters") }))
    }
}
