import JSON
import Synchronization

/// Fleet: hosts and their policies (providers.md 8.7).
struct Fleet: FixedTokenVendor {
    static let token = "fleet-demo-token"

    let name = "fleet"
    let members = VendorMembers(serial: "hardware_serial", state: "status", lastSeen: "seen_time")
    let window: (calls: Int, seconds: Int64)? = nil

    var demo: [VendorDevice] {
        [
            Self.host(41, serial: "LAB-ALICE-0001", name: "alice-laptop", response: "pass"),
            Self.host(42, serial: "LAB-BOB-0001", name: "bob-laptop", response: "fail"),
        ]
    }

    static func host(_ id: Int64, serial: String, name: String, response: String) -> VendorDevice {
        VendorDevice(
            id: "\(id)",
            record: [
                "id": .integer(id), "uuid": .string("4c4c4544-0000-4000-8000-0000000000\(id)"),
                "hardware_serial": .string(serial), "hostname": .string(name),
                "primary_mac": .string("7c:21:4a:0b:1c:\(id)"), "primary_ip": "10.0.0.1",
                "platform": "ubuntu",
                "osquery_version": "5.15.0", "detail_updated_at": "2026-02-02T02:00:00Z", "status": "online",
                "policies": [
                    ["id": 1, "name": "Disk encryption", "critical": true, "response": .string(response)],
                    ["id": 2, "name": "Wallpaper", "critical": false, "response": "fail"],
                ], "issues": ["failing_policies_count": 1, "total_issues_count": 1],
                "disk_encryption_enabled": true,
                "mdm": ["enrollment_status": "On (manual)", "server_url": "", "name": "Fleet"],
            ], name: name)
    }

    func error(_ status: Int, _ exchange: Exchange) -> Response {
        let messages = [
            401: "Authentication failed", 403: "Forbidden", 429: "limit exceeded, retry after: 1s",
        ]
        let text = JSONValue.string(messages[status] ?? "Error")
        return .json(
            ["message": text, "errors": [["name": "base", "reason": text]], "uuid": "0f0e"], status: status)
    }

    func answer(_ path: [String], _ exchange: Exchange, _ emulator: VendorEmulator) throws -> Response? {
        guard path.count >= 4, path[..<4] == ["api", "v1", "fleet", "hosts"] else { return nil }
        let records = emulator.records(nowSeconds: exchange.nowSeconds)
        let query = RepeatedParameters(exchange.head.query)
        switch path.count {
        case 4:
            guard let number = Int(query["page"] ?? "0"), number >= 0,
                let size = Int(query["per_page"] ?? "100"), size >= 1
            else { return error(422, exchange) }
            let step = min(size, emulator.state.withLock { $0.pageMax } ?? size)
            let (page, _) = emulator.page(records, offset: number * step, size: step)
            let shown = page.map {
                query["populate_policies"] == "true" ? .object($0) : $0.without("policies")
            }
            return .json(["hosts": .array(shown)])
        case 5 where path[4] == "count": return .json(["count": .integer(Int64(records.count))])
        case 6 where path[4] == "identifier":
            let wanted = path[5].lowercased()
            let found = records.first { record in
                ["hardware_serial", "uuid", "hostname"].contains {
                    record[$0]?.string?.lowercased() == wanted
                }
            }
            return found.map { .json(["host": .object($0)]) }
        case _: return nil
        }
    }
}
