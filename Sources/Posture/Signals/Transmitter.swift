import Access
import Fetch
import Foundation
import JSON
import Signatures

/// A transmitter's stream management, as a receiver calls it (Shared Signals 1.0 §8.1, providers.md 11.4).
actor Transmitter {
    static let documentBytesMax = 512 << 10
    static let callMilliseconds = 10_000

    private var settings: SignalStreamSettings
    private let fetcher: any Fetcher
    private let clock: PostureClock
    private let random: @Sendable () -> Double
    private var tokens: ProviderClient
    private var metadata: TransmitterMetadata?
    private var metadataAtSeconds: Int64 = 0
    /// Until then nobody is asked: the transmitter said so.
    private(set) var quietUntilSeconds: Int64 = 0

    init(
        _ settings: SignalStreamSettings, fetcher: any Fetcher, clock: PostureClock,
        random: @escaping @Sendable () -> Double
    ) {
        self.settings = settings
        self.fetcher = fetcher
        self.clock = clock
        self.random = random
        tokens = ProviderClient(
            api: Self.api(settings), fetcher: fetcher, clock: clock, random: random)
    }

    /// Other secrets: the next call is made with them.
    func take(_ settings: SignalStreamSettings) {
        self.settings = settings
        tokens = ProviderClient(
            api: Self.api(settings), fetcher: fetcher, clock: clock, random: random)
    }

    private static func api(_ settings: SignalStreamSettings) -> ProviderAPI {
        let credentials: ProviderCredentials
        switch settings.credentials {
        case .bearer(let token): credentials = .fixed([("authorization", "Bearer \(token)")])
        case .client(let id, let secret, let url, let scope):
            credentials = .token(
                TokenGrant(
                    url: url,
                    form: { _ throws(ConnectorFailure) in
                        [
                            ("grant_type", "client_credentials"), ("client_id", id),
                            ("client_secret", secret), ("scope", scope),
                        ]
                    }))
        }
        return ProviderAPI(
            name: "transmitter", base: settings.issuer, credentials: credentials,
            allowsPlainHTTP: settings.allowsPlainHTTP, authoritiesPEM: settings.authoritiesPEM)
    }

    // MARK: Documents

    /// The metadata, read anew after an hour.
    func discover() async throws(ConnectorFailure) -> TransmitterMetadata {
        let now = clock.nowSeconds()
        if let metadata, (0..<3_600).contains(now - metadataAtSeconds) { return metadata }
        guard let url = TransmitterMetadata.url(of: settings.issuer) else {
            throw ConnectorFailure(.configError, "issuer is no URL without query and fragment")
        }
        let response = try await get(url)
        guard response.status == 200 else { throw Self.failure(response, "metadata", now) }
        guard Self.isJSON(response) else {
            throw ConnectorFailure(.malformedResponse, "metadata: not application/json")
        }
        let fresh = try TransmitterMetadata(try ProviderClient.parse(response.body), for: settings)
        metadata = fresh
        metadataAtSeconds = now
        return fresh
    }

    func keySet() async -> Result<JWKSet, ConnectorFailure> {
        do throws(ConnectorFailure) {
            guard let url = try await discover().keySetURL else {
                throw ConnectorFailure(.malformedResponse, "metadata: no jwks_uri")
            }
            let response = try await get(url)
            guard response.status == 200 else {
                throw Self.failure(response, "key set", clock.nowSeconds())
            }
            do throws(SignatureError) {
                return .success(try JWKSet(parsing: response.body))
            } catch {
                throw ConnectorFailure(.malformedResponse, error.what)
            }
        } catch {
            return .failure(error)
        }
    }

    // MARK: Streams

    func read(streamID: String) async throws(ConnectorFailure) -> StreamConfiguration {
        let url = try await configurationURL()
        let answer = try await call("GET", Self.url(url, streamID: streamID), nil, accepts: [200])
        return try StreamConfiguration(answer, for: settings)
    }

    /// Every stream of ours. Those that are not for this audience are somebody else's.
    func list() async throws(ConnectorFailure) -> [StreamConfiguration] {
        let answer = try await call("GET", try await configurationURL(), nil, accepts: [200])
        // A single object is what early transmitters answered.
        let documents = answer.array ?? [answer]
        return documents.prefix(64).compactMap { try? StreamConfiguration($0, for: settings) }
    }

    func create() async throws(ConnectorFailure) -> StreamConfiguration {
        let answer = try await call(
            "POST", try await configurationURL(), .object(wanted), accepts: [200, 201])
        return try StreamConfiguration(answer, for: settings)
    }

    /// - Returns: nil when the transmitter has not processed it yet (202).
    func update(streamID: String) async throws(ConnectorFailure) -> StreamConfiguration? {
        var changed = wanted
        changed["stream_id"] = .string(streamID)
        let answer = try await call(
            "PATCH", try await configurationURL(), .object(changed), accepts: [200, 202])
        return answer.isNull ? nil : try StreamConfiguration(answer, for: settings)
    }

    /// nil where the transmitter has no status endpoint.
    func status(
        streamID: String
    ) async throws(ConnectorFailure) -> (state: SignalEvent.StreamState, reason: String?)? {
        guard let url = try await discover().statusURL else { return nil }
        let answer = try await call("GET", Self.url(url, streamID: streamID), nil, accepts: [200])
        guard let word = answer["status"]?.string, let state = SignalEvent.StreamState(rawValue: word) else {
            throw ConnectorFailure(.malformedResponse, "status: no word that is known")
        }
        return (state, answer["reason"]?.string.map(ProviderClient.plain))
    }

    func enable(streamID: String) async throws(ConnectorFailure) {
        guard let url = try await discover().statusURL else { return }
        _ = try await call(
            "POST", url, ["stream_id": .string(streamID), "status": "enabled"], accepts: [200, 202])
    }

    /// Asks for a verification event with this state.
    ///
    /// - Returns: false where the transmitter has no verification endpoint.
    func verify(streamID: String, state: String) async throws(ConnectorFailure) -> Bool {
        guard let url = try await discover().verificationURL else { return false }
        _ = try await call(
            "POST", url, ["stream_id": .string(streamID), "state": .string(state)], accepts: [200, 204])
        return true
    }

    /// Has the stream tell about this one. The same twice does what once does.
    func add(_ subject: StreamSubject, to streamID: String) async throws(ConnectorFailure) {
        guard let url = try await discover().addSubjectURL else { return }
        _ = try await call(
            "POST", url,
            ["stream_id": .string(streamID), "subject": subject.document, "verified": true],
            accepts: [200, 204])
    }

    /// Where the transmitter has no endpoint for it, it goes on telling, which does no harm.
    func remove(_ subject: StreamSubject, from streamID: String) async throws(ConnectorFailure) {
        guard let url = try await discover().removeSubjectURL else { return }
        _ = try await call(
            "POST", url, ["stream_id": .string(streamID), "subject": subject.document], accepts: [200, 204])
    }

    /// One question of poll delivery (RFC 8936 §2.4).
    func poll(_ url: String, _ body: JSONValue, milliseconds: Int) async throws(ConnectorFailure) -> JSONValue
    {
        let origins = [settings.issuer, settings.managementOrigin].compactMap { $0.flatMap(URLOrigin.init) }
        guard let origin = URLOrigin(url), origins.contains(origin) else {
            throw ConnectorFailure(
                .malformedResponse, "stream: endpoint_url is on another host than the issuer")
        }
        return try await call(
            "POST", url, body, accepts: [200], milliseconds: milliseconds,
            bytesMax: SignalPolling.answerBytesMax)
    }

    /// What we want of a stream; all of it, because a transmitter may forget what is left out.
    private var wanted: JSONObject {
        var delivery: JSONObject = ["method": .string(settings.delivery.method)]
        if settings.delivery == .push {
            delivery["endpoint_url"] = .string(settings.endpointURL)
            if let authorization = settings.authorization {
                delivery["authorization_header"] = .string(authorization)
            }
        }
        return [
            "delivery": .object(delivery), "events_requested": .array(SignalEvent.wanted.map { .string($0) }),
            "description": .string("gatepost \(settings.name)"),
        ]
    }

    private func configurationURL() async throws(ConnectorFailure) -> String {
        guard let url = try await discover().configurationURL else {
            throw ConnectorFailure(.malformedResponse, "metadata: no configuration_endpoint")
        }
        return url
    }

    private static func url(_ base: String, streamID: String) -> String {
        base + (base.contains("?") ? "&" : "?") + "stream_id=" + FormBody.encoded(streamID)
    }

    // MARK: Calls

    private func get(_ url: String) async throws(ConnectorFailure) -> FetchResponse {
        var request = FetchRequest(url: url, fields: [("accept", "application/json")])
        request.timeoutMilliseconds = Self.callMilliseconds
        request.bodyBytesMax = Self.documentBytesMax
        return try await tokens.send(request)
    }

    private func call(
        _ method: String, _ url: String, _ body: JSONValue?, accepts: Set<Int>,
        milliseconds: Int = Transmitter.callMilliseconds, bytesMax: Int = Transmitter.documentBytesMax
    ) async throws(ConnectorFailure) -> JSONValue {
        let now = clock.nowSeconds()
        guard now >= quietUntilSeconds else {
            throw ConnectorFailure(
                .throttled, "transmitter: throttled", retryAfterSeconds: quietUntilSeconds - now)
        }
        var request = FetchRequest(url: url, fields: [("accept", "application/json")])
        request.method = method
        request.timeoutMilliseconds = milliseconds
        request.bodyBytesMax = bytesMax
        if let body {
            request.fields.append(("content-type", "application/json"))
            request.body = body.serialized()
        }
        for isLast in [false, true] {
            let (fields, token) = try await authorization()
            var authorized = request
            authorized.fields += fields
            let response = try await tokens.send(authorized)
            if response.status == 401, !isLast, let token {
                await tokens.forget(token)
                continue
            }
            guard accepts.contains(response.status) else {
                let failure = Self.failure(response, "\(method) of the stream", clock.nowSeconds())
                if let wait = failure.retryAfterSeconds { quietUntilSeconds = clock.nowSeconds() + wait }
                throw failure
            }
            return response.body.isEmpty ? .null : try ProviderClient.parse(response.body)
        }
        throw ConnectorFailure(.authFailed, "transmitter: 401")
    }

    private func authorization() async throws(ConnectorFailure) -> (
        fields: [(String, String)], token: String?
    ) {
        switch settings.credentials {
        case .bearer(let token): return ([("authorization", "Bearer \(token)")], nil)
        case .client:
            guard let token = try await tokens.bearer() else { return ([], nil) }
            return ([("authorization", "Bearer \(token)")], token)
        }
    }

    private static func failure(
        _ response: FetchResponse, _ what: String, _ nowSeconds: Int64
    ) -> ConnectorFailure {
        let text = "\(what): \(response.status)"
        let hint = RetryHint.seconds(response.field("retry-after"), nowSeconds: nowSeconds)
        switch response.status {
        case 401: return ConnectorFailure(.authFailed, text)
        case 403: return ConnectorFailure(.forbidden, text)
        case 404: return ConnectorFailure(.notFound, text)
        case 409:
            return ConnectorFailure(
                .configError, "\(text): the transmitter has a stream already; name it in stream-id")
        case 429: return ConnectorFailure(.throttled, text, retryAfterSeconds: hint ?? 60)
        case 500...599: return ConnectorFailure(.unavailable, text, retryAfterSeconds: hint)
        case _: return ConnectorFailure(.malformedResponse, text)
        }
    }

    private static func isJSON(_ response: FetchResponse) -> Bool {
        let type = response.field("content-type")?.lowercased() ?? ""
        return type.split(separator: ";").first.map { $0.filter { $0 != " " } == "application/json" } ?? false
    }
}

extension ProviderClient {
    /// A token that was refused is asked for anew.
    func forget(_ refused: String) {
        if token?.text == refused { token = nil }
    }
}
