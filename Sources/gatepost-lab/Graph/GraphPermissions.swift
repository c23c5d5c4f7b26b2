/// Which permission each resource needs, and writing of devices (providers.md 2.1, 3.1).

import JSON
import Synchronization

extension GraphEmulator {
    /// The answer to a token that may not do this; nil: it may.
    func permissionRefusal(_ exchange: Exchange, _ route: [String], method: String) -> Response? {
        let field = exchange.head.field("authorization") ?? ""
        let held = state.withLock { $0.permissions(token: String(field.dropFirst("Bearer ".count))) }
        guard let wanted = Self.permissions(route, method: method), held.isDisjoint(with: wanted) else {
            return nil
        }
        let isDirectory = route.first?.hasPrefix("devices") == true
        return error(
            exchange, 403, isDirectory ? "Authorization_RequestDenied" : "Forbidden",
            "Insufficient privileges to complete the operation.")
    }

    /// Any of them will do; nil: none is needed.
    private static func permissions(_ route: [String], method: String) -> Set<String>? {
        guard let first = route.first else { return nil }
        if first == "devices" || first.hasPrefix("devices(") {
            return method == "GET" ? ["Device.Read.All", "Device.ReadWrite.All"] : ["Device.ReadWrite.All"]
        }
        if route.last == "complianceManagementPartners" { return ["DeviceManagementServiceConfig.Read.All"] }
        if route.last == "deviceCompliancePolicyStates" { return ["DeviceManagementConfiguration.Read.All"] }
        if first == "deviceManagement" || first == "users" {
            return ["DeviceManagementManagedDevices.Read.All"]
        }
        return nil
    }

    /// `PATCH /devices/{object id}` with `isCompliant` and `isManaged`: 204, and the change is in the next
    /// delta.
    func patchDevice(_ exchange: Exchange, id: String, _ body: [UInt8]) -> Response {
        if let refusal = permissionRefusal(exchange, ["devices", id], method: "PATCH") { return refusal }
        guard let members = (try? JSONValue(parsing: body))?.object, !members.members.isEmpty,
            members.members.allSatisfy({ member in
                ["isCompliant", "isManaged"].contains(member.name) && member.value.bool != nil
            })
        else { return error(exchange, 400, "Request_BadRequest", "A value is not writable.") }
        let isKnown = directory.withLock { state -> Bool in
            guard state.devices.contains(where: { $0.id == id.lowercased() }) else { return false }
            state.writes.append((id.lowercased(), members))
            return state.change(id, members) != nil
        }
        guard isKnown else {
            return error(exchange, 404, "Request_ResourceNotFound", "Resource '\(id)' does not exist.")
        }
        return Response(status: 204, fields: identityFields(exchange))
    }
}
