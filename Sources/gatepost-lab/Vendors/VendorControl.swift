import JSON
import Synchronization

/// The control paths of every vendor's emulator, under `/<vendor>/lab`: devices, faults, clock, limits,
/// calls.
extension VendorEmulator {
    func control(_ path: [String], _ exchange: Exchange) throws -> Response {
        switch path.first {
        case "faults":
            return try faults.answer(exchange) { fault in
                // What could not happen must not look as if it were switched on.
                if fault.certificate != nil, !address.hasPrefix("https:") { return true }
                guard fault == .expireTokens else { return false }
                state.withLock { $0.tokens = [:] }
                return true
            }
        case "devices": return try devices(path.count > 1 ? path[1] : nil, exchange)
        case "calls":
            let calls = state.withLock { $0.calls }.sorted { $0.key < $1.key }
            return .json(.object(JSONObject(calls.map { ($0.key, .integer(Int64($0.value))) })))
        case "clock": return try number(exchange, "offsetSeconds") { clock.setOffset(seconds: $0) }
        case "limits":
            return try limits(exchange)
        default:
            return try vendor.control(path, exchange)
                ?? .json(["error": "try devices, faults, clock, limits or calls"], status: 404)
        }
    }

    /// `{"calls": n, "page": n}`, each optional: calls in every window, records in a page.
    private func limits(_ exchange: Exchange) throws -> Response {
        let body = exchange.head.method == "POST" ? try? JSONValue(parsing: try exchange.readBody()) : nil
        let calls = body?["calls"]?.integer
        let page = body?["page"]?.integer
        guard calls != nil || page != nil else {
            return .json(["error": "POST {\"calls\": n, \"page\": n}"], status: 400)
        }
        state.withLock { state in
            if let calls { state.callsMax = Int(min(max(calls, 0), 1_000_000)) }
            if let page { state.pageMax = Int(min(max(page, 1), 1_000_000)) }
        }
        return .json([:])
    }

    private func number(_ exchange: Exchange, _ name: String, _ use: (Int64) -> Void) throws -> Response {
        guard exchange.head.method == "POST",
            let value = (try? JSONValue(parsing: try exchange.readBody()))?[name]?.integer
        else { return .json(["error": .string("POST {\"\(name)\": n}")], status: 400) }
        use(value)
        return .json([:])
    }

    /// GET lists, POST writes members over a device's own (or makes one, with every member given), DELETE
    /// removes.
    private func devices(_ id: String?, _ exchange: Exchange) throws -> Response {
        let body = exchange.head.method == "POST" ? try exchange.readBody() : []
        switch (exchange.head.method, id) {
        case ("GET", nil):
            return .json(["devices": .array(state.withLock { $0.devices }.map { .object($0.record) })])
        case ("GET", .some(let id)):
            return find(id).map { .json(.object($0.record)) } ?? missing(id)
        case ("POST", .some(let id)):
            guard let members = (try? JSONValue(parsing: body))?.object else {
                return .json(["error": "the body is not a JSON object"], status: 400)
            }
            let record = state.withLock { state -> JSONObject in
                let index =
                    state.devices.firstIndex { Self.isMeant($0, id) }
                    ?? {
                        state.devices.append(VendorDevice(id: id, record: [:], name: id))
                        return state.devices.count - 1
                    }()
                for member in members.members { state.devices[index].record[member.name] = member.value }
                return state.devices[index].record
            }
            return .json(.object(record))
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

    private func find(_ id: String) -> VendorDevice? {
        state.withLock { $0.devices.first { Self.isMeant($0, id) } }
    }

    private static func isMeant(_ device: VendorDevice, _ id: String) -> Bool {
        device.id == id || device.name == id
    }

    private func missing(_ id: String) -> Response {
        .json(["error": .string("no device has the id or name \(id)")], status: 404)
    }
}

/// All vendors' emulators on one port, each under its name.
final class VendorSite: Site {
    static let vendors: [any Vendor] = [
        Falcon(), Defender(), Tanium(), WorkspaceOne(), Jamf(), SentinelOne(), Kolide(), Kandji(),
        GoogleDevices(), Fleet(), Custom(),
    ]

    let name = "vendors"
    let emulators: [String: VendorEmulator]
    let signals: SignalTransmitter
    let management: ManagementServer
    /// Microsoft's side of partner compliance.
    let sendToDirectory: @Sendable (PartnerPush) -> Bool

    /// - Parameter sendToDirectory: takes what UEM's cloud service says; false when the directory does not have the
    ///   device.
    init(
        port: UInt16, clock: LabClock, scheme: String = "http",
        sendToDirectory: @escaping @Sendable (PartnerPush) -> Bool = { _ in false }
    ) {
        self.sendToDirectory = sendToDirectory
        management = ManagementServer(issuer: "http://127.0.0.1:\(port)/management", clock: clock)
        signals = SignalTransmitter(port: port, clock: clock)
        emulators = Dictionary(
            uniqueKeysWithValues: Self.vendors.map {
                ($0.name, VendorEmulator($0, port: port, clock: clock, scheme: scheme))
            }
        )
    }

    func answer(_ exchange: Exchange) throws {
        let path = exchange.head.path.split(separator: "/").map { Parameters.decode($0) ?? "" }
        if path.first == "signals" || path.first == ".well-known" { return try signals.answer(exchange) }
        if path.first == "management" { return try management.answer(Array(path.dropFirst()), exchange) }
        if path == ["workspace-one", "lab", "partner-push"] {
            return try exchange.send(pushToDirectory(exchange))
        }
        guard let first = path.first, let emulator = emulators[first] else {
            let names = (emulators.keys + ["signals", "management"]).sorted().joined(separator: ", ")
            return try exchange.send(.text("No such vendor; there are: \(names)\n", status: 404))
        }
        try emulator.answer(Array(path.dropFirst()), exchange)
    }

    /// What the certificate of the next connection has to be like: one port serves all vendors.
    func certificateFault() -> CertificateFault? {
        for emulator in emulators.values {
            for fault in VendorFault.allCases where fault.certificate != nil {
                if emulator.faults.fires(fault) != nil { return fault.certificate }
            }
        }
        return nil
    }
}
