import Access
import Fetch
import JSON
import Signatures
import Synchronization
import Testing

@testable import Identity

/// Answers every discovery document with the issuer whose bytes are in the address.
private final class TwoIssuers: Fetcher {
    let asked = Mutex<[String]>([])

    func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
        asked.withLock { $0.append(request.url) }
        let issuer = request.url.replacing("/.well-known/openid-configuration", with: "")
        let document = JSONObject([
            ("issuer", .string(issuer)), ("authorization_endpoint", "https://idp.example/authorize"),
            ("token_endpoint", "https://idp.example/token"), ("jwks_uri", "https://idp.example/keys"),
            ("response_types_supported", ["code"]),
        ])
        return FetchResponse(status: 200, fields: [], body: document.serialized())
    }
}

@Suite("Signing in compares names byte for byte")
struct ExactTextTests {
    static let composed = "caf\u{e9}"
    static let decomposed = "cafe\u{301}"
    static let now: Int64 = 1_000_000

    /// Whether a token with these claims is taken by a client whose every name is the composed one.
    static func isTaken(_ edit: (inout JSONObject) -> Void) throws -> Bool {
        let key = SigningKey.generateP256()
        var claims = JSONObject([
            ("iss", .string("https://idp.example/\(composed)")), ("aud", .string(composed)), ("sub", "ada"),
            ("nonce", .string(composed)), ("iat", .integer(now)), ("exp", .integer(now + 60)),
        ])
        edit(&claims)
        let validator = IDTokenValidator(
            issuer: "https://idp.example/\(composed)", clientID: composed, nonce: composed, accessToken: nil,
            nowSeconds: now)
        let token = try validator.parse(JWS.sign(header: [:], payload: claims, with: key))
        do throws(IdentityError) {
            _ = try validator.validate(token, keys: [key.publicKey])
            return true
        } catch {
            #expect(error.kind == .tokenInvalid)
            return false
        }
    }

    @Test func `issuer, audience, azp and nonce of an id token are compared byte for byte`() throws {
        #expect(try Self.isTaken { _ in })
        #expect(try !Self.isTaken { $0["iss"] = .string("https://idp.example/\(Self.decomposed)") })
        #expect(try !Self.isTaken { $0["aud"] = .string(Self.decomposed) })
        #expect(try !Self.isTaken { $0["aud"] = [.string(Self.decomposed), "other"] })
        #expect(try !Self.isTaken { $0["azp"] = .string(Self.decomposed) })
        #expect(try !Self.isTaken { $0["nonce"] = .string(Self.decomposed) })
    }

    @Test func `claims of equivalent names refuse the token: which of them policy means cannot be told`() {
        let reader = ClaimReader(
            claims: JSONObject([(Self.composed, "admin"), (Self.decomposed, "guest"), ("tid", "t")]))
        #expect(throws: IdentityError.self) { try reader.otherClaims() }
    }

    @Test func `registrations of equivalent issuers share no document`() async throws {
        let fetcher = TwoIssuers()
        let directory = ProviderDirectory(fetcher: fetcher)
        for name in [Self.composed, Self.decomposed] {
            let registration = IdentityProviderRegistration(
                name: "a", issuer: "https://idp.example/\(name)", clientID: "c", clientSecret: "s",
                displayName: "A")
            let found = try await directory.metadata(of: registration, nowSeconds: Self.now)
            #expect(found.issuer.utf8.elementsEqual(registration.issuer.utf8))
        }
        #expect(fetcher.asked.withLock { $0.count } == 2)
    }

    @Test func `providers and applications are found by their own names only`() {
        let configuration = IdentityConfiguration(
            authHost: "auth.corp.example", publicPort: 443,
            providers: [
                IdentityProviderRegistration(
                    name: Self.composed, issuer: "https://idp.example", clientID: "c", clientSecret: "s",
                    displayName: "A")
            ],
            applications: [
                IdentityApplication(
                    name: Self.composed, host: "a.example", identityProviders: [Self.composed])
            ])
        #expect(
            configuration.provider(Self.composed) != nil && configuration.provider(Self.decomposed) == nil)
        #expect(configuration.application(Self.composed) != nil)
        #expect(configuration.application(Self.decomposed) == nil)
    }
}
