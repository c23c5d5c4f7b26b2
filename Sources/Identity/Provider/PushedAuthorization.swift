import Access
import Fetch
import JSON
import Synchronization

/// Whether authorization requests go to the provider ahead of the browser, instead of through it (RFC 9126).
public enum PushedAuthorization: String, Sendable, Hashable, CaseIterable {
    /// Where the provider offers it.
    case automatic = "auto"
    /// At no provider that does not offer it.
    case required
    /// Never; a provider that takes no other requests is not asked at all.
    case off
}

/// How many requests may be on their way to a provider at once: who begins a sign-in needs to be nobody yet.
final class PushGate: Sendable {
    static let pushesMax = 64
    private let underWay = Mutex<[ExactKey: Int]>([:])

    /// - Returns: false when it is too many; else `leave` is to follow.
    func enter(_ provider: String) -> Bool {
        underWay.withLock { counts in
            let count = counts[ExactKey(provider)] ?? 0
            guard count < Self.pushesMax else { return false }
            counts[ExactKey(provider)] = count + 1
            return true
        }
    }

    func leave(_ provider: String) {
        underWay.withLock { counts in
            let left = (counts[ExactKey(provider)] ?? 1) - 1
            counts[ExactKey(provider)] = left > 0 ? left : nil
        }
    }
}

/// Sends one authorization request to the provider.
struct PushedRequest {
    let registration: IdentityProviderRegistration
    let metadata: ProviderMetadata
    let endpoint: String
    let fetcher: any Fetcher
    let nowSeconds: Int64

    /// The exchange may take as long, and what it brings has to outlive it (RFC 9126 §2.2 speaks of 5 to 600
    /// s).
    static let lifeSecondsMin: Int64 = 5
    static let lifeSecondsMax: Int64 = 86_400
    static let nameBytesMax = 512

    /// The `request_uri` that stands for `parameters`: for one authorization request, which follows at once.
    ///
    /// - Throws: `.providerUnavailable` where another try may succeed, else why the provider did not take it. Nothing
    ///   here leads to a request that is not pushed.
    func push(_ parameters: [(String, String)]) async throws(IdentityError) -> String {
        let form = AuthenticatedForm(registration: registration, metadata: metadata, nowSeconds: nowSeconds)
        let request = try form.request(
            parameters, to: endpoint, timeoutMilliseconds: Int(Self.lifeSecondsMin) * 1_000)
        let response: FetchResponse
        do throws(FetchError) {
            response = try await fetcher.fetch(request)
        } catch {
            throw IdentityError(.providerUnavailable, "\(registration.name): pushed request: \(error)")
        }
        guard response.status == 201 else { throw refusal(response) }
        return try name(response)
    }

    private func refusal(_ response: FetchResponse) -> IdentityError {
        let error = (try? JSONValue(parsing: response.body))?["error"]?.string
        let status = response.status
        // 429 and 5xx say nothing about the request. Below 400, everything but 201 is not this specification's.
        let kind: IdentityError.Kind =
            status == 429 || status >= 500
            ? .providerUnavailable : status >= 400 ? .providerRefused : .providerMalformed
        return IdentityError(
            kind, "\(registration.name): pushed request: status \(status)",
            providerCode: error.flatMap(ProviderCode.safe))
    }

    private func name(_ response: FetchResponse) throws(IdentityError) -> String {
        func malformed(_ what: String) -> IdentityError {
            IdentityError(.providerMalformed, "\(registration.name): pushed request: \(what)")
        }
        guard let answer = try? JSONValue(parsing: response.body), answer.object != nil else {
            throw malformed("the answer is no JSON object")
        }
        guard let name = answer["request_uri"]?.string, Self.isName(name) else {
            throw malformed("request_uri is no absolute URI of at most \(Self.nameBytesMax) bytes")
        }
        guard let life = answer["expires_in"]?.integer,
            (Self.lifeSecondsMin...Self.lifeSecondsMax).contains(life)
        else {
            throw malformed(
                "expires_in is not \(Self.lifeSecondsMin) to \(Self.lifeSecondsMax) seconds")
        }
        return name
    }

    /// A scheme, ":" and at least one of the characters that URIs have (RFC 3986 §3.1, §2).
    private static func isName(_ text: String) -> Bool {
        guard text.utf8.count <= nameBytesMax, let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else {
            return false
        }
        let (scheme, rest) = (text.utf8[..<colon], text.utf8[colon...].dropFirst())
        let isScheme =
            scheme.first.map(isLetter) == true
            && scheme.allSatisfy { isLetter($0) || isDigit($0) || [0x2b, 0x2d, 0x2e].contains($0) }
        return isScheme && !rest.isEmpty
            && rest.allSatisfy { isLetter($0) || isDigit($0) || "-._~:/?[]@!$&'()*+,;=%".utf8.contains($0) }
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
    }
    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
}

extension SignInFlow {
    /// Where the browser goes to be signed in: with `parameters`, or with the name of a pushed request that
    /// has them.
    func authorizationURL(
        _ parameters: [(String, String)], _ provider: IdentityProviderRegistration,
        _ metadata: ProviderMetadata, _ request: FlowRequest
    ) async throws(IdentityError) -> String {
        var parameters = parameters
        if let endpoint = try endpointOfPushes(provider, metadata) {
            guard pushGate.enter(provider.name) else {
                throw IdentityError(
                    .providerUnavailable,
                    "\(provider.name): \(PushGate.pushesMax) pushed requests are on their way already")
            }
            defer { pushGate.leave(provider.name) }
            let pushed = PushedRequest(
                registration: provider, metadata: metadata, endpoint: endpoint, fetcher: fetcher,
                nowSeconds: request.nowSeconds)
            parameters = [
                ("client_id", provider.clientID), ("request_uri", try await pushed.push(parameters)),
            ]
        }
        let separator = metadata.authorizationEndpoint.contains("?") ? "&" : "?"
        return metadata.authorizationEndpoint + separator + FormText.encode(parameters)
    }

    /// nil: the browser takes the request along.
    private func endpointOfPushes(
        _ provider: IdentityProviderRegistration, _ metadata: ProviderMetadata
    ) throws(IdentityError) -> String? {
        switch provider.pushedAuthorization {
        case .off:
            guard metadata.requiresPushedAuthorization else { return nil }
            throw IdentityError(
                .providerMalformed,
                "\(provider.name) takes pushed authorization requests only; remove pushed-authorization: off")
        case .automatic, .required:
            if let endpoint = metadata.pushedAuthorizationEndpoint { return endpoint }
            guard provider.pushedAuthorization == .required || metadata.requiresPushedAuthorization else {
                return nil
            }
            // What has to be pushed and cannot be is not sent in another way.
            throw IdentityError(
                .providerMalformed, "\(provider.name) announces no pushed_authorization_request_endpoint")
        }
    }
}
