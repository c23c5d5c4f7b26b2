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

    private static let answerBytesMax = 128 << 10

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
        let validator = IDTokenValidator(
            issuer: registration.issuer, clientID: registration.clientID, nonce: nonce,
            accessToken: tokens.accessToken, nowSeconds: nowSeconds)
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
    func ask(
        _ parameters: [(String, String)], at endpoint: String, timeoutMilliseconds: Int = 10_000
    ) async throws(IdentityError) -> FetchResponse {
        var form = parameters
        var fields = [("Accept", "application/json"), ("Content-Type", "application/x-www-form-urlencoded")]
        switch metadata.clientAuthentication(of: registration) {
        case .basic:
            // Both halves are form-encoded before they are joined (RFC 6749 §2.3.1): a ":" in an id would split it.
            let pair =
                FormText.encode(registration.clientID) + ":" + FormText.encode(registration.clientSecret)
            fields.append(("Authorization", "Basic " + Base64.encode(Array(pair.utf8))))
        case .post:
            form += [("client_id", registration.clientID), ("client_secret", registration.clientSecret)]
        case ProviderMetadata.ClientAuthentication.none?:
            form.append(("client_id", registration.clientID))
        case nil:
            throw IdentityError(
                .providerMalformed, "\(registration.name) takes no client secret in any way known")
        }
        return try await fetch(
            FetchRequest(
                method: "POST", url: endpoint, fields: fields, body: Array(FormText.encode(form).utf8),
                timeoutMilliseconds: timeoutMilliseconds, bodyBytesMax: Self.answerBytesMax,
                allowsPlainHTTP: registration.allowsPlainHTTP, authoritiesPEM: registration.authoritiesPEM))
    }

    private func tokens(_ response: FetchResponse) throws(IdentityError) -> Tokens {
        let document = try parsed(response, "token answer")
        guard let idToken = document["id_token"]?.string, !idToken.isEmpty else {
            throw IdentityError(.tokenInvalid, "token answer without an id_token")
        }
        return Tokens(idToken: idToken, accessToken: try accessToken(document), answer: document)
    }

    func accessToken(_ document: JSONObject) throws(IdentityError) -> String? {
        guard let accessToken = document["access_token"]?.string else { return nil }
        // It is going to stand in a field of the userinfo request.
        guard accessToken.utf8.allSatisfy({ (0x21...0x7e).contains($0) }), !accessToken.isEmpty else {
            throw IdentityError(.providerMalformed, "access token with bytes that no token has")
        }
        return accessToken
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

    // MARK: Userinfo (Core §5.3)

    /// Adds e-mail address and groups where the id token has neither a value nor an opinion.
    ///
    /// - Parameter mayWait: a provider that does not answer now is an error. Otherwise what it would have said is
    ///   unknown.
    func completed(
        _ token: IDToken, accessToken: String?, mayWait: Bool = false
    ) async throws(IdentityError) -> PersonFacts {
        var person = token.person
        let lacksEmail = token.claims["email"] == nil
        let lacksGroups = token.lacksGroups
        guard lacksEmail || lacksGroups, let url = metadata.userinfoEndpoint, let accessToken else {
            return person
        }
        var info: JSONObject?
        do throws(IdentityError) {
            info = try await userinfo(url, accessToken)
        } catch {
            if mayWait, error.kind == .providerUnavailable { throw error }
        }
        // Core §5.3.2: another subject's answer must not be used, not even in part.
        guard let info, let subject = try? ClaimReader(claims: info).subject(),
            ExactText.isEqual(subject, person.subject)
        else {
            // Groups that could not be had are not no groups: who is excluded by one must not get in without it.
            if lacksGroups { person.claims[ClaimReader.unknownGroupsClaim] = .flag(true) }
            return person
        }
        let reader = ClaimReader(claims: info)
        if lacksEmail, let email = try reader.email() {
            person.email = email
            person.claims["email_verified"] = try reader.otherClaims()["email_verified"]
        }
        if lacksGroups { person.groups = try reader.groups() }
        person.name = person.name ?? reader.name()
        return person
    }

    func userinfo(_ url: String, _ accessToken: String) async throws(IdentityError) -> JSONObject {
        let response = try await fetch(
            FetchRequest(
                url: url,
                fields: [("Accept", "application/json"), ("Authorization", "Bearer \(accessToken)")],
                timeoutMilliseconds: 5_000, bodyBytesMax: Self.answerBytesMax,
                allowsPlainHTTP: registration.allowsPlainHTTP, authoritiesPEM: registration.authoritiesPEM))
        guard response.status == 200 else {
            throw IdentityError(
                Self.isPassing(response) ? .providerUnavailable : .providerRefused,
                "\(registration.name): userinfo: status \(response.status)")
        }
        return try parsed(response, "userinfo")
    }

    func parsed(_ response: FetchResponse, _ what: String) throws(IdentityError) -> JSONObject {
        do throws(JSONError) {
            guard let object = try JSONValue(parsing: response.body).object else {
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
