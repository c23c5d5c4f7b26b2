import JSON
import Signatures
import Store

/// Where refresh tokens rest between starts.
struct TokenVault: Sendable {
    var load: @Sendable (_ integration: String) async -> String?
    var save: @Sendable (_ integration: String, _ text: String) async -> Void

    /// Keeps nothing.
    static let none = TokenVault(load: { _ in nil }, save: { _, _ in })

    /// Sealed in the store, beside the synchronisation states, under a name that no integration can have.
    static func sealed(in store: any GatewayStore, ring: KeyRing) -> TokenVault {
        let sealer = Sealer(ring: ring)
        return TokenVault(
            load: { integration in
                guard let text = (try? await store.syncState(integration: row(integration)))?.deltaLink else {
                    return nil
                }
                return sealer.open(text, context: row(integration)).map {
                    String(decoding: $0, as: UTF8.self)
                }
            },
            save: { integration, text in
                let sealed = sealer.seal(Array(text.utf8), context: row(integration))
                // A store that fails shows itself elsewhere; until the next start the token in memory goes
                // on.
                try? await store.upsert(
                    SyncState(integration: row(integration), completedAtSeconds: 0, deltaLink: sealed))
            })
    }

    private static func row(_ integration: String) -> String { "\(integration)#refresh-token" }
}

extension Graph {
    /// Reading in the name of an administrator (002.15): a refresh token that is replaced with each use.
    /// The first one is configured, or comes from the administrator's sign-in.
    actor Delegation {
        static let tokenBytesMax = 16_384
        /// The vendor's limit without a use.
        static let idleSecondsMax: Int64 = 90 * 86_400

        nonisolated let integration: String
        private let vault: TokenVault
        /// Of what the administrator configured; another one ends what grew from the one before.
        private let fingerprint: String
        private let seed: String?
        private var current: String?
        /// How often somebody connected, and as of which time the token that is in use was handed out.
        private var connections = 0
        private var connectionsInUse = 0
        /// Whose name it is, for administrators to read: the token answer's own word, decided by nothing
        /// here.
        private(set) var account: String?
        /// When the newest refresh token came; nil: not known.
        private(set) var receivedAtSeconds: Int64?

        /// - Parameters:
        ///   - seed: the configured refresh token; nil: somebody connects.
        ///   - application: tenant and client, to which a token that somebody connected with belongs.
        init(integration: String, seed: String?, application: String, vault: TokenVault) {
            self.integration = integration
            self.seed = seed
            self.vault = vault
            fingerprint = Base64URL.encode(Digest.sha256(Array((seed ?? "connect " + application).utf8)))
        }

        /// Whether somebody has connected.
        func isConnected() async -> Bool { await newest() != nil }

        /// nil: nobody has connected yet.
        func token() async -> String? {
            let token = await newest()
            connectionsInUse = connections
            return token
        }

        private func newest() async -> String? {
            if let current { return current }
            let kept = await vault.load(integration).flatMap { try? JSONValue(parsing: Array($0.utf8)) }
            // Another call may have been answered meanwhile.
            if let current { return current }
            guard kept?["seed"]?.string == fingerprint, let token = kept?["token"]?.string else {
                return seed
            }
            current = token
            account = account ?? kept?["account"]?.string
            receivedAtSeconds = receivedAtSeconds ?? kept?["at"]?.integer
            return token
        }

        /// Somebody signed in anew: what is still under way in the name before ends with its own answer.
        func connected(_ answer: JSONValue, nowSeconds: Int64) async {
            connections += 1
            await keep(answer, nowSeconds: nowSeconds)
        }

        /// A new refresh token takes the place of the one that was used, before its access token is.
        func received(_ answer: JSONValue, nowSeconds: Int64) async {
            guard connectionsInUse == connections else { return }
            await keep(answer, nowSeconds: nowSeconds)
        }

        private func keep(_ answer: JSONValue, nowSeconds: Int64) async {
            if let name = UnverifiedClaims.read(answer["id_token"]?.string)?["preferred_username"]?.string {
                account = RecordReading.shortened(name)
            }
            guard let fresh = answer["refresh_token"]?.string, !fresh.isEmpty,
                fresh.utf8.count <= Self.tokenBytesMax
            else { return }
            current = fresh
            receivedAtSeconds = nowSeconds
            var kept: JSONObject = [
                "seed": .string(fingerprint), "token": .string(fresh), "at": .integer(nowSeconds),
            ]
            if let account { kept["account"] = .string(account) }
            await vault.save(integration, JSONValue.object(kept).serializedText())
        }
    }
}
