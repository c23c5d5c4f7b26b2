import Fetch
import Foundation
import JSON
import Signatures

/// One vendor's API as every connector uses it: a cached token, retries with the vendor's hints, rate windows, error
/// classes (providers.md 1.1).
actor ProviderClient {
    static let triesMax = 4
    static let smallBodyBytesMax = 64 << 10
    static let callMilliseconds = 30_000

    let api: ProviderAPI
    private let fetcher: any Fetcher
    private let clock: PostureClock
    private let random: @Sendable () -> Double
    private let origin: URLOrigin?
    private var token: ProviderToken?
    private var refresh: Task<Result<ProviderToken, ConnectorFailure>, Never>?
    private var serverOffsetSeconds: Int64?
    private var throttledUntilSeconds: Int64 = 0
    private var ledger: RateLedger

    init(
        api: ProviderAPI, fetcher: any Fetcher, clock: PostureClock, random: @escaping @Sendable () -> Double
    ) {
        self.api = api
        self.fetcher = fetcher
        self.clock = clock
        self.random = random
        origin = URLOrigin(api.base)
        ledger = RateLedger(api.windows)
    }

    func status() -> ConnectorStatus {
        ConnectorStatus(
            tokenExpiresAtSeconds: token?.expiresAtSeconds, serverOffsetSeconds: serverOffsetSeconds)
    }

    /// One read of an absolute URL, or of a path below `base`.
    ///
    /// - Parameter waitSecondsMax: how long hints, windows and back-offs may add up to before the read is given up.
    /// - Throws: the class of failure; 401 twice is `auth_failed`, 403 is `forbidden`, 404 is `not_found`.
    func get(_ url: String, waitSecondsMax: Double) async throws(ConnectorFailure) -> JSONValue {
        try await call(
            ProviderCall(url: url.hasPrefix("/") ? api.base + url : url), waitSecondsMax: waitSecondsMax)
    }

    /// One call with everything that the contract asks for.
    func call(_ call: ProviderCall, waitSecondsMax: Double) async throws(ConnectorFailure) -> JSONValue {
        // The credentials go to the configured origin and nowhere else, whatever link a page held.
        guard let origin, URLOrigin(call.url) == origin else {
            throw ConnectorFailure(.malformedResponse, "\(api.name): a link leads to another host")
        }
        var patience = Patience(secondsMax: waitSecondsMax)
        var hasRenewed = false
        var attempt = 0
        while true {
            try await waitForTurn(&patience)
            let bearer = try await bearer()
            let failure: ConnectorFailure
            do throws(ConnectorFailure) {
                return try await attemptOnce(call, bearer: bearer)
            } catch {
                failure = error
            }
            if failure.kind == .authFailed, bearer != nil, !hasRenewed {
                hasRenewed = true
                if token?.text == bearer { token = nil }
                continue
            }
            guard call.isIdempotent, Self.isRetried(failure.kind), attempt + 1 < Self.triesMax,
                !Task.isCancelled
            else { throw failure }
            attempt += 1
            // With a hint, the wait at the top of the loop does what the provider asked for.
            if failure.retryAfterSeconds != nil { continue }
            let wait = RetryHint.backOff(attempt: attempt - 1, random: random())
            guard patience.takes(wait) else { throw failure }
            await clock.sleep(wait)
        }
    }

    /// How long a caller is ready to wait in all.
    private struct Patience {
        var secondsMax: Double
        var spent = 0.0

        mutating func takes(_ seconds: Double) -> Bool {
            guard spent + seconds <= secondsMax else { return false }
            spent += seconds
            return true
        }
    }

    /// Requests made while throttled count against us (providers.md 2.5), and so do those beyond a published limit.
    private func waitForTurn(_ patience: inout Patience) async throws(ConnectorFailure) {
        while true {
            let now = clock.nowSeconds()
            let wait = max(throttledUntilSeconds - now, ledger.wait(nowSeconds: now))
            guard wait > 0 else { return ledger.note(nowSeconds: now) }
            guard patience.takes(Double(wait)) else {
                throw ConnectorFailure(.throttled, "\(api.name): throttled", retryAfterSeconds: wait)
            }
            await clock.sleep(Double(wait))
        }
    }

    private static func isRetried(_ kind: ConnectorFailure.Kind) -> Bool {
        switch kind {
        case .throttled, .unavailable, .timeout, .tlsError: true
        case .authFailed, .forbidden, .notFound, .malformedResponse, .pagingLoop, .configError: false
        }
    }

    private func attemptOnce(_ call: ProviderCall, bearer: String?) async throws(ConnectorFailure)
        -> JSONValue
    {
        var request = FetchRequest(url: call.url)
        request.method = call.method
        request.fields = api.fields + call.fields
        switch api.credentials {
        case .token: if let bearer { request.fields.append(("authorization", "Bearer \(bearer)")) }
        case .fixed(let fields): request.fields += fields
        }
        if let name = api.requestIDField { request.fields.append((name, UUID().uuidString.lowercased())) }
        if let body = call.body {
            request.fields.append(("content-type", "application/json"))
            request.body = body.serialized()
        }
        request.timeoutMilliseconds = Self.callMilliseconds
        request.bodyBytesMax = api.bodyBytesMax
        let response = try await send(request)
        guard call.acceptsStatus.contains(response.status) else { throw failure(of: response) }
        if response.status == 204 { return .null }
        let answer = try Self.parse(response.body)
        if let failure = api.failureInside(answer) { throw failure }
        return answer
    }

    // MARK: Token

    /// The cached token, renewed by one task however many callers wait for it; nil where the credentials need none.
    private func bearer() async throws(ConnectorFailure) -> String? {
        guard case .token(let grant) = api.credentials else { return nil }
        if let token, clock.nowSeconds() < token.renewAtSeconds { return token.text }
        let task: Task<Result<ProviderToken, ConnectorFailure>, Never>
        if let refresh {
            task = refresh
        } else {
            task = Task { await self.requestToken(grant) }
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

    private func requestToken(_ grant: TokenGrant) async -> Result<ProviderToken, ConnectorFailure> {
        defer { refresh = nil }
        do throws(ConnectorFailure) {
            let form = try await grant.form(clock.nowSeconds())
            var request = FetchRequest(url: grant.url)
            request.method = "POST"
            request.fields =
                [("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json")]
                + grant.fields
            request.body = Array(FormBody.text(form).utf8)
            request.timeoutMilliseconds = 10_000
            request.bodyBytesMax = Self.smallBodyBytesMax
            let response = try await send(request)
            if let failure = grant.check(response) { return .failure(failure) }
            guard grant.acceptsStatus.contains(response.status) else {
                return .failure(tokenFailure(of: response, grant))
            }
            let answer = try Self.parse(response.body)
            guard let fresh = ProviderToken(answer, grant, nowSeconds: clock.nowSeconds()) else {
                throw ConnectorFailure(.malformedResponse, "\(api.name): token answer without a usable token")
            }
            await grant.received(answer)
            token = fresh
            return .success(fresh)
        } catch {
            return .failure(error)
        }
    }

    private func tokenFailure(of response: FetchResponse, _ grant: TokenGrant) -> ConnectorFailure {
        let body = try? JSONValue(
            parsing: response.body, limits: JSONLimits(bytesMax: Self.smallBodyBytesMax))
        let word = body.flatMap(grant.errorWord).map(Self.plain) ?? "no error code"
        let what = "\(api.name) token endpoint: \(response.status) \(word)"
        switch response.status {
        case 429: return ConnectorFailure(.throttled, what, retryAfterSeconds: noteHint(response))
        case 500...599: return ConnectorFailure(.unavailable, what)
        default: return ConnectorFailure(.authFailed, what)
        }
    }

    // MARK: Answers

    private func send(_ request: FetchRequest) async throws(ConnectorFailure) -> FetchResponse {
        var request = request
        request.allowsPlainHTTP = api.allowsPlainHTTP
        request.authoritiesPEM = api.authoritiesPEM
        let response: FetchResponse
        do throws(FetchError) {
            response = try await fetcher.fetch(request)
        } catch {
            throw ConnectorFailure(error)
        }
        if let date = response.field("date").flatMap(RetryHint.httpDate) {
            serverOffsetSeconds = date - clock.nowSeconds()
        }
        return response
    }

    private func failure(of response: FetchResponse) -> ConnectorFailure {
        let body = try? JSONValue(
            parsing: response.body, limits: JSONLimits(bytesMax: Self.smallBodyBytesMax))
        let word = body.map { api.errorWord($0).map(Self.plain) ?? "no code" } ?? "unreadable error body"
        let what = "\(api.name): \(response.status) \(word)"
        switch response.status {
        case 401: return ConnectorFailure(.authFailed, what)
        case 403: return ConnectorFailure(.forbidden, what)
        case 404: return ConnectorFailure(.notFound, what)
        case 429, 503:
            let kind: ConnectorFailure.Kind = response.status == 429 ? .throttled : .unavailable
            return ConnectorFailure(kind, what, retryAfterSeconds: noteHint(response))
        case 500...599: return ConnectorFailure(.unavailable, what)
        default: return ConnectorFailure(.malformedResponse, what)
        }
    }

    private func noteHint(_ response: FetchResponse) -> Int64? {
        let now = clock.nowSeconds()
        let hint = api.hintFields.lazy.compactMap { RetryHint.seconds(response.field($0), nowSeconds: now) }
            .first
        if let hint { throttledUntilSeconds = max(throttledUntilSeconds, now + hint) }
        return hint
    }

    /// Vendor text for our logs: short, printable ASCII only.
    static func plain(_ text: String) -> String {
        String(decoding: text.utf8.prefix(96).map { $0 >= 0x20 && $0 < 0x7f ? $0 : 0x3f }, as: UTF8.self)
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
}

/// A bearer token and its times.
struct ProviderToken: Sendable {
    static let bytesMax = 16_384
    var text: String
    var expiresAtSeconds: Int64
    /// From here on it is renewed ahead of need: when less than 60 s or a tenth of its life is left.
    var renewAtSeconds: Int64

    /// nil for an answer that is no token: RFC 6749 §5.1, with the life that the grant assumes when none is named.
    init?(_ answer: JSONValue, _ grant: TokenGrant, nowSeconds: Int64) {
        let type = answer["token_type"]?.string?.lowercased() ?? "bearer"
        guard let text = answer["access_token"]?.string, !text.isEmpty, text.utf8.count <= Self.bytesMax,
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }), type == "bearer",
            let life = answer["expires_in"]?.integer ?? grant.lifetimeSeconds, life > 0, life <= 7 * 86_400
        else { return nil }
        self.text = text
        expiresAtSeconds = nowSeconds + life
        renewAtSeconds = nowSeconds + life - max(60, life / 10)
    }
}

/// `application/x-www-form-urlencoded` bodies.
enum FormBody {
    static func text(_ pairs: [(name: String, value: String)]) -> String {
        pairs.map { "\(encoded($0.name))=\(encoded($0.value))" }.joined(separator: "&")
    }

    /// Everything but unreserved characters (RFC 3986 §2.3) as %XX; good for queries, too.
    static func encoded(_ text: String) -> String {
        text.utf8.map { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f, 0x7e: String(UnicodeScalar(byte))
            default: "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }.joined()
    }
}

extension ConnectorFailure {
    /// The class of a call that got no answer.
    init(_ error: FetchError) {
        switch error.kind {
        case .unreachable, .cancelled: self.init(.unavailable, error.what)
        case .timedOut: self.init(.timeout, error.what)
        case .tlsFailed: self.init(.tlsError, error.what)
        case .tooLarge, .malformed: self.init(.malformedResponse, error.what)
        case .refusedURL: self.init(.configError, error.what)
        }
    }
}
