/// The emulator's own control paths under `/lab`: devices, faults, clock, limits.

import JSON
import Synchronization

extension GraphEmulator {
    func answerControl(_ exchange: Exchange, _ segments: [String]) throws -> Response {
        switch segments.first {
        case "faults":
            return try faults.answer(exchange) { fault in
                if fault.certificate != nil, !address.hasPrefix("https:") { return true }
                guard fault == .expireTokens else { return false }
                state.withLock { $0.expireTokens() }
                return true
            }
        case "devices": return try devices(exchange, id: segments.count > 1 ? segments[1] : nil)
        case "directory": return try directoryControl(exchange, Array(segments.dropFirst()))
        case "partners": return try partnerControl(exchange)
        case "certificate": return try certificateControl(exchange)
        case "consent": return try consentControl(exchange)
        case "resource-units":
            return try number(exchange, "per10Seconds") { units in directory.withLock { $0.unitsMax = units }
            }
        case "clock": return try number(exchange, "offsetSeconds") { clock.setOffset(seconds: $0) }
        case "limits":
            return try number(exchange, "requestsPer20Seconds") { count in
                state.withLock { $0.requestsMax = Int(min(max(count, 0), 1_000_000)) }
            }
        default:
            return .json(
                [
                    "error":
                        .string(
                            "try devices, directory, partners, certificate, consent, faults, clock, "
                                + "limits, resource-units")
                ], status: 404)
        }
    }

    /// What the certificate of the next connection has to be like.
    func certificateFault() -> CertificateFault? {
        GraphFault.allCases.first { $0.certificate != nil && faults.fires($0) != nil }?.certificate
    }

    private func number(_ exchange: Exchange, _ name: String, _ use: (Int64) -> Void) throws -> Response {
        guard exchange.head.method == "POST",
            let value = (try? JSONValue(parsing: try exchange.readBody()))?[name]?.integer
        else { return .json(["error": .string("POST {\"\(name)\": n}")], status: 400) }
        use(value)
        return .json([:])
    }

    private func devices(_ exchange: Exchange, id: String?) throws -> Response {
        let body = exchange.head.method == "POST" ? try exchange.readBody() : []
        switch (exchange.head.method, id) {
        case ("GET", nil):
            let records = state.withLock { $0.devices }.map { $0.record(nowSeconds: exchange.nowSeconds) }
            return .json(["devices": .array(records.map { .object($0) })])
        case ("GET", .some(let id)):
            guard let device = state.withLock({ $0.devices.first { Self.isMeant($0, id) } }) else {
                return missing(id)
            }
            return .json(.object(device.record(nowSeconds: exchange.nowSeconds)))
        case ("POST", .some(let id)):
            guard let members = (try? JSONValue(parsing: body))?.object else {
                return .json(["error": "the body is not a JSON object"], status: 400)
            }
            return change(id, members, exchange)
        case ("DELETE", .some(let id)):
            let count = state.withLock { state in
                let before = state.devices.count
                state.devices.removeAll { Self.isMeant($0, id) }
                return before - state.devices.count
            }
            return count == 0 ? missing(id) : .json(["removed": .integer(Int64(count))])
        default: return .json(["error": "GET, POST or DELETE"], status: 405)
        }
    }

    private func missing(_ id: String) -> Response {
        .json(["error": .string("no device has the id, name or serial number \(id)")], status: 404)
    }

    private static func isMeant(_ device: ManagedDevice, _ id: String) -> Bool {
        device.id == id || device.members["deviceName"]?.string == id
            || device.members["serialNumber"]?.string == id
    }

    /// Writes the given members over the device's own.
    private func change(_ id: String, _ members: JSONObject, _ exchange: Exchange) -> Response {
        if let named = members["complianceState"]?.string, !ManagedDevice.complianceStates.contains(named) {
            let known = ManagedDevice.complianceStates.map { JSONValue.string($0) }
            return .json(["error": "unknown complianceState", "known": .array(known)], status: 400)
        }
        let changed = state.withLock { state -> ManagedDevice? in
            guard let index = state.devices.firstIndex(where: { Self.isMeant($0, id) }) else { return nil }
            for member in members.members { state.devices[index].members[member.name] = member.value }
            if members["lastSyncDateTime"] != nil { state.devices[index].hasOwnSyncTime = true }
            if let newID = members["id"]?.string { state.devices[index].id = newID }
            return state.devices[index]
        }
        guard let changed else { return missing(id) }
        if let word = members["complianceState"]?.string, let key = changed.members["azureADDeviceId"]?.string
        {
            // Intune computes the overall state and stores it in the directory (002.9).
            _ = directory.withLock { $0.change(key, ["isCompliant": DirectoryDevice.isCompliant(word)]) }
        }
        return .json(.object(changed.record(nowSeconds: exchange.nowSeconds)))
    }
}
