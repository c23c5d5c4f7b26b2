import JSON
import Signatures
import Store

/// `gatepost keys`: replacing keys ahead of need, or because one may have become known.
extension ControlPlane {
    func rotateKeysCommand(_ command: JSONValue) async throws(StoreError) -> JSONValue {
        let names = KeyRing.Purpose.allCases.map(\.rawValue)
        guard let name = command["purpose"]?.string, let purpose = KeyRing.Purpose(rawValue: name) else {
            return ["error": .string("name a purpose: \(names.joined(separator: ", "))")]
        }
        do throws(ControlFailure) {
            try await rotateKeys(purpose)
        } catch {
            return ["error": .string(error.what)]
        }
        try await store.appendAudit(
            kind: "key-rotated", atSeconds: nowSeconds(),
            json: JSONValue.object(["purpose": .string(name), "by": "command"]).serializedText())
        return ["text": .string("\(name): the next key is current; the one before is still accepted")]
    }
}
