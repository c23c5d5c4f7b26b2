public import Access
import JSON
public import Signatures
public import Store

/// Sessions that are bound to a key of the browser (W3C Device Bound Session Credentials).
///
/// The session's own cookie is the bound one. A session that got a key has secrets of a short life; each proof of
/// the key mints the next one, as every other change of the secret does. A cookie that was copied is worth nothing
/// after the next proof, and whoever has not the key cannot make one.
public struct BoundSessions: Sendable {
    let sessions: Sessions
    private let sealer: Sealer

    /// A browser has so long to register after a sign-in. It does so at once.
    public static let registrationSeconds: Int64 = 300
    /// The browser throws its cookie away so long before we do: it renews what it no longer has, and must not send
    /// what we no longer take.
    static let leewaySeconds: Int64 = 30
    /// How long a challenge outlives the cookie that it was sent with.
    static let challengeSeconds: Int64 = 300

    /// Over the sessions of a store, with challenges sealed under the ring.
    public init(sessions: Sessions, ring: KeyRing) {
        self.sessions = sessions
        sealer = Sealer(ring: ring)
    }

    /// Where a proof was sent to: a session counts on its own host alone.
    public struct Place: Sendable {
        /// The tier whose host it is.
        public var kind: StoredSession.Kind
        /// Lower case, without port.
        public var host: String
        /// The address itself, as a proof may name it.
        public var url: String
        /// How long a cookie lasts from now on.
        public var lifetimeSeconds: Int64
        /// The time of the request.
        public var nowSeconds: Int64

        /// Out of its parts.
        public init(
            kind: StoredSession.Kind, host: String, url: String, lifetimeSeconds: Int64, nowSeconds: Int64
        ) {
            self.kind = kind
            self.host = host
            self.url = url
            self.lifetimeSeconds = lifetimeSeconds
            self.nowSeconds = nowSeconds
        }
    }

    /// What a proof, or a request without one, came to.
    public enum Outcome: Sendable {
        /// The key is proven. `cookie` nil: another request was first, and the browser has its cookie.
        case proven(session: StoredSession, cookie: SessionCookie?, challenge: String)
        /// The browser is to sign this one.
        case challenge(String)
        /// There is nothing more to try: the browser forgets its key. `detail` is for the log alone.
        case refused(Reason, detail: String)
    }

    /// The name of a session in `Sec-Secure-Session-Id`; nil for anything else than one string of our alphabet.
    public static func identifier(_ field: String) -> String? { StructuredText.string(field) }

    /// The challenge with which a browser may register a key; only for a session that was just signed in to.
    public func offer(to session: StoredSession, nowSeconds: Int64) -> String {
        challenge(session, .register, seconds: Self.registrationSeconds, nowSeconds)
    }

    /// Binds a session to the key in the proof.
    ///
    /// - Parameters:
    ///   - session: of the request's cookie; a session that has a key keeps it.
    ///   - presented: the token digest of that cookie.
    public func register(
        _ field: String, _ session: StoredSession, presented: [UInt8], _ place: Place
    ) async throws(StoreError) -> Outcome {
        guard session.binding == nil else { return Self.refused("the session has a key already") }
        let key: VerificationKey
        let proof: BindingProof
        do throws(SignatureError) {
            proof = try BindingProof(field: field)
            key = try proof.registeredKey()
            try proof.checkClaims(audience: place.url, session: nil)
        } catch {
            return Self.refused(error.what)
        }
        guard
            let challenge = BindingChallenge(
                proof.challenge, sealer, for: .register, session: session.id, nowSeconds: place.nowSeconds)
        else { return .refused(.challengeExpired, detail: "the challenge is foreign or too old") }
        guard try await consume(proof.challenge, challenge) else {
            return .refused(.challengeReplayed, detail: "the challenge was used before")
        }
        let cookie = SessionCookie.mint(ring: sessions.ring, random: sessions.random)
        let row = SessionKey(
            sessionID: session.id, jwk: JSONValue.object(key.jwk).serializedText(),
            registeredAtSeconds: place.nowSeconds)
        for _ in 0..<Sessions.attemptsMax {
            guard let current = try await sessions.store.session(id: session.id), current.binding == nil,
                current.tokenDigest == presented || current.previousTokenDigest == presented
            else { break }
            var bound = current
            bound.take(cookie.tokenDigest, nowSeconds: place.nowSeconds)
            bound.prove(place)
            if try await sessions.store.bind(current, as: bound, to: row) {
                return proven(bound, cookie, place)
            }
        }
        return Self.refused("the session has changed, ended or got a key meanwhile")
    }

    /// Renews a bound session's cookie for whoever proves its key. The cookie is not asked for: it may have run out.
    ///
    /// - Parameter field: the proof; nil: the browser asks for a challenge.
    public func refresh(
        _ id: String, _ field: String?, _ place: Place
    ) async throws(StoreError) -> Outcome {
        // Whoever only knows a session's name learns nothing of it: everybody gets a challenge.
        guard let field else { return .challenge(try await challenge(id, place)) }
        let proof: BindingProof
        do throws(SignatureError) {
            proof = try BindingProof(field: field)
        } catch {
            return Self.refused(error.what)
        }
        guard
            let challenge = BindingChallenge(
                proof.challenge, sealer, for: .refresh, session: id, nowSeconds: place.nowSeconds)
        else { return .challenge(try await self.challenge(id, place)) }
        guard let session = try await sessions.store.session(id: id), session.binding != nil,
            session.counts(at: place), let stored = try await sessions.store.sessionKey(sessionID: id)
        else { return .refused(.sessionEnded, detail: "no such bound session") }
        do throws(SignatureError) {
            try proof.verify(with: try Self.key(stored))
            try proof.checkClaims(audience: place.url, session: id)
        } catch {
            return Self.refused(error.what)
        }
        // Behind the signature: nobody else can use it up.
        guard try await consume(proof.challenge, challenge) else {
            return .challenge(try await self.challenge(id, place))
        }
        return try await renew(id, challenge, place)
    }

    private func renew(
        _ id: String, _ challenge: BindingChallenge, _ place: Place
    ) async throws(StoreError) -> Outcome {
        var cookie: SessionCookie?
        var isAlive = false
        let changed = try await sessions.change(id) { session in
            isAlive = session.binding != nil && session.counts(at: place)
            cookie = nil
            guard isAlive else { return }
            // Of two side by side only the first mints: their answers may reach the browser in any order, and the
            // cookie that comes last must not be the one that ends first.
            let age = place.nowSeconds - (session.binding?.provenAtSeconds ?? 0)
            let isOther = BindingChallenge.generation(of: session.tokenDigest) != challenge.generation
            guard !(isOther && (0..<Sessions.previousSecretSeconds).contains(age)) else { return }
            let next = SessionCookie.mint(ring: sessions.ring, random: sessions.random)
            session.take(next.tokenDigest, nowSeconds: place.nowSeconds)
            session.prove(place)
            cookie = next
        }
        guard let changed, isAlive else { return .refused(.sessionEnded, detail: "the session has ended") }
        return proven(changed, cookie, place)
    }

    private func proven(
        _ session: StoredSession, _ cookie: SessionCookie?, _ place: Place
    ) -> Outcome {
        let next = challenge(
            session, .refresh, seconds: place.lifetimeSeconds + Self.challengeSeconds, place.nowSeconds)
        return .proven(
            session: session, cookie: cookie?.kept(by: session, nowSeconds: place.nowSeconds), challenge: next
        )
    }

    private func consume(
        _ text: String, _ challenge: BindingChallenge
    ) async throws(StoreError) -> Bool {
        try await sessions.store.consumeNonce(
            BindingChallenge.nonce(of: text), expiresAtSeconds: challenge.expiresAtSeconds)
    }

    private func challenge(_ id: String, _ place: Place) async throws(StoreError) -> String {
        let session = try await sessions.store.session(id: id)
        return sealed(
            id, session?.tokenDigest ?? sessions.random(32), .refresh, seconds: Self.challengeSeconds,
            place.nowSeconds)
    }

    private func challenge(
        _ session: StoredSession, _ purpose: BindingChallenge.Purpose, seconds: Int64, _ nowSeconds: Int64
    ) -> String {
        sealed(session.id, session.tokenDigest, purpose, seconds: seconds, nowSeconds)
    }

    private func sealed(
        _ id: String, _ tokenDigest: [UInt8], _ purpose: BindingChallenge.Purpose, seconds: Int64,
        _ nowSeconds: Int64
    ) -> String {
        BindingChallenge(
            session: id, generation: BindingChallenge.generation(of: tokenDigest),
            issuedAtSeconds: nowSeconds,
            expiresAtSeconds: nowSeconds + seconds
        ).sealed(sealer, for: purpose)
    }

    private static func key(_ stored: SessionKey) throws(SignatureError) -> VerificationKey {
        guard let jwk = try? JSONValue(parsing: Array(stored.jwk.utf8), limits: .token), let key = jwk.object
        else { throw SignatureError("the session's key cannot be read") }
        return try VerificationKey(jwk: key)
    }

    private static func refused(_ detail: String) -> Outcome {
        .refused(.signatureInvalid, detail: detail)
    }
}

extension StoredSession {
    /// Takes a new secret; the one before counts for 30 s more, and never longer than it would have.
    mutating func take(_ digest: [UInt8], nowSeconds: Int64) {
        previousTokenDigest = tokenDigest
        previousUntilSeconds = min(
            nowSeconds + Sessions.previousSecretSeconds, binding?.secretUntilSeconds ?? .max)
        tokenDigest = digest
    }

    fileprivate mutating func prove(_ place: BoundSessions.Place) {
        binding = SessionBinding(
            provenAtSeconds: place.nowSeconds,
            secretUntilSeconds: place.nowSeconds + place.lifetimeSeconds + BoundSessions.leewaySeconds)
    }

    fileprivate func counts(at place: BoundSessions.Place) -> Bool {
        kind == place.kind && ExactText.isEqual(host, place.host) && place.nowSeconds < expiresAtSeconds
    }
}

extension SessionCookie {
    /// As the browser is to keep it: as long as the session's secret lasts, where that has an end.
    func kept(by session: StoredSession, nowSeconds: Int64) -> SessionCookie {
        var cookie = self
        cookie.maxAgeSeconds = session.binding.map {
            max(1, $0.secretUntilSeconds - BoundSessions.leewaySeconds - nowSeconds)
        }
        return cookie
    }
}
