import Access
import Fetch
import JSON
import Signatures

/// From an authorization code to a person: token endpoint, id token, userinfo.
struct TokenExchange: Sendable {
    let registration: IdentityProviderRegistration
    let metadata: ProviderMetadata
    let directory: ProviderDirectory
    let fetcher: any Fetcher
    let nowSeconds: Int64

    struct Outcome: Sendable {
        var person: PersonFacts
        /// Compact, as received.
        var idToken: String
        /// With which the person's sign-in is kept in step with the provider; nil: it gave none.
        var refresh: (kept: KeptRefresh, expiresInSeconds: Int64?)?
    }

    private struct Tokens {
        var idToken: String
        var accessToken: String?
        var answer: JSONObject
    }

    func redeem(
        code: String, redirectURL: String, verifier: String, nonce: String
    ) async throws(IdentityError) -> Outcome {
        let tokens = try await exchange(code: code, redirectURL: redirectURL, verifier: verifier)
        var validator = IDTokenValidator(
            issuer: registration.issuer, clientID: registration.clientID, nonce: nonce,
            accessToken: tokens.accessToken, nowSeconds: nowSeconds)
        validator.code = code
        validator.tenants = registration.tenants
        validator.demandsVerifiedEmail = registration.demandsVerifiedEmail
        let token = try validator.parse(tokens.idToken)
        let keys = try await directory.candidates(
            keyID: token.keyID, algorithm: token.algorithm, of: registration, nowSeconds: nowSeconds)
        let validated = try validator.validate(token, keys: keys)
        let person = try await completed(validated, accessToken: tokens.accessToken)
        return Outcome(
            person: person, idToken: tokens.idToken,
            refresh: KeptRefresh(tokens.answer, nonce: nonce, signedInBy: validated).map {
                ($0, KeptRefresh.expiresInSeconds(tokens.answer))
            })
    }

    // MARK: Token endpoint (RFC 6749 §4.1.3)

    private func exchange(
        code: String, redirectURL: String, verifier: String
    ) async throws(IdentityError) -> Tokens {
        let response = try await ask(
            [
                ("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirectURL),
                ("code_verifier", verifier),
            ], at: metadata.tokenEndpoint)
        guard response.status == 200 else { throw refusal(response) }
        return try tokens(response)
    }

    /// One request to an endpoint at which we prove which client we are: every grant, and revocation (RFC 7009 §2.1).
    ///
    /// - Parameter isSentOnce: what is sent is good once, so it must never be repeated.
    func ask(
        _ parameters: [(String, String)], at endpoint: String, timeoutMilliseconds: Int = 10_000,
        isSentOnce: Bool = false
    ) async throws(IdentityError) -> FetchResponse {
        let form = AuthenticatedForm(registration: registration, metadata: metadata, nowSeconds: nowSeconds)
        var request = try form.request(parameters, to: endpoint, timeoutMilliseconds: timeoutMilliseconds)
        if isSentOnce { request.isSentOnce = true }
        return try await fetch(request)
    }

    private func tokens(_ response: FetchResponse) throws(IdentityError) -> Tokens {
        try TokenAnswerCheck.checkType(response, from: registration.name)
        let document = try parsed(response, "token answer")
        guard let idToken = document["id_token"]?.string, !idToken.isEmpty else {
            throw IdentityError(.tokenInvalid, "token answer without an id_token")
        }
        return Tokens(
            idToken: idToken,
            accessToken: try TokenAnswerCheck.accessToken(document, from: registration.name),
            answer: document)
    }

    /// Providers answer errors with 400, 401, 403 and others, with codes of their own, with HTML, with nothing. Their
    /// sentences are about our own registration here, so they are not for the person.
    private func refusal(_ response: FetchResponse) -> IdentityError {
        let body = try? JSONValue(parsing: response.body)
        let (code, description) = (body?["error"]?.string, body?["error_description"]?.string)
        let what = "\(registration.name): token endpoint: status \(response.status)"
        return IdentityError(
            Self.isPassing(response) ? .providerUnavailable : .providerRefused, what,
            providerCode: code.flatMap { ProviderCode.of(error: $0, description: description) })
    }

    /// 429 and 5xx say nothing about the person: another try may succeed.
    static func isPassing(_ response: FetchResponse) -> Bool {
        response.status == 429 || response.status >= 500 || response.status < 400
    }

    func parsed(
        _ response: FetchResponse, _ what: String, limits: JSONLimits = JSONLimits()
    ) throws(IdentityError) -> JSONObject {
        do throws(JSONError) {
            guard let object = try JSONValue(parsing: response.body, limits: limits).object else {
                throw JSONError(offset: 0, what: "no object")
            }
            return object
        } catch {
            throw IdentityError(.providerMalformed, "\(registration.name): \(what): \(error)")
        }
    }

    func fetch(_ request: FetchRequest) async throws(IdentityError) -> FetchResponse {
        do throws(FetchError) {
            return try await fetcher.fetch(request)
        } catch {
            throw IdentityError(.providerUnavailable, "\(registration.name): \(request.url): \(error)")
        }
    }
}

/// A provider's error code as it may stand on a page.
enum ProviderCode {
    static let wordsCharactersMax = 300

    /// A provider's sentence for people: without what does not print or turns the direction of writing, with
    /// single blanks, and not long. nil: nothing is left.
    static func words(_ text: String) -> String? {
        var words = String.UnicodeScalarView()
        // Counted in scalars: any number of marks may stand on one character.
        var count = 0
        var isBlankDue = false
        for scalar in text.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .spaceSeparator, .lineSeparator, .paragraphSeparator: isBlankDue = count > 0
            case .format, .surrogate, .privateUse, .unassigned: continue
            case _:
                guard count + (isBlankDue ? 2 : 1) <= wordsCharactersMax else { return String(words) + "…" }
                if isBlankDue { words.append(" ") }
                words.append(scalar)
                count += isBlankDue ? 2 : 1
                isBlankDue = false
            }
        }
        return count == 0 ? nil : String(words)
    }

    static func safe(_ text: String) -> String? {
        let isSafe = text.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f: true
            case _: false
            }
        }
        return isSafe && (1...64).contains(text.utf8.count) ? text : nil
    }

    /// Entra's own number (`AADSTS53000`: the device is not compliant) says more than `access_denied`.
    static func of(error: String, description: String?) -> String? {
        if let description, let start = description.range(ofASCII: "AADSTS") {
            let digits = description.utf8[start...].dropFirst(6).prefix { (0x30...0x39).contains($0) }
            if (5...8).contains(digits.count) { return "AADSTS" + String(decoding: digits, as: UTF8.self) }
        }
        return safe(error)
    }
}

extension String {
    /// Where `text` begins, by bytes.
    fileprivate func range(ofASCII text: String) -> String.Index? {
        let wanted = Array(text.utf8)
        return utf8.indices.first { utf8[$0...].starts(with: wanted) }
    }
}
