import Access
import Fetch
import Foundation
import JSON
import Signatures

/// One vendor's API as every connector uses it: a cached token, retries with the vendor's hints, rate
/// windows, error classes (providers.md 1.1).
actor ProviderClient {
    static let triesMax = 4
    static let smallBodyBytesMax = 64 << 10
    static let callMilliseconds = 30_000
    /// Set for questions that nobody waits for: they are patient, and leave a part of each window to people who do.
    @TaskLocal static var isNobodyWaiting = false
    static let patienceSeconds = 30.0

    let api: ProviderAPI
    private let fetcher: any Fetcher
    let clock: PostureClock
    let random: @Sendable () -> Double
    private let origin: URLOrigin?
    var token: ProviderToken?
    /// The one renewal that is under way.
    var refresh: Task<Result<ProviderToken, ConnectorFailure>, Never>?
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
        var status = ConnectorStatus(
            tokenExpiresAtSeconds: token?.expiresAtSeconds, serverOffsetSeconds: serverOffsetSeconds)
        status.throttledUntilSeconds =
            throttledUntilSeconds > clock.nowSeconds() ? throttledUntilSeconds : nil
        return status
    }

    /// The next call asks for a new token: permissions stand in a token for as long as it lives.
    func forgetToken() async {
        // One that is being asked for now was asked for with what was known before.
        if let refresh { _ = await refresh.value }
        token = nil
    }

    /// One read of an absolute URL, or of a path below `base`.
    ///
    /// - Parameter waitSecondsMax: how long hints, windows and back-offs may add up to before the read is
    ///   given up.
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
        var patience = Patience(
            secondsMax: Self.isNobodyWaiting ? max(waitSecondsMax, Self.patienceSeconds) : waitSecondsMax)
        var hasRenewed = false
        var attempt = 0
        while true {
            try await waitForTurn(&patience, count: call.countsAs)
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

    /// Requests made while throttled count against us (providers.md 2.5), and so do those beyond a published
    /// limit.
    private func waitForTurn(
        _ patience: inout Patience, count: Int
    ) async throws(ConnectorFailure) {
        while true {
            let now = clock.nowSeconds()
            let wait = max(
                throttledUntilSeconds - now,
                ledger.wait(nowSeconds: now, leavesRoom: Self.isNobodyWaiting, count: count))
            guard wait > 0 else { return ledger.note(nowSeconds: now, count: count) }
            guard patience.takes(Double(wait)) else {
                throw ConnectorFailure(.throttled, "\(api.name): throttled", retryAfterSeconds: wait)
            }
            await clock.sleep(Double(wait))
        }
    }

    private static func isRetried(_ kind: ConnectorFailure.Kind) -> Bool {
        switch kind {
        case .throttled, .unavailable, .timeout, .tlsError: true
        case .authFailed, .forbidden, .notFound, .malformedResponse, .pagingLoop, .clockSkew, .configError:
            false
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
        var sentID: String?
        if let name = api.requestIDField {
            let id = UUID().uuidString.lowercased()
            sentID = id
            request.fields.append((name, id))
        }
        if let body = call.body {
            request.fields.append(("content-type", "application/json"))
            request.body = body.serialized()
        }
        request.timeoutMilliseconds = Self.callMilliseconds
        request.bodyBytesMax = api.bodyBytesMax
        func told(_ response: FetchResponse?) -> Verdict.Provenance {
            CallTrace.provenance(call.method, call.url, base: api.base, sentID: sentID, response)
        }
        let response: FetchResponse
        do throws(ConnectorFailure) {
            response = try await send(request)
        } catch {
            CallTrace.current?.note(told(nil))
            throw error
        }
        CallTrace.current?.note(told(response))
        guard call.acceptsStatus.contains(response.status) else { throw failure(of: response) }
        if response.status == 204 { return .null }
        let answer = try Self.parse(response.body)
        // Who accepts an error's status looks at its document, too.
        if (200...299).contains(response.status), let failure = api.failureInside(answer) { throw failure }
        return answer
    }

    // MARK: Answers

    func send(_ request: FetchRequest) async throws(ConnectorFailure) -> FetchResponse {
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
        // A page of something in between says nothing about what the vendor knows.
        case 404:
            return ConnectorFailure(
                body == nil && !response.body.isEmpty ? .malformedResponse : .notFound, what)
        case 429, 503:
            let kind: ConnectorFailure.Kind = response.status == 429 ? .throttled : .unavailable
            return ConnectorFailure(kind, what, retryAfterSeconds: noteHint(response))
        case 500...599: return ConnectorFailure(.unavailable, what)
        default: return ConnectorFailure(.malformedResponse, what)
        }
    }

    /// Nobody is asked before.
    func holdOff(seconds: Int64) {
        throttledUntilSeconds = max(throttledUntilSeconds, clock.nowSeconds() + seconds)
    }

    func noteHint(_ response: FetchResponse) -> Int64? {
        let now = clock.nowSeconds()
        let hint = api.hintFields.lazy.compactMap { RetryHint.seconds(response.field($0), nowSeconds: now) }
            .first
        if let hint { holdOff(seconds: hint) }
        return hint
    }

    /// Vendor text for our logs: short, printable ASCII only.
    static func plain(_ text: String) -> String {
        String(decoding: text.utf8.prefix(96).map { $0 >= 0x20 && $0 < 0x7f ? $0 : 0x3f }, as: UTF8.self)
    }

    static func parse(_ body: [UInt8]) throws(ConnectorFailure) -> JSONValue {
        // A byte order mark is accepted from providers (providers.md 1.1), and only from them.
        let bytes = body.starts(with: [0xef, 0xbb, 0xbf]) ? Array(body.dropFirst(3)) : body
        do throws(JSONError) {
            return try JSONValue(parsing: bytes, limits: .provider)
        } catch {
            throw ConnectorFailure(.malformedResponse, "no JSON: \(error.what) at byte \(error.offset)")
        }
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
