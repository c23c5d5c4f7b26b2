import Config

/// What of a changed configuration a running gateway cannot take, because it was read when a process began.
struct UnappliedChanges {
    /// Keys that another process reads anew: `gatepost upgrade` starts both of them anew and loses no request.
    private(set) var byNewProcesses: [String] = []
    /// Keys of what the first process holds from its start to its end: sockets, user, number of processes.
    private(set) var byRestart: [String] = []
    /// One process cannot be replaced by another.
    private let canUpgrade: Bool
    /// Where the command line finds the gateway that runs, when the new configuration says otherwise.
    private let formerSocket: String?

    init(from old: ConfigSnapshot, to new: ConfigSnapshot) {
        canUpgrade = old.gateway.hasTwoProcesses
        formerSocket = old.gateway.adminSocket == new.gateway.adminSocket ? nil : old.gateway.adminSocket
        byRestart = Self.keysOfTheStart(old.gateway, new.gateway)
        if AgentParts.withoutTrust(new.integrations) != AgentParts.withoutTrust(old.integrations) {
            byNewProcesses.append("integrations")
        }
        byNewProcesses += Self.keysOfProcesses(old.gateway, new.gateway)
        byNewProcesses += Self.limits(old.gateway.limits, new.gateway.limits)
    }

    private static func keysOfTheStart(_ old: GatewaySettings, _ new: GatewaySettings) -> [String] {
        let listeners = { (gateway: GatewaySettings) in gateway.listeners.map { "\($0.address) \($0.port)" } }
        return [
            ("gateway.listeners", listeners(old) != listeners(new)),
            ("gateway.processes", old.hasTwoProcesses != new.hasTwoProcesses),
            ("gateway.user", old.user != new.user),
            ("gateway.workers", old.workers != new.workers),
        ].filter(\.1).map(\.0)
    }

    private static func keysOfProcesses(_ old: GatewaySettings, _ new: GatewaySettings) -> [String] {
        [
            // Agents, providers and device checks under way know the auth host by its address.
            ("gateway.auth-host", old.authHost != new.authHost),
            ("gateway.public-port", old.publicPort != new.publicPort),
            ("gateway.store", old.storeFolder != new.storeFolder),
            ("gateway.keys-folder", old.keysFolder != new.keysFolder),
            ("gateway.admin-socket", old.adminSocket != new.adminSocket),
            ("gateway.decision-log", old.decisionLog != new.decisionLog),
        ].filter(\.1).map(\.0)
    }

    /// Reactors make room for these when they begin; the others they look at anew each time.
    private static func limits(_ old: LimitSettings, _ new: LimitSettings) -> [String] {
        [
            ("connections-max", old.connectionsMax != new.connectionsMax),
            ("sessions-cached-max", old.sessionsCachedMax != new.sessionsCachedMax),
            // Fewer than there is room for are kept at once.
            (
                "upstream-idle-per-reactor-max",
                new.upstreamIdlePerReactorMax > old.upstreamIdlePerReactorMax
            ),
        ].filter(\.1).map { "gateway.limits.\($0.0)" }
    }

    /// What the administrator is told; nil: everything can be taken.
    var message: String? {
        let keys = byRestart + byNewProcesses
        guard !keys.isEmpty else { return nil }
        let remedy =
            byRestart.isEmpty && canUpgrade
            ? "apply it with: gatepost upgrade" + (formerSocket.map { " --socket \($0)" } ?? "")
                + " (no request is lost)"
            : "restart the gateway to apply it"
        return "\(keys.joined(separator: ", ")) changed; the running configuration stays; \(remedy)"
    }
}
