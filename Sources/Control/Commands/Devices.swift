import Access
import Border
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
        if let serial = command["serial"]?.string { return try await revokeCertificate(serial) }
        guard let id = command["device"]?.string else { return ["error": "name a device"] }
        let isKnown: Bool
        do throws(StoreError) {
            isKnown = try await services.posture.revoke(
                deviceID: id, eventNanoseconds: Arrival.nanoseconds)
        } catch {
            // In memory it is revoked already.
            _ = await endDeniedMachines()
            throw error
        }
        guard isKnown else {
            return ["error": .string("no enrolled device \(id); gatepost device list shows them")]
        }
        let machines = await endDeniedMachines()
        let removed = try await endAll(.device(id: id))
        return [
            "text": .string(
                "device \(id) revoked; \(removed.count) of its sessions" + Self.andMachines(machines)
                    + " ended"),
            "machines": .integer(Int64(machines)),
        ]
    }

    /// A certificate by its serial number, and the devices whose it is.
    private func revokeCertificate(_ text: String) async throws(StoreError) -> JSONValue {
        guard let serial = Self.serial(text) else {
            return ["error": "a serial number is 1 to 40 hexadecimal digits, with colons or without"]
        }
        guard revokedSerials.insert(CertificateFacts.number(serial)) else {
            return [
                "error": .string(
                    "\(GatewaySnapshot.revokedSerialsMax) certificates are revoked one by one; put further ones on "
                        + "their authority's list (client-certificates.crl, enrollment-ca.revocation-lists)")
            ]
        }
        // Before anything is read or stored: what the data plane decides by itself is cut at once.
        revocations.send([.revokeCertificate(CertificateFacts.number(serial))])
        let revoked: Result<[String], StoreError>
        do throws(StoreError) {
            revoked = .success(
                try await services.posture.revoke(
                    serialHex: serial, eventNanoseconds: Arrival.nanoseconds))
        } catch {
            revoked = .failure(error)
        }
        // As a client certificate it names its device no more, on whatever connection it was shown.
        let beside = certified.sessions { $0.claim.serial.drop { $0 == "0" } == serial.drop { $0 == "0" } }
        if !beside.isEmpty {
            var batch = beginBatch(.release, eventNanoseconds: Arrival.eventNanoseconds)
            do throws(StoreError) {
                try await decideAnew(sessions: beside, &batch)
                try await settle(batch)
            } catch {
                // What cannot be decided anew ends: in memory the certificate is withdrawn already.
                revocations.send(beside.sorted().map { .endSession($0) })
            }
            changes.announce()
        }
        let machines = await endDeniedMachines()
        let devices = try revoked.get()
        var ended = 0
        for device in devices { ended += try await endAll(.device(id: device)).count }
        let whose =
            devices.isEmpty
            ? "it is no device's newest certificate" : "devices revoked: \(devices.joined(separator: ", "))"
        return [
            "text": .string(
                "certificate \(serial) revoked; \(whose); \(ended) sessions" + Self.andMachines(machines)
                    + " ended"),
            "devices": .array(devices.map { .string($0) }), "machines": .integer(Int64(machines)),
        ]
    }

    /// Nothing where there are none: most gateways serve people alone.
    static func andMachines(_ count: Int) -> String {
        count == 0 ? "" : " and \(count) machine\(count == 1 ? "" : "s")"
    }

    /// As `Certificate.serialHex` writes it: lower case, whole bytes, no zero bytes in front.
    static func serial(_ text: String) -> String? {
        let digits = text.lowercased().filter { $0 != ":" }
        guard (1...40).contains(digits.utf8.count), digits.utf8.allSatisfy({ $0 < 0x80 }),
            digits.allSatisfy(\.isHexDigit)
        else { return nil }
        var rest = Substring(digits.utf8.count % 2 == 0 ? digits : "0" + digits)
        while rest.utf8.count > 2, rest.hasPrefix("00") { rest = rest.dropFirst(2) }
        return String(rest)
    }

    /// A device that a management server speaks for came back with another key, and an administrator says that this
    /// is right.
    func acceptDeviceKey(_ command: JSONValue) async throws(StoreError) -> JSONValue {
        guard let id = command["device"]?.string else { return ["error": "name a device"] }
        guard let next = try await services.posture.acceptNewKey(deviceID: id) else {
            return [
                "error": .string(
                    "no device \(id) that a management server speaks for and that is not revoked")
            ]
        }
        let removed = try await endAll(.device(id: id))
        return [
            "text": .string(
                "the next key of \(id) is accepted, under the id \(next); \(removed.count) sessions of the old "
                    + "one ended")
        ]
    }
}
