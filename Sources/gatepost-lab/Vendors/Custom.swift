import JSON
import Synchronization

/// A customer's own posture service: the external evaluation contract (providers.md 8.6).
struct Custom: FixedTokenVendor {
    static let token = "custom-demo-token"
    static let devicesMax = 1_000

    let name = "custom"
    let members = VendorMembers(serial: "serial_number", state: "state", lastSeen: "last_seen")
    let window: (calls: Int, seconds: Int64)? = nil

    /// Found by serial number: what it gets as an id is the caller's.
    var demo: [VendorDevice] {
        [
            VendorDevice(
                id: "ext-1", record: ["serial_number": "LAB-ALICE-0001", "score": 100], name: "alice-laptop"),
            VendorDevice(
                id: "ext-2", record: ["serial_number": "LAB-BOB-0001", "score": 40], name: "bob-laptop"),
        ]
    }

    func error(_ status: Int, _ exchange: Exchange) -> Response {
        // As in the original: who is not known is forbidden, too.
        .json(
            ["success": false, "error": .string("refused (\(status))")], status: status == 401 ? 403 : status)
    }

    func answer(_ path: [String], _ exchange: Exchange, _ emulator: VendorEmulator) throws -> Response? {
        guard path == ["evaluate"] else { return nil }
        guard exchange.head.method == "POST",
            let devices = (try? JSONValue(parsing: try exchange.readBody(bytesMax: 1 << 20)))?["devices"]?
                .array,
            devices.count <= Self.devicesMax,
            devices.allSatisfy({ $0["device_id"]?.string?.isEmpty == false })
        else { return error(400, exchange) }
        let records = emulator.records(nowSeconds: exchange.nowSeconds)
        var result: JSONObject = [:]
        for device in devices {
            let found = records.first { $0["serial_number"] == device["serial_number"] }
            guard let found, let id = device["device_id"]?.string else { continue }
            var entry: JSONObject = ["s2s_id": "ext-77", "score": found["score"] ?? nil]
            for name in ["state", "expires_in", "reasons"] { entry[name] = found[name] }
            result[id] = .object(entry)
        }
        result["nobody-asked"] = ["s2s_id": "", "score": 100]
        return .json(["result": .object(result)])
    }
}
