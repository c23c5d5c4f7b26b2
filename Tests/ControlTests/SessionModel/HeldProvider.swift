import Fetch
import Foundation
import JSON
import Signatures
import Synchronization

/// SplitMix64.
struct SeededChance: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

/// What a provider says to a request that waited.
enum ProviderWord: CaseIterable {
    case granted, grantedWithoutRotation, revoked, interaction, otherSubject
    case down, unreachable, refusesClient

    /// The provider has said something about the sign-in.
    var counts: Bool {
        switch self {
        case .granted, .grantedWithoutRotation, .revoked, .interaction, .otherSubject: true
        case .down, .unreachable, .refusesClient: false
        }
    }

    /// A refresh that is answered so ends its sign-in.
    var ends: Bool {
        switch self {
        case .revoked, .interaction, .otherSubject: true
        case .granted, .grantedWithoutRotation, .down, .unreachable, .refusesClient: false
        }
    }
}

/// Both providers behind one door: whatever is asked of a token endpoint waits until it is let go, in any order.
final class HeldProvider: Fetcher {
    /// One sign-in as the provider knows it: everything that comes of one code.
    struct Family {
        var id: String
        var client: String
        var issuer: String
        var nonce: String
        var subject: String
        var email: String
        var sid: String?
        var token: String
        /// With every refresh the provider calls its session by a new name.
        var isRenamed = false

        /// What the answer to a refresh that is asked now brings.
        var nextSid: String? { isRenamed ? sid.map { $0 + "x" } : nil }
    }

    struct Question {
        var family: Family?
        var isRefresh: Bool
        /// How many endings sign-ins under way had been told of when it was asked.
        var marksKnown: Int
        fileprivate var answer: CheckedContinuation<ProviderWord, Never>
    }

    private struct State {
        var families: [String: Family] = [:]
        var codes: [String: String] = [:]
        var tokens: [String: String] = [:]
        var held: [Question] = []
        var buried: [Question] = []
        var count = 0
        var isOver = false
        var marks = 0
    }
    private let state = Mutex(State())
    private let nowSeconds: @Sendable () -> Int64
    static let key = SigningKey.generateP256()
    static let issuers = ["https://login.corp.example", "https://partner.example"]

    init(nowSeconds: @escaping @Sendable () -> Int64) { self.nowSeconds = nowSeconds }

    var held: Int { state.withLock { $0.held.count } }

    /// How many endings sign-ins under way have been told of by now.
    func know(marks: Int) { state.withLock { $0.marks = marks } }

    /// Refreshes that wait.
    var refreshing: [Family] { state.withLock { $0.held.filter(\.isRefresh).compactMap(\.family) } }

    func place(ofRefresh family: String) -> Int? {
        state.withLock { $0.held.firstIndex { $0.isRefresh && $0.family?.id == family } }
    }

    func isRenaming(_ index: Int) -> Bool {
        state.withLock { $0.held[index].isRefresh && $0.held[index].family?.nextSid != nil }
    }

    /// The one that waits longest is a refresh.
    var isRefreshFirst: Bool { state.withLock { $0.held.first?.isRefresh == true } }

    /// Somebody proves at the authorization endpoint who they are.
    ///
    /// - Returns: the code that the browser brings back.
    func authenticate(_ family: Family) -> (code: String, family: String) {
        state.withLock { state in
            state.count += 1
            let (code, name) = ("code-\(state.count)", "family-\(state.count)")
            var family = family
            family.id = name
            state.families[name] = family
            state.codes[code] = name
            return (code, name)
        }
    }

    /// One waiting question, taken out of the line; `say` answers it.
    func take(_ index: Int) -> Question { state.withLock { $0.held.remove(at: index) } }

    static func say(_ word: ProviderWord, to question: Question) { question.answer.resume(returning: word) }

    /// The process that asked is gone: nobody hears the answers any more.
    func bury() {
        state.withLock { state in
            state.buried += state.held
            state.held = []
        }
    }

    /// Whoever still waits, also in processes that are gone, and whoever asks from now on: a refresh that begins while
    /// everything is waited for would be waited for without end.
    func letAllGo() {
        let all = state.withLock { state in
            defer { (state.held, state.buried) = ([], []) }
            state.isOver = true
            return state.held + state.buried
        }
        for question in all { Self.say(.unreachable, to: question) }
    }

    // MARK: Answers

    func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
        guard let issuer = Self.issuers.first(where: { request.url.hasPrefix($0 + "/") }) else {
            throw FetchError(.unreachable, request.url)
        }
        switch request.url.dropFirst(issuer.count) {
        case "/.well-known/openid-configuration":
            return json([
                "issuer": .string(issuer), "authorization_endpoint": .string("\(issuer)/authorize"),
                "token_endpoint": .string("\(issuer)/token"), "jwks_uri": .string("\(issuer)/keys"),
                "end_session_endpoint": .string("\(issuer)/logout"),
                "revocation_endpoint": .string("\(issuer)/revoke"), "response_types_supported": ["code"],
            ])
        case "/keys":
            var jwk = Self.key.publicKey.jwk
            jwk["kid"] = "k1"
            return json(["keys": [.object(jwk)]])
        case "/token": return try await token(request, issuer)
        case _: return FetchResponse(status: 200)
        }
    }

    private func token(_ request: FetchRequest, _ issuer: String) async throws(FetchError) -> FetchResponse {
        let form = Self.form(String(decoding: request.body ?? [], as: UTF8.self))
        let isRefresh = form["grant_type"] == "refresh_token"
        let family = state.withLock { state in
            let name =
                isRefresh ? state.tokens[form["refresh_token"] ?? ""] : state.codes[form["code"] ?? ""]
            return name.flatMap { state.families[$0] }
        }
        let word = await withCheckedContinuation { continuation in
            let (isOver, question) = state.withLock { state in
                let question = Question(
                    family: family, isRefresh: isRefresh, marksKnown: state.marks, answer: continuation)
                if !state.isOver { state.held.append(question) }
                return (state.isOver, question)
            }
            if isOver { Self.say(.unreachable, to: question) }
        }
        guard let family else { return json(["error": "invalid_grant"], status: 400) }
        switch word {
        case .granted, .grantedWithoutRotation, .otherSubject:
            return tokens(family, word, isRefresh: isRefresh)
        case .revoked: return json(["error": "invalid_grant"], status: 400)
        case .interaction: return json(["error": "interaction_required"], status: 400)
        case .refusesClient: return json(["error": "invalid_client"], status: 401)
        case .down: return FetchResponse(status: 503)
        case .unreachable: throw FetchError(.unreachable, request.url)
        }
    }

    private func tokens(_ family: Family, _ word: ProviderWord, isRefresh: Bool) -> FetchResponse {
        let now = nowSeconds()
        var claims: JSONObject = [
            "iss": .string(family.issuer), "aud": .string(family.client), "iat": .integer(now),
            "exp": .integer(now + 300), "auth_time": .integer(now), "nonce": .string(family.nonce),
            "sub": .string(word == .otherSubject && isRefresh ? "somebody" : family.subject),
            "email": .string(family.email), "email_verified": true,
        ]
        let sid = isRefresh ? family.nextSid ?? family.sid : family.sid
        if isRefresh, word != .otherSubject { state.withLock { $0.families[family.id]?.sid = sid } }
        claims["sid"] = sid.map { .string($0) }
        let isNew = !isRefresh || word == .granted
        let token = state.withLock { state in
            if isNew {
                state.count += 1
                state.families[family.id]?.token = "token-\(state.count)"
                state.tokens["token-\(state.count)"] = family.id
            }
            return state.families[family.id]?.token ?? ""
        }
        var answer: JSONObject = [
            "token_type": "Bearer", "access_token": "access", "expires_in": 3_600,
            "id_token": .string(JWS.sign(header: ["kid": "k1"], payload: claims, with: Self.key)),
        ]
        if isNew { answer["refresh_token"] = .string(token) }
        return json(answer)
    }

    private func json(_ object: JSONObject, status: Int = 200) -> FetchResponse {
        FetchResponse(
            status: status, fields: [("content-type", "application/json")],
            body: JSONValue.object(object).serialized())
    }

    static func form(_ text: String) -> [String: String] {
        var components = URLComponents()
        components.percentEncodedQuery = text
        let items = (components.queryItems ?? []).map { ($0.name, $0.value ?? "") }
        return Dictionary(items, uniquingKeysWith: { first, _ in first })
    }
}
