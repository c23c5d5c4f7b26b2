import Access
import Foundation
import JSON
import Posture
import Store

/// `gatepost device`: the enrolled devices, and the end of one that was lost.
extension ControlPlane {
    func listDevices(_ devices: [StoredDevice]) -> JSONValue {
        let table = Table(
            header: ["device", "owner", "platform", "key", "state", "enrolled"],
            rows: devices.map { device in
                let enrolled = Date(timeIntervalSince1970: Double(device.enrolledAtSeconds))
                return [
                    device.id, device.ownerEmail ?? device.ownerSubject, device.platform?.rawValue ?? "-",
                    Self.keyText(device),
                    device.isRevoked ? "revoked" : "enrolled", enrolled.formatted(.iso8601),
                ]
            })
        let list = devices.map { device -> JSONValue in
            .object(
                JSONObject([
                    ("device", .string(device.id)), ("owner_issuer", .string(device.ownerIssuer)),
                    ("owner_subject", .string(device.ownerSubject)),
                    ("owner_email", device.ownerEmail.map { .string($0) } ?? .null),
                    ("platform", device.platform.map { .string($0.rawValue) } ?? .null),
                    ("key", .string(device.keyLevel.rawValue)),
                    ("chip", device.chipID.map { .string($0) } ?? .null),
                    ("chip_maker_known", .bool(device.isChipMakerKnown)),
                    ("revoked", .bool(device.isRevoked)), ("enrolled_at", .integer(device.enrolledAtSeconds)),
                ]))
        }
        return ["text": .string(devices.isEmpty ? "no devices" : table.text), "devices": .array(list)]
    }

    /// The key's level as it was proven at enrolment. Without a known maker, "attested" means any TPM 2.0.
    private static func keyText(_ device: StoredDevice) -> String {
        device.keyLevel == .attested && !device.isChipMakerKnown
            ? "attested (maker unknown)" : device.keyLevel.rawValue
    }

    /// The device's certificate counts no more, and every session that proved it ends.
    func revokeDevice(_ command: JSONValue) async throws(StoreError) -> JSONValue {
        guard let id = command["device"]?.string else { return ["error": "name a device"] }
        guard try await services.posture.revoke(deviceID: id) else {
            return ["error": .string("no enrolled device \(id); gatepost device list shows them")]
        }
        let removed = try await endAll(.device(id: id))
        return ["text": .string("device \(id) revoked; \(removed.count) of its sessions ended")]
    }
}
