import Access
import Border
import Signatures
import Synchronization

/// A person's session on connections that showed one client certificate, which may stand for the device.
struct CertifiedSession: Sendable {
    /// Of the cookie's secret.
    var secretDigest: [UInt8]
    var claim: MachineClaim
    var application: String
    /// The session at the application.
    var session: String
    /// The device that it was decided on last; nil: none.
    var device: String?
    /// When a reactor last asked for its record.
    var usedAtSeconds: Int64

    /// What reactors know it by: the secret and the certificate together.
    var digest: [UInt8] { Self.digest(secretDigest, claim) }

    static func digest(_ secretDigest: [UInt8], _ claim: MachineClaim) -> [UInt8] {
        Digest.sha256(Array("gatepost certified session\n".utf8) + secretDigest + claim.tokenDigest)
    }
}

/// The certificates that sessions are used beside: what a change of a session or of a device has to decide, too.
///
/// In memory alone. What is forgotten costs its connection one question: the record that reactors have is made one
/// without the certificate, and the next request brings that along again.
final class CertifiedSessions: Sendable {
    static let usesMax = 100_000
    /// Longer than any record lasts for what is open: reactors ask shortly before its end, and each decision begins
    /// another one.
    static let idleSeconds: Int64 = 900 + 120

    private struct State {
        var uses: [[UInt8]: CertifiedSession] = [:]
        var bySession: [String: Set<[UInt8]>] = [:]
        var byDevice: [String: Set<[UInt8]>] = [:]

        mutating func remove(_ digest: [UInt8]) {
            guard let use = uses.removeValue(forKey: digest) else { return }
            bySession[use.session]?.remove(digest)
            if bySession[use.session]?.isEmpty == true { bySession[use.session] = nil }
            leave(digest, use.device)
        }

        mutating func leave(_ digest: [UInt8], _ device: String?) {
            guard let device else { return }
            byDevice[device]?.remove(digest)
            if byDevice[device]?.isEmpty == true { byDevice[device] = nil }
        }
    }
    private let state = Mutex(State())

    var count: Int { state.withLock { $0.uses.count } }

    /// Before anything is read that the session is decided by: what changes from then on finds it here.
    func keep(_ use: CertifiedSession) {
        state.withLock { state in
            let digest = use.digest
            if state.uses.count >= Self.usesMax, state.uses[digest] == nil, let any = state.uses.keys.first {
                state.remove(any)
            }
            let known = state.uses[digest]
            state.remove(digest)
            var use = use
            use.device = use.device ?? known?.device
            state.uses[digest] = use
            state.bySession[use.session, default: []].insert(digest)
            if let device = use.device { state.byDevice[device, default: []].insert(digest) }
        }
    }

    /// News about this device are news about the session from now on, which was decided anew.
    ///
    /// - Returns: whether it is another device than before: what became known of it while it was being decided found
    ///   nothing here, so that the decision has to be made once more.
    @discardableResult
    func note(device: String?, of digest: [UInt8], nowSeconds: Int64) -> Bool {
        state.withLock { state in
            state.uses[digest]?.usedAtSeconds = nowSeconds
            guard let known = state.uses[digest], known.device != device else { return false }
            state.leave(digest, known.device)
            state.uses[digest]?.device = device
            if let device { state.byDevice[device, default: []].insert(digest) }
            return device != nil
        }
    }

    func use(_ digest: [UInt8]) -> CertifiedSession? { state.withLock { $0.uses[digest] } }

    /// The same, because a reactor asks for its record.
    func used(_ digest: [UInt8], nowSeconds: Int64) -> CertifiedSession? {
        state.withLock { state in
            state.uses[digest]?.usedAtSeconds = nowSeconds
            return state.uses[digest]
        }
    }

    /// Whether reactors know a session beside a certificate by this.
    func isUse(_ digest: [UInt8]) -> Bool { state.withLock { $0.uses[digest] != nil } }

    func uses(of session: String) -> [CertifiedSession] {
        state.withLock { state in (state.bySession[session] ?? []).compactMap { state.uses[$0] } }
    }

    /// The use that a reactor asked about last; nil: none of these sessions is used beside a certificate.
    func lastUse(of sessions: [String]) -> CertifiedSession? {
        sessions.flatMap(uses).max {
            ($0.usedAtSeconds, $0.claim.serial) < ($1.usedAtSeconds, $1.claim.serial)
        }
    }

    /// The sessions that are used on any of these devices by their certificates.
    func sessions(on devices: some Sequence<String>) -> Set<String> {
        state.withLock { state in
            var sessions: Set<String> = []
            for device in devices {
                for digest in state.byDevice[device] ?? [] {
                    if let use = state.uses[digest] { sessions.insert(use.session) }
                }
            }
            return sessions
        }
    }

    func sessions(where isMeant: (CertifiedSession) -> Bool) -> Set<String> {
        state.withLock { state in Set(state.uses.values.lazy.filter(isMeant).map(\.session)) }
    }

    /// A session is over.
    func forget(session: String) {
        state.withLock { state in for digest in state.bySession[session] ?? [] { state.remove(digest) } }
    }

    /// What has ended, and what no reactor has asked about for long.
    func sweep(nowSeconds: Int64) {
        state.withLock { state in
            let over = state.uses.filter { _, use in
                use.claim.notAfterSeconds <= nowSeconds
                    // A clock that is set back forgets nobody.
                    || nowSeconds - use.usedAtSeconds >= Self.idleSeconds
            }
            for digest in over.keys { state.remove(digest) }
        }
    }
}

extension SessionRecord {
    /// What its decisions are remembered under: the session, and the certificate beside which it is used. No session
    /// id has a space.
    var name: String {
        guard let certificate, !certificate.digest.isEmpty else { return session }
        return "\(session) \(Hexadecimal.text(certificate.digest.prefix(8)))"
    }

    /// What is open goes on by it; the next request asks anew.
    mutating func endForRequests() {
        openResidual = openResidual ?? residual
        residual.validUntilSeconds = 0
    }

    /// Makes it a record for connections with this certificate, which ends with it at the latest.
    mutating func stand(beside certificate: CertificateUse, untilSeconds end: Int64) {
        self.certificate = certificate
        expiresAtSeconds = min(expiresAtSeconds, end)
        streamsUntilSeconds = min(streamsUntilSeconds, end)
        guard end < residual.validUntilSeconds else { return }
        openResidual = openResidual ?? residual
        residual.validUntilSeconds = end
    }

    /// The sessions that names are about.
    static func sessions(named names: some Sequence<String>) -> Set<String> {
        Set(names.map { String($0.prefix { $0 != " " }) })
    }
}

/// Bytes as lower-case hexadecimal digits.
enum Hexadecimal {
    static func text(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
