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
    actor Delegation {
        static let tokenBytesMax = 16_384

        private let integration: String
        private let vault: TokenVault
        /// What the administrator configured; another one ends what grew from the one before.
        private let seed: String
        private var current: String?
        /// Whose name it is, for administrators to read: the token answer's own word, decided by nothing
        /// here.
        private(set) var account: String?

        init(integration: String, seed: String, vault: TokenVault) {
            self.integration = integration
            self.seed = seed
            self.vault = vault
        }

        private var fingerprint: String { Base64URL.encode(Digest.sha256(Array(seed.utf8))) }

        func token() async -> String {
            if let current { return current }
            let kept = await vault.load(integration).flatMap { try? JSONValue(parsing: Array($0.utf8)) }
            // Another call may have been answered meanwhile.
            if let current { return current }
            guard kept?["seed"]?.string == fingerprint, let token = kept?["token"]?.string else {
                return seed
            }
            current = token
            return token
        }

        /// A new refresh token takes the place of the one that was used, before its access token is.
        func received(_ answer: JSONValue) async {
            if let identity = answer["id_token"]?.string, let claims = (try? JWS(compact: identity))?.payload,
                let name = (try? JSONValue(parsing: claims))?["preferred_username"]?.string
            {
                account = RecordReading.shortened(name)
            }
            guard let fresh = answer["refresh_token"]?.string, !fresh.isEmpty,
                fresh.utf8.count <= Self.tokenBytesMax
            else { return }
            current = fresh
            let kept: JSONValue = ["seed": .string(fingerprint), "token": .string(fresh)]
            await vault.save(integration, kept.serializedText())
        }
    }
}
