import Access
import Border
import Config
import Foundation
import JSON
import Signatures
import Store

/// `gatepost service-token`: made, shown once, rotated with overlap, ended.
extension ControlPlane {
    private static let lifetimeSeconds: ClosedRange<Int64> = 60...315_360_000
    private static let tokensPerNameMax = 8

    /// `gps_`, 16 digits that are no secret, and 256 bits that are.
    private func makeToken(_ name: String, lifetimeSeconds: Int64) -> (text: String, StoredServiceToken) {
        let id = "gps_" + Random.bytes(8).map { String(format: "%02x", $0) }.joined()
        let text = "\(id).\(Base64URL.encode(Random.bytes(32)))"
        let now = nowSeconds()
        return (
            text,
            StoredServiceToken(
                id: id, name: name, digest: MachineRegistry.digest(of: text), createdAtSeconds: now,
                expiresAtSeconds: now + lifetimeSeconds)
        )
    }

    private func lifetime(_ command: JSONValue, _ member: String, standard: Int64) -> Int64? {
        guard let seconds = command[member] else { return standard }
        return seconds.integer.flatMap { Self.lifetimeSeconds.contains($0) ? $0 : nil }
    }

    /// Letters, digits and `-._`, so that a name is never what a certificate is called.
    private static func isName(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x61...0x7a).contains(byte)
                    || [0x2d, 0x2e, 0x5f].contains(byte)
            }
    }

    func createServiceToken(_ command: JSONValue) async throws(StoreError) -> JSONValue {
        guard let name = command["name"]?.string, Self.isName(name) else {
            return ["error": "a name has 1 to 64 lower-case letters, digits, -, . and _"]
        }
        guard let lifetime = self.lifetime(command, "expires", standard: 90 * 86_400) else {
            return ["error": "a token lives for a minute to ten years"]
        }
        guard let known = machines.tokens else { return ["error": "the tokens are not read yet; try again"] }
        guard !known.contains(where: { $0.name == name }) else {
            return ["error": .string("there is a token \(name); rotate or revoke it")]
        }
        guard known.count < MachineRegistry.tokensMax else { return ["error": "there are too many tokens"] }
        return try await keep([], makeToken(name, lifetimeSeconds: lifetime), "service-token-created")
    }

    /// A new token of the name; those before end after the overlap, if not earlier.
    func rotateServiceToken(_ command: JSONValue) async throws(StoreError) -> JSONValue {
        let name = command["name"]?.string ?? ""
        let old = (machines.tokens ?? []).filter { $0.name == name && $0.expiresAtSeconds > nowSeconds() }
        guard !old.isEmpty else { return ["error": .string("no service token \(name) that counts")] }
        guard old.count < Self.tokensPerNameMax else {
            return ["error": .string("\(old.count) tokens of \(name) are in use; wait, or revoke them")]
        }
        guard let lifetime = self.lifetime(command, "expires", standard: 90 * 86_400),
            let overlap = self.lifetime(command, "overlap", standard: 7 * 86_400)
        else { return ["error": "a token lives for a minute to ten years"] }
        let end = nowSeconds() + overlap
        let shortened = old.map { token in
            var token = token
            token.expiresAtSeconds = min(token.expiresAtSeconds, end)
            return token
        }
        return try await keep(shortened, makeToken(name, lifetimeSeconds: lifetime), "service-token-rotated")
    }

    private func keep(
        _ old: [StoredServiceToken], _ made: (text: String, token: StoredServiceToken), _ kind: String
    ) async throws(StoreError) -> JSONValue {
        // Stored first: a token that is shown and forgotten would be worse than none.
        try await store.upsert(old + [made.token])
        machines.take(old + [made.token])
        let ids = Set(old.map(\.id))
        for machine in machines.active(where: { ids.contains($0.service.id) }) {
            if let shorter = serviceToken(machine.tokenDigest, machine.application) { machines.keep(shorter) }
        }
        await redecideMachines { ids.contains($0.service.id) }
        try await auditToken(kind, made.token.name, [made.token.id])
        return [
            "text": .string(
                "\(made.text)\n\nShown once. Clients send it as Gatepost-Service-Token. It ends "
                    + Self.date(made.token.expiresAtSeconds)),
            "token": .string(made.text), "id": .string(made.token.id),
            "expires_at": .integer(made.token.expiresAtSeconds),
        ]
    }

    func revokeServiceToken(_ command: JSONValue) async throws(StoreError) -> JSONValue {
        let name = command["name"]?.string ?? ""
        let ids = (machines.tokens ?? []).filter { $0.name == name }.map(\.id)
        guard !ids.isEmpty else { return ["error": .string("no service token \(name)")] }
        try await store.removeServiceTokens(ids: ids)
        machines.remove(ids: ids)
        // Whatever was made of it and wherever it is: also a record that is still on its way.
        let records = ids.flatMap { id in services.config.applications.map { "\(id)@\($0.name)" } }
        for machine in machines.active(where: { ids.contains($0.service.id) }) {
            machines.forget(machine.tokenDigest)
        }
        revocations.send(records.map { .endSession($0) })
        try await auditToken("service-token-revoked", name, ids)
        return [
            "text": .string("\(ids.count) token\(ids.count == 1 ? "" : "s") of \(name) revoked"),
            "revoked": .array(ids.map { .string($0) }),
        ]
    }

    func listServiceTokens() -> JSONValue {
        let now = nowSeconds()
        let tokens = machines.tokens ?? []
        let rows = tokens.map { token in
            [
                token.name, token.id,
                token.expiresAtSeconds <= now ? "expired" : Self.date(token.expiresAtSeconds),
                token.lastUsedAtSeconds.map(Self.date) ?? "never",
            ]
        }
        let active = machines.active { _ in true }.sorted { $0.recordID < $1.recordID }
        var text =
            tokens.isEmpty
            ? "no service tokens" : Table(header: ["name", "token", "ends", "last used"], rows: rows).text
        if !active.isEmpty {
            text +=
                "\n\n"
                + Table(
                    header: ["machine", "application", "device", "record"],
                    rows: active.map { [$0.service.name, $0.application, $0.device ?? "-", $0.recordID] }
                ).text
        }
        return [
            "text": .string(text),
            "tokens": .array(
                tokens.map { token in
                    [
                        "name": .string(token.name), "id": .string(token.id),
                        "created_at": .integer(token.createdAtSeconds),
                        "expires_at": .integer(token.expiresAtSeconds),
                        "last_used_at": token.lastUsedAtSeconds.map { .integer($0) } ?? .null,
                    ]
                }),
            "machines": .array(
                active.map { machine in
                    [
                        "name": .string(machine.service.name), "application": .string(machine.application),
                        "device": machine.device.map { .string($0) } ?? .null,
                        "record": .string(machine.recordID),
                    ]
                }),
        ]
    }

    private func auditToken(_ kind: String, _ name: String, _ ids: [String]) async throws(StoreError) {
        try await store.appendAudit(
            kind: kind, atSeconds: nowSeconds(),
            json: JSONValue.object(
                JSONObject([
                    ("name", .string(name)), ("tokens", .array(ids.map { .string($0) })), ("by", "command"),
                ])
            ).serializedText())
    }

    private static func date(_ seconds: Int64) -> String {
        Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
    }
}
