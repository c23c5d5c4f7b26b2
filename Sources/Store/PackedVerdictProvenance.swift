import Access

/// Which call said it, in some twenty bytes: endpoints that are known take one, and most request ids are GUIDs.
extension PackedVerdict.Codes {
    static let transports: [Verdict.Provenance.Transport] = [
        .apiPoll, .apiPush, .ssf, .localAgent, .tokenClaim,
    ]
    /// Below each vendor's base. The order is the format: new ones go to the end.
    static let endpoints: [String] = [
        "/v1.0/deviceManagement/managedDevices", "/v1.0/deviceManagement/managedDevices/{id}",
        "/v1.0/deviceManagement/managedDevices/{id}/deviceCompliancePolicyStates",
        "/v1.0/users/{id}/managedDevices", "/v1.0/devices", "/v1.0/devices/delta", "/v1.0/devices/{id}",
        "/api/machines", "/devices/combined/devices/v1", "POST /devices/entities/devices/v2",
        "/devices/entities/devices/v2", "/devices/entities/online-state/v1",
        "/zero-trust-assessment/entities/assessments/v1", "/zero-trust-assessment/queries/assessments/v1",
        "/mdm/devices", "/mdm/devices/search", "POST /plugin/products/gateway/graphql",
        "/api/v1/computers-inventory",
        "/api/v1/conditional-access/device-compliance-information/computer/{id}",
        "/web/api/v2.1/agents", "/devices", "/api/v1/devices", "/api/v1/devices/{id}/parameters",
        "/v1/devices", "/api/v1/fleet/hosts", "/api/v1/fleet/hosts/identifier/{id}", "POST ",
        "POST /v1.0/$batch",
    ]
}

extension PackedVerdict.Writer {
    mutating func provenance(_ provenance: Verdict.Provenance) {
        typealias Codes = PackedVerdict.Codes
        bytes.append(Codes.index(of: provenance.transport, in: Codes.transports))
        if let index = Codes.endpoints.firstIndex(where: { ExactText.isEqual($0, provenance.endpoint) }) {
            bytes.append(UInt8(index + 1))
        } else {
            bytes.append(0)
            text(provenance.endpoint)
        }
        bytes.append(provenance.requestID == nil ? 0 : 1)
        if let id = provenance.requestID { text(id) }
    }
}

extension PackedVerdict.Reader {
    mutating func provenance() -> Verdict.Provenance? {
        typealias Codes = PackedVerdict.Codes
        guard position + 2 <= bytes.count, let transport = Codes.value(bytes[position], in: Codes.transports)
        else { return nil }
        let code = bytes[position + 1]
        position += 2
        guard let endpoint = code == 0 ? text() : Codes.value(code - 1, in: Codes.endpoints),
            position < bytes.count, bytes[position] <= 1
        else { return nil }
        let hasID = bytes[position] == 1
        position += 1
        guard hasID else { return Verdict.Provenance(transport: transport, endpoint: endpoint) }
        guard let id = text() else { return nil }
        return Verdict.Provenance(transport: transport, endpoint: endpoint, requestID: id)
    }

    /// Exactly when `provenance` gives one.
    mutating func skipProvenance() -> Bool { provenance() != nil }
}
