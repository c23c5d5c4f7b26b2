import Access
import Border
import Config
import Signatures
import Store
import Synchronization

/// A client without a person at one application.
struct Machine: Sendable {
    var client: SessionRecord.Client
    var service: ServiceFacts
    /// A posture service's machine; nil: the proof names none.
    var device: String?
    var application: String
    /// What reactors know it by.
    var tokenDigest: [UInt8]
    /// Of a bearer token: who signed it.
    var signer: Signer?
    /// Of a client certificate: which one.
    var certificate: ShownCertificate?

    /// What a certificate is revoked by, beside the device that it names.
    struct ShownCertificate: Sendable, Hashable {
        /// SHA-256 of the issuing certificate, lower-case hexadecimal.
        var issuerDigest: String
        /// Lower-case hexadecimal.
        var serial: String
    }

    /// A signature was checked once; that it would still hold hangs on these.
    struct Signer: Sendable, Hashable {
        /// As it was configured then.
        var issuer: TokenIssuerSettings
        /// RFC 7638.
        var keyThumbprint: String
    }

    var recordID: String { service.recordID(at: application) }
}

/// Service tokens in memory, and the machines that were let speak lately: what verdicts, revocations and reloads reach.
///
/// Tokens are few and all at hand, so that wrong ones cost no look into the store.
final class MachineRegistry: Sendable {
    static let tokensMax = 10_000
    static let activeMax = 100_000

    private struct State {
        var isLoaded = false
        var tokens: [String: StoredServiceToken] = [:]
        /// Token ids by what a host's reactors know them by.
        var byHost: [String: [[UInt8]: String]] = [:]
        var active: [[UInt8]: Machine] = [:]
        var used: [String: Int64] = [:]
    }
    private let state = Mutex(State())

    /// What tokens rest as: SHA-256 of the whole text.
    static func digest(of text: String) -> [UInt8] {
        Digest.sha256(Array("gatepost service token\n".utf8) + Array(text.utf8))
    }

    /// What reactors know a token by at one host: another at every host, as sessions have other cookies.
    static func wire(_ digest: [UInt8], host: String) -> [UInt8] {
        Digest.sha256(digest + Array(host.utf8))
    }

    /// nil: not read from the store yet, so that nobody can say whether a token counts.
    var tokens: [StoredServiceToken]? {
        state.withLock { $0.isLoaded ? $0.tokens.values.sorted { ($0.name, $0.id) < ($1.name, $1.id) } : nil }
    }

    func take(_ tokens: [StoredServiceToken]) {
        state.withLock { state in
            for token in tokens { state.tokens[token.id] = token }
            state.byHost = [:]
            state.isLoaded = true
        }
    }

    func remove(ids: [String]) {
        state.withLock { state in
            for id in ids { state.tokens[id] = nil }
            state.byHost = [:]
        }
    }

    /// The token behind a reactor's digest, when it counts at this second.
    func token(_ wire: [UInt8], host: String, nowSeconds: Int64) -> StoredServiceToken? {
        state.withLock { state in
            if state.byHost[host] == nil {
                state.byHost[host] = Dictionary(
                    state.tokens.values.map { (Self.wire($0.digest, host: host), $0.id) }
                ) { first, _ in first }
            }
            guard let id = state.byHost[host]?[wire], let token = state.tokens[id],
                nowSeconds < token.expiresAtSeconds
            else { return nil }
            state.used[id] = nowSeconds
            state.tokens[id]?.lastUsedAtSeconds = nowSeconds
            return token
        }
    }

    func keep(_ machine: Machine) {
        state.withLock { state in
            if state.active.count >= Self.activeMax, state.active[machine.tokenDigest] == nil,
                let any = state.active.keys.first
            {
                // It loses its renewal, and asks again with its proof when its record ends.
                state.active[any] = nil
            }
            state.active[machine.tokenDigest] = machine
        }
    }

    /// Proofs that have ended cost nobody a place.
    func forgetEnded(nowSeconds: Int64) {
        state.withLock { state in
            state.active = state.active.filter { $0.value.service.expiresAtSeconds > nowSeconds }
        }
    }

    func forget(_ wire: [UInt8]) { state.withLock { state in state.active[wire] = nil } }

    func active(_ wire: [UInt8]) -> Machine? { state.withLock { $0.active[wire] } }

    func active(where isMeant: (Machine) -> Bool) -> [Machine] {
        state.withLock { $0.active.values.filter(isMeant) }
    }

    /// Uses that the store has not heard of.
    func takeUses() -> [String: Int64] {
        state.withLock { state in
            defer { state.used = [:] }
            return state.used
        }
    }
}
