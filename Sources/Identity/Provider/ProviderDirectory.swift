import Access
public import Fetch
public import Signatures

/// Metadata and keys of every provider, cached, fetched once for everybody who waits.
///
/// Registrations that share issuer, authorities and transport share the cache.
public actor ProviderDirectory {
    private struct Key: Hashable {
        var issuer: ExactKey
        var authoritiesPEM: [UInt8]?
        var allowsPlainHTTP: Bool
        var keySource: KeySource
        init(_ registration: IdentityProviderRegistration) {
            issuer = ExactKey(registration.issuer)
            authoritiesPEM = registration.authoritiesPEM
            allowsPlainHTTP = registration.allowsPlainHTTP
            keySource = registration.keySource
        }
    }

    private let fetcher: any Fetcher
    private let random: @Sendable (Int) -> [UInt8]
    private let pause: @Sendable (_ milliseconds: Int) async -> Void
    private let metadata = DocumentCache<Key, ProviderMetadata>()
    private let keys = DocumentCache<Key, JWKSet>()
    /// Of issuers that sign nobody in: where their keys are.
    private let keyURLs = DocumentCache<Key, String>()
    /// When a token's unknown key last made us ask again.
    private var roundSeconds: [RoundKey: Int64] = [:]
    private var rounds: [RoundKey: Task<Void, Never>] = [:]

    /// What a key is looked for. Anybody can send a logout token with an unknown key: that must not use up the one
    /// question a minute that sign-ins have.
    enum Purpose: Hashable, Sendable { case signIn, logout }

    private struct RoundKey: Hashable {
        var key: Key
        var purpose: Purpose
    }

    static let freshSecondsMin: Int64 = 300
    static let freshSecondsMax: Int64 = 86_400
    static let freshSecondsDefault: Int64 = 3_600
    static let keyRefetchSecondsMin: Int64 = 60
    static let retryMilliseconds = 1_000
    private static let documentBytesMax = 512 << 10

    /// - Parameters:
    ///   - random: gives that many random bytes.
    ///   - pause: waits; the delayed retry for an unknown key uses it.
    public init(
        fetcher: any Fetcher, random: @escaping @Sendable (Int) -> [UInt8] = { Random.bytes($0) },
        pause: @escaping @Sendable (_ milliseconds: Int) async -> Void = { milliseconds in
            try? await Task.sleep(for: .milliseconds(milliseconds))
        }
    ) {
        self.fetcher = fetcher
        self.random = random
        self.pause = pause
    }

    /// The provider's discovery document: cached, or fetched, or the last good one when the provider is down.
    public func metadata(
        of registration: IdentityProviderRegistration, nowSeconds: Int64
    ) async throws(IdentityError) -> ProviderMetadata {
        let url = ProviderMetadata.discoveryURL(of: registration.issuer)
        return try await metadata.value(Key(registration), isForced: false, nowSeconds: nowSeconds) {
            [self] in
            await document(url, registration) { bytes throws(IdentityError) in
                try ProviderMetadata(parsing: bytes, for: registration)
            }
        }
    }

    /// The keys that may have signed a token with this `kid` and algorithm: never empty.
    ///
    /// An unknown key costs one refetch per minute and provider; if it still is unknown then, one more after a
    /// second, because two workers of a provider may serve different sets for a moment after a rotation.
    public func candidates(
        keyID: String?, algorithm: SignatureAlgorithm, of registration: IdentityProviderRegistration,
        nowSeconds: Int64
    ) async throws(IdentityError) -> [VerificationKey] {
        try await candidates(
            keyID: keyID, algorithm: algorithm, of: registration, for: .signIn, nowSeconds: nowSeconds)
    }

    func candidates(
        keyID: String?, algorithm: SignatureAlgorithm, of registration: IdentityProviderRegistration,
        for purpose: Purpose, nowSeconds: Int64
    ) async throws(IdentityError) -> [VerificationKey] {
        let key = RoundKey(key: Key(registration), purpose: purpose)
        var found = try await keySet(of: registration, isForced: false, nowSeconds)
            .candidates(keyID: keyID, algorithm: algorithm)
        if found.isEmpty {
            // Everybody who waits for a new key waits for the same round, and looks again after it.
            if let round = rounds[key] ?? beginRound(key, registration, keyID, algorithm, nowSeconds) {
                await round.value
            }
            found = try await keySet(of: registration, isForced: false, nowSeconds)
                .candidates(keyID: keyID, algorithm: algorithm)
        }
        guard !found.isEmpty else {
            throw IdentityError(.tokenInvalid, "no key of \(registration.name) fits the token")
        }
        return found
    }

    /// - Returns: nil when the last round was less than a minute ago.
    private func beginRound(
        _ key: RoundKey, _ registration: IdentityProviderRegistration, _ keyID: String?,
        _ algorithm: SignatureAlgorithm,
        _ nowSeconds: Int64
    ) -> Task<Void, Never>? {
        // A clock that was set back must not keep a new key from us until that is made good.
        if let last = roundSeconds[key], (0..<Self.keyRefetchSecondsMin).contains(nowSeconds - last) {
            return nil
        }
        roundSeconds[key] = nowSeconds
        let round = Task {
            let set = try? await keySet(of: registration, isForced: true, nowSeconds)
            if set?.candidates(keyID: keyID, algorithm: algorithm).isEmpty ?? true {
                await pause(Self.retryMilliseconds)
                _ = try? await keySet(of: registration, isForced: true, nowSeconds)
            }
            rounds[key] = nil
        }
        rounds[key] = round
        return round
    }

    /// Whether a key is still among the published ones, as far as that is known here. Fetches only what is due.
    ///
    /// - Parameter thumbprint: RFC 7638.
    public func holds(
        keyThumbprint thumbprint: String, of registration: IdentityProviderRegistration, nowSeconds: Int64
    ) async throws(IdentityError) -> Bool {
        try await keySet(of: registration, isForced: false, nowSeconds).keys
            .contains { ExactText.isEqual($0.thumbprint, thumbprint) }
    }

    private func keysURL(
        of registration: IdentityProviderRegistration, _ nowSeconds: Int64
    ) async throws(IdentityError) -> String {
        switch registration.keySource {
        case .metadata: return try await metadata(of: registration, nowSeconds: nowSeconds).jwksURL
        case .url(let url): return url
        case .issuerMetadata:
            let url = ProviderMetadata.discoveryURL(of: registration.issuer)
            return try await keyURLs.value(Key(registration), isForced: false, nowSeconds: nowSeconds) {
                [self] in
                await document(url, registration) { bytes throws(IdentityError) in
                    try KeySource.jwksURL(parsing: bytes, for: registration)
                }
            }
        }
    }

    private func keySet(
        of registration: IdentityProviderRegistration, isForced: Bool, _ nowSeconds: Int64
    ) async throws(IdentityError) -> JWKSet {
        let url = try await keysURL(of: registration, nowSeconds)
        return try await keys.value(Key(registration), isForced: isForced, nowSeconds: nowSeconds) { [self] in
            await document(url, registration) { bytes throws(IdentityError) in try Self.set(bytes) }
        }
    }

    private static func set(_ bytes: [UInt8]) throws(IdentityError) -> JWKSet {
        do throws(SignatureError) { return try JWKSet(parsing: bytes) } catch {
            throw IdentityError(.providerMalformed, error.what)
        }
    }

    private nonisolated func document<Value>(
        _ url: String, _ registration: IdentityProviderRegistration,
        read: (_ bytes: [UInt8]) throws(IdentityError) -> Value
    ) async -> Result<(value: Value, freshSeconds: Int64), IdentityError> {
        do throws(IdentityError) {
            let response = try await get(url, registration)
            return .success((try read(response.body), freshSeconds(response)))
        } catch {
            return .failure(error)
        }
    }

    private nonisolated func get(
        _ url: String, _ registration: IdentityProviderRegistration
    ) async throws(IdentityError) -> FetchResponse {
        let request = FetchRequest(
            url: url, fields: [("Accept", "application/json")], timeoutMilliseconds: 5_000,
            bodyBytesMax: Self.documentBytesMax, allowsPlainHTTP: registration.allowsPlainHTTP,
            authoritiesPEM: registration.authoritiesPEM)
        let response: FetchResponse
        do throws(FetchError) {
            response = try await fetcher.fetch(request)
        } catch {
            throw IdentityError(.providerUnavailable, "\(registration.name): \(url): \(error)")
        }
        guard response.status == 200 else {
            throw IdentityError(
                .providerUnavailable, "\(registration.name): \(url): status \(response.status)")
        }
        return response
    }

    /// `Cache-Control: max-age` within bounds, shortened by up to a tenth so that gateways started together do not
    /// ask together.
    private nonisolated func freshSeconds(_ response: FetchResponse) -> Int64 {
        var seconds = Self.freshSecondsDefault
        for directive in (response.field("cache-control") ?? "").lowercased().split(separator: ",") {
            let words = directive.split(separator: "=", maxSplits: 1).map { $0.filter { $0 != " " } }
            if words.count == 2, words[0] == "max-age", let age = Int64(words[1]) { seconds = age }
        }
        seconds = min(max(seconds, Self.freshSecondsMin), Self.freshSecondsMax)
        let jitter = Int64(random(1).first ?? 0) * seconds / 2_560
        return seconds - jitter
    }
}
