import JSON
import Signatures

/// Where a person wanted to go when signing in began. It travels sealed through the browser, never as plain text.
struct LoginGoal: Sendable, Equatable {
    var application: String
    var host: String
    /// Path and query on `host`.
    var target: String
    /// SHA-256 of the random in the application host's login cookie.
    var binding: [UInt8]
    /// How often signing in began again because its state was lost.
    var restartCount: Int64
    /// A step-up; only in the login cookie and in the request to the auth host.
    var demand: StepUpDemand?
    /// Names the step-up that this is, everywhere; nil: an ordinary sign-in.
    var stepUpName: String?
    /// How far sign-outs were counted when it began; nil: not known.
    var begin: SignedOutLogins.Begin?

    /// More often means that this browser keeps no cookies: then a page is better than a loop.
    static let restartCountMax: Int64 = 2

    /// Without what a step-up asks: `state` and codes only say that they belong to one.
    var members: JSONObject {
        var members: JSONObject = [
            "app": .string(application), "host": .string(host), "target": .string(target),
            "binding": .string(Base64URL.encode(binding)), "restarts": .integer(restartCount),
        ]
        if let stepUpName { members["step"] = .string(stepUpName) }
        if let begin {
            members["process"] = .string(begin.process)
            members["outs"] = .integer(begin.count)
        }
        return members
    }

    /// With it.
    var wholeMembers: JSONObject {
        var members = members
        if let demand { members["asks"] = .object(demand.members) }
        return members
    }

    init(
        application: String, host: String, target: String, binding: [UInt8], restartCount: Int64,
        demand: StepUpDemand? = nil
    ) {
        self.application = application
        self.host = host
        self.target = target
        self.binding = binding
        self.restartCount = restartCount
        self.demand = demand
        stepUpName = demand.map { StepUpDemand.name(of: $0.stepUp) }
    }

    init?(_ value: JSONValue) {
        guard let application = value["app"]?.string, let host = value["host"]?.string,
            let target = value["target"]?.string,
            let binding = value["binding"]?.string.flatMap(Base64URL.decode),
            let restartCount = value["restarts"]?.integer
        else { return nil }
        self.init(
            application: application, host: host, target: target, binding: binding, restartCount: restartCount
        )
        if let asks = value["asks"] {
            guard let found = StepUpDemand(asks) else { return nil }
            demand = found
        }
        stepUpName = value["step"]?.string
        if let process = value["process"]?.string, let count = value["outs"]?.integer {
            begin = SignedOutLogins.Begin(process: process, count: count)
        }
    }
}

/// What the auth host keeps in the browser while the person is at the identity provider.
struct LoginState: Sendable {
    /// 16 random bytes: names this sign-in in `state` and in the cookie.
    var id: [UInt8]
    var provider: String
    /// PKCE code verifier (RFC 7636 §4.1), 43 characters.
    var verifier: String
    var nonce: String
    var goal: LoginGoal
    var issuedAtSeconds: Int64
    var expiresAtSeconds: Int64
    /// The `max_age` that was sent; nil: none.
    var maxAgeSeconds: Int64?
    /// When the first request of this sign-in was made; nil: it is this one. The second asks for the claims that a
    /// resource demanded after the first, and an ending between the two is meant for both.
    var beganAtSeconds: Int64?
    /// What a sign-out of this browser ends it by: of the session that the browser had here when it began, else of
    /// another sign-in that was under way, else its own.
    var browser: String
    /// How many endings had been noted when it began (`GatewayStore.endingCount`); nil: it is from before they were
    /// counted.
    var endingsKnown: Int64?

    /// This is the second request.
    var isDemanded: Bool { beganAtSeconds != nil }

    static let lifetimeSeconds: Int64 = 600

    /// S256 of the verifier (RFC 7636 §4.2).
    var challenge: String { Base64URL.encode(Digest.sha256(Array(verifier.utf8))) }
}

/// Seals and opens everything that travels through the browser. Each kind has its own context, so that no sealed
/// value can be used in another's place, and an expiry, which is checked here and nowhere else.
struct LoginSeals: Sendable {
    enum Kind: String {
        case request, state, authCookie, applicationCookie, handoff, restart, signedOut
    }

    let sealer: Sealer

    static let stateBytesMax = 3 << 10

    func seal(_ members: JSONObject, as kind: Kind, expiresAtSeconds: Int64) -> String {
        var members = members
        members["exp"] = .integer(expiresAtSeconds)
        return sealer.seal(members.serialized(), context: context(kind))
    }

    enum Opened {
        case valid(JSONValue)
        /// Sealed by us, once.
        case expired(JSONValue)
        case foreign
    }

    func open(_ text: String?, as kind: Kind, nowSeconds: Int64) -> Opened {
        guard let text, text.utf8.count <= CookieText.valueBytesMax,
            let bytes = sealer.open(text, context: context(kind)),
            let value = try? JSONValue(parsing: bytes, limits: .token), let expiry = value["exp"]?.integer
        else { return .foreign }
        return nowSeconds < expiry ? .valid(value) : .expired(value)
    }

    private func context(_ kind: Kind) -> String { "gatepost-login-\(kind.rawValue)" }

    // MARK: The auth host's cookie

    func cookie(of state: LoginState) -> String {
        var members = state.goal.wholeMembers
        if let seconds = state.maxAgeSeconds { members["max_age"] = .integer(seconds) }
        if let seconds = state.beganAtSeconds { members["began"] = .integer(seconds) }
        members["id"] = .string(Base64URL.encode(state.id))
        members["provider"] = .string(state.provider)
        members["verifier"] = .string(state.verifier)
        members["nonce"] = .string(state.nonce)
        members["iat"] = .integer(state.issuedAtSeconds)
        members["browser"] = .string(state.browser)
        if let count = state.endingsKnown { members["endings"] = .integer(count) }
        return seal(members, as: .authCookie, expiresAtSeconds: state.expiresAtSeconds)
    }

    func loginState(cookie: String, nowSeconds: Int64) -> LoginState? {
        guard case .valid(let value) = open(cookie, as: .authCookie, nowSeconds: nowSeconds),
            let id = value["id"]?.string.flatMap(Base64URL.decode), let provider = value["provider"]?.string,
            let verifier = value["verifier"]?.string, let nonce = value["nonce"]?.string,
            let issuedAt = value["iat"]?.integer, let expiry = value["exp"]?.integer,
            let goal = LoginGoal(value)
        else { return nil }
        return LoginState(
            id: id, provider: provider, verifier: verifier, nonce: nonce, goal: goal,
            issuedAtSeconds: issuedAt,
            expiresAtSeconds: expiry, maxAgeSeconds: value["max_age"]?.integer,
            beganAtSeconds: value["began"]?.integer,
            browser: value["browser"]?.string ?? Base64URL.encode(id),
            endingsKnown: value["endings"]?.integer)
    }

    // MARK: The application host's cookie

    /// What a sign-in that began at an application is bound to, by that host's cookie; nil: it is not ours, or too old.
    func binding(applicationCookie: String, nowSeconds: Int64) -> [UInt8]? {
        guard
            case .valid(let found) = open(applicationCookie, as: .applicationCookie, nowSeconds: nowSeconds),
            let secret = found["secret"]?.string.flatMap(Base64URL.decode)
        else { return nil }
        return Digest.sha256(secret)
    }
}

/// The at most four login cookies of one browser on one host.
struct LoginSlots {
    static let count = 4
    static func name(_ slot: Int) -> String { "__Host-gatepost-login-\(slot)" }

    /// The cookie values by slot. A doubled cookie is read as none: it cannot be told which one is ours.
    let values: [String?]

    init(cookieField: [String]) {
        values = (0..<Self.count).map { slot in
            let found = CookieText.values(of: Self.name(slot), in: cookieField)
            return found.count == 1 ? found.first : nil
        }
    }

    /// Where a new login goes: the slot its id points at when it is free, else any free one, else the oldest's.
    ///
    /// The id decides first, because tabs opened at the same moment see the same cookies and would all take the
    /// first free slot.
    func place(_ id: [UInt8], issuedAtSeconds: (String) -> Int64?) -> Int {
        let ages = values.map { $0.flatMap(issuedAtSeconds) }
        let preferred = Int(id.first ?? 0) % Self.count
        let order = (0..<Self.count).map { (preferred + $0) % Self.count }
        if let free = order.first(where: { ages[$0] == nil }) { return free }
        return order.min { (ages[$0] ?? 0) < (ages[$1] ?? 0) } ?? preferred
    }
}
