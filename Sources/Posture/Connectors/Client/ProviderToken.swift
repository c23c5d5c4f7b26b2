import Fetch
import JSON

/// A bearer token and its times.
struct ProviderToken: Sendable {
    static let bytesMax = 16_384
    var text: String
    var expiresAtSeconds: Int64
    /// From here on it is renewed ahead of need: when less than 60 s or a tenth of its life is left.
    var renewAtSeconds: Int64

    /// nil for an answer that is no token: RFC 6749 §5.1, with the life that the grant assumes when none is
    /// named.
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

extension ProviderClient {
    /// The cached token, renewed by one task however many callers wait for it; nil where the credentials need
    /// none.
    func bearer() async throws(ConnectorFailure) -> String? {
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
            try await grant.received(answer, self)
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
        var what = "\(api.name) token endpoint: \(response.status) \(word)"
        // Assertions and signatures carry times, and a refusal does not say that it is for those.
        let own = status()
        if own.isClockSkewed, let offset = own.serverOffsetSeconds {
            what += "; its clock is \(offset) s from ours"
        }
        switch response.status {
        case 429: return ConnectorFailure(.throttled, what, retryAfterSeconds: noteHint(response))
        case 500...599: return ConnectorFailure(.unavailable, what)
        default: return ConnectorFailure(.authFailed, what)
        }
    }
}
