import Access
import Border
import Config
import Foundation
import Identity
import JSON
import Posture
import Store
import Synchronization

/// What the command line asks of the running gateway: `{"command": …}` → `{"text": …}` or `{"error": …}`.
extension ControlPlane {
    /// Begins to answer at the administration socket.
    public func serveCommands() throws(ControlFailure) {
        do {
            let socket = try CommandSocket(path: services.config.gateway.adminSocket) {
                await self.execute($0, uid: $1)
            }
            socket.start()
            commands.withLock { $0 = socket }
        } catch {
            throw ControlFailure(what: error.what)
        }
    }

    /// - Parameter uid: whose process asks, by the kernel's word; nil: not known.
    func execute(_ command: JSONValue, uid: UInt32? = nil) async -> JSONValue {
        let isEnding = Arrival.commands.contains(command["command"]?.string ?? "")
        let arrived = isEnding ? Arrival.eventNanoseconds : nil
        let answer = await Arrival.$nanoseconds.withValue(arrived) { await carryOut(command, uid) }
        guard var shown = answer.object else { return answer }
        // For terminals, and full of other people's words.
        for name in ["text", "error"] {
            if let text = shown[name]?.string { shown[name] = .string(Table.printableLines(text)) }
        }
        return .object(shown)
    }

    private func carryOut(_ command: JSONValue, _ uid: UInt32?) async -> JSONValue {
        do throws(StoreError) {
            switch command["command"]?.string {
            case "explain": return try await explain(command)
            case "session-list": return try await listSessions(command)
            case "session-revoke": return try await revokeSessions(command)
            case "session-end": return try await endSessions(command, uid: uid)
            case "enroll-token": return try await enrollToken(command)
            case "status": return await status()
            case "reload": return await reloadCommand()
            case "held": return listHeld()
            case "held-release": return try await releaseHeld(command, uid: uid)
            case "verdicts": return try await verdicts(command)
            case "reconnect": return await reconnect(command)
            case "integrations": return await listIntegrations()
            case "integration-devices": return try await ownersDevices(command)
            case "integration-connect": return await connectIntegration(command)
            case "keys-rotate": return try await rotateKeysCommand(command)
            case "service-token-create": return try await createServiceToken(command)
            case "service-token-rotate": return try await rotateServiceToken(command)
            case "service-token-revoke": return try await revokeServiceToken(command)
            case "service-token-list": return listServiceTokens()
            case "device-list": return listDevices(await services.posture.devices())
            case "device-revoke": return try await revokeDevice(command)
            case "device-accept-key": return try await acceptDeviceKey(command)
            case let other: return ["error": .string("unknown command \(other ?? "(none)")")]
            }
        } catch {
            return ["error": .string("\(error)")]
        }
    }

    private func listSessions(_ command: JSONValue) async throws(StoreError) -> JSONValue {
        let query: SessionQuery = command["user"]?.string.map { .email(EmailAddress.folded($0)) } ?? .all
        let sessions = try await store.sessions(query, limit: 1_000)
        let now = nowSeconds()
        let live = sessions.filter { $0.expiresAtSeconds > now }
        let kept = try await store.refreshes(sessionIDs: live.filter { $0.kind == .global }.map(\.id))
        let refreshes = Dictionary(kept.map { ($0.sessionID, $0) }, uniquingKeysWith: { first, _ in first })
        let rows = live.map { session in
            [
                session.id, session.kind == .global ? "(auth host)" : session.application ?? "",
                session.email ?? session.subject, session.identityProvider, session.deviceID ?? "-",
                "\((session.expiresAtSeconds - now) / 60) min",
                RefreshStatusText.cell(refreshes[session.id], nowSeconds: now),
            ]
        }
        let table = Table(
            header: ["session", "application", "person", "provider", "device", "ends in", "refreshed"],
            rows: rows)
        let list = live.map { session -> JSONValue in
            .object(
                JSONObject([
                    ("id", .string(session.id)), ("kind", .string(session.kind.rawValue)),
                    ("application", session.application.map { .string($0) } ?? .null),
                    ("email", session.email.map { .string($0) } ?? .null),
                    ("subject", .string(session.subject)),
                    ("identity_provider", .string(session.identityProvider)),
                    ("device", session.deviceID.map { .string($0) } ?? .null),
                    ("expires_at", .integer(session.expiresAtSeconds)),
                    ("refresh", RefreshStatusText.json(refreshes[session.id])),
                ]))
        }
        return ["text": .string(live.isEmpty ? "no sessions" : table.text), "sessions": .array(list)]
    }
}
