import JSON

/// Our own verdict in the directory's record of a device, where Conditional Access reads it (001.2, the
/// other way). Microsoft takes `isCompliant` from Intune, and for Windows from an MDM application that it
/// approved.
extension EntraConnector {
    var publishing: String? {
        connection.texts["publish-verdict"] == "true" ? Self.writePermission : nil
    }

    func publish(_ state: PublishedState, objectID: String) async -> ConnectorFailure? {
        guard let id = EntraDevice.objectID(objectID) else {
            return ConnectorFailure(.malformedResponse, "no object id of a device")
        }
        var members: JSONObject = ["isCompliant": .bool(state.isCompliant)]
        if let isManaged = state.isManaged { members["isManaged"] = .bool(isManaged) }
        // Of one that got no answer nobody knows whether it was done. The queue makes it anew, with the verdict that
        // holds then; this one would be repeated with what held before.
        let call = ProviderCall(
            method: "PATCH", url: "\(tenant.graphURL)/v1.0/devices/\(id)", body: .object(members),
            acceptsStatus: [200, 204], isIdempotent: false)
        do throws(ConnectorFailure) {
            // Nobody waits, and the queue has a back-off of its own.
            _ = try await graph.call(call, waitSecondsMax: 0)
            return nil
        } catch {
            return error
        }
    }
}
