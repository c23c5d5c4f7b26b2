import Fetch
import Foundation
import JSON
import Signatures

/// Microsoft Graph as any Graph-based connector needs it: a cached token, retries, throttling and error
/// bodies (providers.md 1.1, 2.1, 2.5, 2.7).
actor GraphClient {
    static let triesMax = 4
    static let tokenBodyBytesMax = 64 << 10
    static let pageBytesMax = 8 << 20
    static let callMilliseconds = 30_000

    private struct Token {
        var text: String
        var expiresAtSeconds: Int64
        /// From here on it is renewed ahead of need.
        var renewAtSeconds: Int64
    }

    private let connection: IntuneConnection
    private let fetcher: any Fetcher
    private let clock: PostureClock
    private let random: @Sendable () -> Double
    private var token: Token?
    private var refresh: Task<Result<Token, ConnectorFailure>, Never>?
    private var serverOffsetSeconds: Int64?
    private var throttledUntilSeconds: Int64 = 0

    init(
        connection: IntuneConnection, fetcher: any Fetcher, clock: PostureClock,
        random: @escaping @Sendable () -> Double
    ) {
        self.connection = connection
        self.fetcher = fetcher
        self.clock = clock
        self.random = random
    }

    func status() -> ConnectorStatus {
        ConnectorStatus(
            tokenExpiresAtSeconds: token?.expiresAtSeconds, serverOffsetSeconds: serverOffsetSeconds)
    }

    /// One read. `url` is absolute and was checked by the caller to be of our own Graph base.
    ///
    /// - Parameter waitSecondsMax: how long hints and back-offs may add up to before the read is given up.
    /// - Throws: the class of failure; 401 twice is `auth_failed`, 403 is `forbidden`, 404 is `not_found`.
    func get(_ url: String, waitSecondsMax: Double) async throws(ConnectorFailure) -> JSONValue {
        var waited = 0.0
        var hasRenewed = false
        var attempt = 0
        while true {
            let now = clock.nowSeconds()
            // Requests made while throttled still count against us (providers.md 2.5).
            if throttledUntilSeconds > now {
                let wait = Double(throttledUntilSeconds - now)
                guard waited + wait <= waitSecondsMax else {
                    throw ConnectorFailure(
                        .throttled, "throttled", retryAfterSeconds: throttledUntilSeconds - now)
                }
                await clock.sleep(wait)
                waited += wait
            }
            let bearer = try await bearer()
            let failure: ConnectorFailure
            do throws(ConnectorFailure) {
                return try await attemptOnce(url, bearer: bearer)
            } catch {
                failure = error
            }
            if failure.kind == .authFailed, !hasRenewed {
                hasRenewed = true
                if token?.text == bearer { token = nil }
                continue
            }
            guard Self.isRetried(failure.kind), attempt + 1 < Self.triesMax, !Task.isCancelled else {
                throw failure
            }
            attempt += 1
            // With a hint, the wait at the top of the loop does what the provider asked for.
            if failure.retryAfterSeconds != nil { continue }
            let wait = RetryHint.backOff(attempt: attempt - 1, random: random())
            guard waited + wait <= waitSecondsMax else { throw failure }
            await clock.sleep(wait)
            waited += wait
        }
    }

    private static func isRetried(_ kind: ConnectorFailure.Kind) -> Bool {
        switch kind {
        case .throttled, .unavailable, .timeout, .tlsError: true
        case .authFailed, .forbidden, .notFound, .malformedResponse, .pagingLoop, .configError: false
        }
    }

    private func attemptOnce(_ url: String, bearer: String) async throws(ConnectorFailure) -> JSONValue {
        var request = FetchRequest(url: url)
        request.fields = [
            ("authorization", "Bearer \(bearer)"), ("accept", "application/json"),
            ("client-request-id", Self.requestID()),
        ]
        request.timeoutMilliseconds = Self.callMilliseconds
        request.bodyBytesMax = Self.pageBytesMax
        let response = try await send(request)
        guard response.status == 200 else { throw failure(of: response) }
        return try Self.parse(response.body)
    }

    // MARK: Token

    /// The cached token, renewed by one task however many callers wait for it.
    private func bearer() async throws(ConnectorFailure) -> String {
        if let token, clock.nowSeconds() < token.renewAtSeconds { return token.text }
        let task: Task<Result<Token, ConnectorFailure>, Never>
        if let refresh {
            task = refresh
        } else {
            task = Task { await self.requestToken() }
            refresh = task
        }
        switch await task.value {
        case .success(let fresh): return fresh.text
        case .failure(let failure):
            // A token that still lives is better than an outage of the token endpoint; a refusal is final.
            if let token, failure.kind != .authFailed, clock.nowSeconds() < token.expiresAtSeconds {
                return token.text
            }
            throw failure
        }
    }

    private func requestToken() async -> Result<Token, ConnectorFailure> {
        defer { refresh = nil }
        var request = FetchRequest(url: "\(connection.loginURL)/\(connection.tenant)/oauth2/v2.0/token")
        request.method = "POST"
        request.fields = [
            ("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json"),
        ]
        let form = [
            ("grant_type", "client_credentials"), ("client_id", connection.clientID),
            ("client_secret", connection.clientSecret), ("scope", connection.graphURL + "/.default"),
        ]
        request.body = Array(form.map { "\($0.0)=\(Self.formEncoded($0.1))" }.joined(separator: "&").utf8)
        request.timeoutMilliseconds = 10_000
        request.bodyBytesMax = Self.tokenBodyBytesMax
        do throws(ConnectorFailure) {
            let response = try await send(request)
            guard response.status == 200 else { return .failure(Self.tokenFailure(of: response)) }
            let body = try Self.parse(response.body)
            guard let text = body["access_token"]?.string, !text.isEmpty, text.utf8.count <= 16_384,
                text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }),
                body["token_type"]?.string?.lowercased() == "bearer",
                let life = body["expires_in"]?.integer, life > 0, life <= 7 * 86_400
            else { throw ConnectorFailure(.malformedResponse, "token answer without a usable token") }
            let now = clock.nowSeconds()
            let fresh = Token(
                text: text, expiresAtSeconds: now + life, renewAtSeconds: now + life - max(60, life / 10))
            token = fresh
            return .success(fresh)
        } catch {
            return .failure(error)
        }
    }

    /// Branches on `error`, never on the description; the number is for administrators (providers.md 2.1).
    private static func tokenFailure(of response: FetchResponse) -> ConnectorFailure {
        let body = try? JSONValue(parsing: response.body, limits: JSONLimits(bytesMax: tokenBodyBytesMax))
        let word = body?["error"]?.string.map(plain) ?? "no error code"
        let number = body?["error_codes"]?.array?.first?.integer.map { ", AADSTS\($0)" } ?? ""
        switch response.status {
        case 429: return ConnectorFailure(.throttled, "token endpoint: 429")
        case 500...599: return ConnectorFailure(.unavailable, "token endpoint: \(response.status)")
        default: return ConnectorFailure(.authFailed, "token endpoint: \(response.status) \(word)\(number)")
        }
    }

    // MARK: Answers

    private func send(_ request: FetchRequest) async throws(ConnectorFailure) -> FetchResponse {
        var request = request
        request.allowsPlainHTTP = connection.allowsPlainHTTP
        request.authoritiesPEM = connection.authoritiesPEM
        let response: FetchResponse
        do throws(FetchError) {
            response = try await fetcher.fetch(request)
        } catch {
            throw Self.failure(of: error)
        }
        if let date = response.field("date").flatMap(RetryHint.httpDate) {
            serverOffsetSeconds = date - clock.nowSeconds()
        }
        return response
    }

    private static func failure(of error: FetchError) -> ConnectorFailure {
        switch error.kind {
        case .unreachable, .cancelled: ConnectorFailure(.unavailable, error.what)
        case .timedOut: ConnectorFailure(.timeout, error.what)
        case .tlsFailed: ConnectorFailure(.tlsError, error.what)
        case .tooLarge, .malformed: ConnectorFailure(.malformedResponse, error.what)
        case .refusedURL: ConnectorFailure(.configError, error.what)
        }
    }

    private func failure(of response: FetchResponse) -> ConnectorFailure {
        let code = Self.errorCode(response.body)
        let what = "Graph: \(response.status) \(code)"
        switch response.status {
        case 401: return ConnectorFailure(.authFailed, what)
        case 403: return ConnectorFailure(.forbidden, what)
        case 404: return ConnectorFailure(.notFound, what)
        case 429, 503:
            let now = clock.nowSeconds()
            let hint = RetryHint.seconds(response.field("retry-after"), nowSeconds: now)
            if let hint { throttledUntilSeconds = now + hint }
            let kind: ConnectorFailure.Kind = response.status == 429 ? .throttled : .unavailable
            return ConnectorFailure(kind, what, retryAfterSeconds: hint)
        case 500...599: return ConnectorFailure(.unavailable, what)
        default: return ConnectorFailure(.malformedResponse, what)
        }
    }

    /// The most specific code of an error body: `innerError` and `innererror` both occur and nest.
    private static func errorCode(_ body: [UInt8]) -> String {
        guard let value = try? JSONValue(parsing: body, limits: JSONLimits(bytesMax: tokenBodyBytesMax))
        else {
            return "unreadable error body"
        }
        var error = value["error"]
        var code = "no code"
        for _ in 0..<8 {
            guard let current = error else { break }
            if let word = current["code"]?.string { code = plain(word) }
            error = current["innerError"] ?? current["innererror"]
        }
        return code
    }

    /// Vendor text for our logs: short, printable ASCII only.
    private static func plain(_ text: String) -> String {
        String(decoding: text.utf8.prefix(64).map { $0 > 0x20 && $0 < 0x7f ? $0 : 0x3f }, as: UTF8.self)
    }

    private static func parse(_ body: [UInt8]) throws(ConnectorFailure) -> JSONValue {
        // A byte order mark is accepted from providers (providers.md 1.1), and only from them.
        let bytes = body.starts(with: [0xef, 0xbb, 0xbf]) ? Array(body.dropFirst(3)) : body
        do throws(JSONError) {
            return try JSONValue(parsing: bytes, limits: .provider)
        } catch {
            throw ConnectorFailure(.malformedResponse, "no JSON: \(error.what) at byte \(error.offset)")
        }
    }

    private static func formEncoded(_ text: String) -> String {
        text.utf8.map { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f, 0x7e: String(UnicodeScalar(byte))
            default: "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }.joined()
    }

    private static func requestID() -> String { UUID().uuidString.lowercased() }
}
