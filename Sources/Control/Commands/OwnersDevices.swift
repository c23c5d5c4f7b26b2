import Access
import Config
import JSON
import Posture
import Store

/// `gatepost integrations devices`: what a provider knows of the devices of somebody's owner, for the
/// question why one of them is not found (002.12, 001.21).
extension ControlPlane {
    func ownersDevices(_ command: JSONValue) async throws(StoreError) -> JSONValue {
        guard let name = command["integration"]?.string, let id = command["device"]?.string else {
            return ["error": "name an integration and a device"]
        }
        let posture = services.posture
        guard let attribute = posture.ownerAttribute(integration: name) else {
            return ["error": .string("\(name) is not asked about people")]
        }
        guard let device = try await store.device(id: id) else {
            return ["error": .string("no enrolled device \(id); gatepost device list shows them")]
        }
        guard let person = try await owner(of: device, attribute) else {
            return [
                "error": .string(
                    "the owner of \(id) has no \(attribute); with a claim, somebody has to be signed in")
            ]
        }
        do throws(ConnectorFailure) {
            let found = try await posture.devices(ofPerson: person, integration: name)
            let rows = found.map { [$0.nativeID, $0.rawState, $0.matchKey] }
            let text =
                found.isEmpty
                ? "\(name) knows no managed device of \(person): check the licence and the assignment"
                : Table(header: ["device there", "state", "ids"], rows: rows).text
            return [
                "text": .string(text), "person": .string(person),
                "devices": .array(
                    found.map { verdict in
                        [
                            "native_id": .string(verdict.nativeID), "raw_state": .string(verdict.rawState),
                            "ids": .string(verdict.matchKey),
                        ]
                    }),
            ]
        } catch {
            return ["error": .string(error.what)]
        }
    }

    /// A claim is only known of people who are signed in: it is read from the owner's newest session.
    private func owner(of device: StoredDevice, _ attribute: String) async throws(StoreError) -> String? {
        switch attribute {
        case "email": return device.ownerEmail
        case "subject": return device.ownerSubject
        case let claim:
            let sessions = try await store.sessions(
                .person(issuer: device.ownerIssuer, subject: device.ownerSubject), limit: 100)
            for session in sessions {
                if case .text(let value)? = session.claims[claim] { return value }
            }
            return nil
        }
    }
}
