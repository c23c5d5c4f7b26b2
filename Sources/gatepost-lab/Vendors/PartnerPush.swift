import JSON
import Synchronization

/// What UEM's cloud service tells Microsoft of a device that UEM manages: it stands in Entra's directory some time
/// later, where Conditional Access and the gateway read it (providers.md 6.4). UEM itself tells the gateway nothing.
struct PartnerPush: Sendable {
    /// At the directory: object id, device id or name.
    var directoryDevice: String
    /// Members that are written over the directory's own.
    var members: JSONObject
    var dueSeconds: Int64

    /// A week: longer than any console shows a device as waiting.
    static let delaySecondsMax: Int64 = 7 * 86_400

    /// What the partner says of a record as UEM keeps it; null where UEM has not judged.
    static func members(of record: JSONObject) -> JSONObject {
        let isManaged = record["EnrollmentStatus"]?.string == "Enrolled"
        let isCompliant: JSONValue =
            switch record["ComplianceStatus"]?.string {
            case _ where !isManaged || record["CompromisedStatus"]?.bool == true: false
            case "Compliant": true
            case "NonCompliant": false
            case _: .null
            }
        return ["isManaged": .bool(isManaged), "isCompliant": isCompliant]
    }
}

extension VendorSite {
    /// `POST /workspace-one/lab/partner-push {"device": "alice-laptop", "directoryDevice": "…", "afterSeconds": 900}`:
    /// what UEM says of the device now is in the directory after that time. `directoryDevice` is the one that the
    /// person has registered; the device's name when absent.
    func pushToDirectory(_ exchange: Exchange) throws -> Response {
        guard exchange.head.method == "POST", let body = try? JSONValue(parsing: try exchange.readBody()),
            let name = body["device"]?.string
        else { return .json(["error": "POST {\"device\": \"…\", \"afterSeconds\": n}"], status: 400) }
        let delay = body["afterSeconds"] ?? 0
        guard let seconds = delay.integer, (0...PartnerPush.delaySecondsMax).contains(seconds) else {
            return .json(
                ["error": .string("afterSeconds is 0 to \(PartnerPush.delaySecondsMax)")], status: 400)
        }
        let records = emulators["workspace-one"]?.state.withLock { $0.devices } ?? []
        guard let device = records.first(where: { $0.id == name || $0.name == name }) else {
            return .json(["error": .string("UEM has no device \(name)")], status: 404)
        }
        let push = PartnerPush(
            directoryDevice: body["directoryDevice"]?.string ?? device.name,
            members: PartnerPush.members(of: device.record), dueSeconds: exchange.nowSeconds + seconds)
        // A device that was enrolled and not registered yet: the directory has nothing to write to.
        guard sendToDirectory(push) else {
            return .json(
                ["error": .string("\(push.directoryDevice) is not registered with the directory")],
                status: 404)
        }
        return .json(["sent": .object(push.members), "dueSeconds": .integer(push.dueSeconds)])
    }
}
