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
                await self.execute($0)
            }
            socket.start()
            commands.withLock { $0 = socket }
        } catch {
            throw ControlFailure(what: error.what)
        }
    }

    func execute(_ command: JSONValue) async -> JSONValue {
        do throws(StoreError) {
            switch command["command"]?.string {
            case "explain": return try await explain(command)
            case "session-list": return try await listSessions(command)
            case "session-revoke": return try await revokeSessions(command)
            case "enroll-token": return try await enrollToken(command)
            case "status": return await status()
            case "verdicts": return try await verdicts(command)
            case "reconnect": return await reconnect(command)
            case "integrations": return await listIntegrations()
            case "integration-devices": return try await ownersDevices(command)
            case "integration-connect": return await connectIntegration(command)
            case "keys-rotate": return try await rotateKeysCommand(command)
            case "device-list": return listDevices(await services.posture.devices())
            case "device-revoke": return try await revokeDevice(command)
            case let other: return ["error": .string("unknown command \(other ?? "(none)")")]
            }
        } catch {
            return ["error": .string("\(error)")]
        }
    }

    private func explain(_ command: JSONValue) async throws(StoreError) -> JSONValue {
        guard let user = command["user"]?.string.map(EmailAddress.folded),
            let name = command["application"]?.string
        else {
            return ["error": "explain needs user and application"]
        }
        let services = services
        guard let policy = services.policy(name) else {
            let names = services.config.applications.map(\.name).joined(separator: ", ")
            return ["error": .string("no application \(name); there are: \(names)")]
        }
        let now = nowSeconds()
        let found = try await store.sessions(.email(user), limit: 1_000).filter { $0.expiresAtSeconds > now }
        let global =
            found.first {
                $0.kind == .global && policy.identityProviders.contains($0.identityProvider)
            } ?? found.first { $0.kind == .global }
        var device: DeviceFacts?
        if let id = command["device"]?.string {
            device = await services.posture.deviceFacts(
                id: id, statement: found.first { $0.deviceID == id }?.statement)
            guard device != nil else { return ["error": .string("no enrolled device \(id)")] }
        } else if let global {
            device = await services.records.facts(of: global)
        }
        let record = services.config.policy.explain(global?.facts, device, for: policy, atSeconds: now)
        return ExplainText(record: record, user: user, isSignedIn: global != nil, nowSeconds: now).answer
    }

    private func listSessions(_ command: JSONValue) async throws(StoreError) -> JSONValue {
        let query: SessionQuery = command["user"]?.string.map { .email(EmailAddress.folded($0)) } ?? .all
        let sessions = try await store.sessions(query, limit: 1_000)
        let now = nowSeconds()
        let live = sessions.filter { $0.expiresAtSeconds > now }
        let rows = live.map { session in
            [
                session.id, session.kind == .global ? "(auth host)" : session.application ?? "",
                session.email ?? session.subject, session.identityProvider, session.deviceID ?? "-",
                "\((session.expiresAtSeconds - now) / 60) min",
            ]
        }
        let table = Table(
            header: ["session", "application", "person", "provider", "device", "ends in"], rows: rows)
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
                ]))
        }
        return ["text": .string(live.isEmpty ? "no sessions" : table.text), "sessions": .array(list)]
    }
}
