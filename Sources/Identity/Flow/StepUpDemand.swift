public import Access
import JSON
import Signatures
import Store

/// A stronger sign-in under way: what is asked, and of whom. It travels sealed through the browser.
public struct StepUpDemand: Sendable, Equatable {
    /// The configured provider that made the session: only its answer counts, and only for its sessions.
    var provider: String
    var stepUp: StepUp

    /// Names what is asked: equal demands have equal names.
    public static func name(of stepUp: StepUp) -> String {
        // Without whether the age is short: the same conditions are the same question.
        let demand = StepUpDemand(
            provider: "",
            stepUp: StepUp(
                contexts: stepUp.contexts, methods: stepUp.methods, ageSecondsMax: stepUp.ageSecondsMax))
        let text = JSONValue.object(demand.members).serialized()
        return String(Base64URL.encode(Digest.sha256(text)).prefix(16))
    }

    init(provider: String, stepUp: StepUp) {
        self.provider = provider
        self.stepUp = stepUp
    }

    var members: JSONObject {
        [
            "by": .string(provider), "acr": Self.value(stepUp.contexts), "amr": Self.value(stepUp.methods),
            "age": stepUp.ageSecondsMax.map { .integer($0) } ?? .null, "fresh": .bool(stepUp.isAgeShort),
        ]
    }

    init?(_ value: JSONValue) {
        guard let provider = value["by"]?.string, let contexts = Self.lists(value["acr"]),
            let methods = Self.lists(value["amr"]), let fresh = value["fresh"]
        else { return nil }
        self.init(
            provider: provider,
            stepUp: StepUp(
                contexts: contexts, methods: methods, ageSecondsMax: value["age"]?.integer,
                isAgeShort: fresh == true))
    }

    private static func value(_ lists: [[String]]) -> JSONValue {
        .array(lists.map { .array($0.map { .string($0) }) })
    }

    private static func lists(_ value: JSONValue?) -> [[String]]? {
        guard case .array(let lists)? = value else { return nil }
        return lists.map { list in
            guard case .array(let texts) = list else { return [] }
            return texts.compactMap(\.string)
        }
    }
}

extension SignInFlow {
    /// Begins a stronger sign-in of somebody who is signed in: at the provider of their session and at no other.
    ///
    /// - Parameters:
    ///   - application: configured name of the application of `request.host`.
    ///   - original: path and query to return to; the request's own when nil.
    ///   - provider: configured name of the provider that made the session.
    public func stepUp(
        _ request: FlowRequest, application: String, original: String? = nil, provider: String,
        asking stepUp: StepUp
    ) -> FlowAnswer {
        guard let known = configuration.application(application), ExactText.isEqual(known.host, request.host)
        else {
            return .refuse(
                FlowRefusal(.routeNotFound, detail: "application \(application) is not on \(request.host)"))
        }
        let own = request.query.isEmpty ? request.path : "\(request.path)?\(request.query)"
        return begin(
            known, request, target: original ?? own, restartCount: 0,
            demand: StepUpDemand(provider: provider, stepUp: stepUp))
    }

    /// What the person's sign-in lacks of what was asked, as a page; nil: nothing.
    ///
    /// A `max-age` makes `auth_time` required (Core §3.1.2.1, §3.1.3.7): a token without it proves no age.
    func insufficiency(
        _ outcome: TokenExchange.Outcome, _ state: LoginState, _ request: FlowRequest, clearing: String
    ) -> FlowAnswer? {
        // Policy allows no skew towards the past, so a step-up does not either.
        let asked =
            state.goal.demand?.stepUp
            ?? StepUp(ageSecondsMax: state.maxAgeSeconds.map { $0 + IDTokenValidator.skewSeconds })
        let unmet = asked.unmet(by: outcome.person, atSeconds: request.nowSeconds)
        guard !unmet.isEmpty else { return nil }
        let words = unmet.map { "asked: \($0.asked); came: \($0.came)" }.joined(separator: "; ")
        return .refuse(
            FlowRefusal(
                .authenticationInsufficient, detail: "\(state.provider): \(words)", shortfalls: unmet,
                retryURL: url(of: state.goal), setCookies: [clearing]))
    }

    /// The application session that a step-up came from takes what its global session has learned: in one change with a
    /// new secret, so that what is open goes on under the same session.
    ///
    /// - Returns: nil when the browser has no such session here; then it gets a new one.
    func upgrade(
        _ goal: LoginGoal, from global: StoredSession, _ application: IdentityApplication,
        _ request: FlowRequest
    ) async throws(StoreError) -> [String]? {
        guard let name = goal.stepUpName,
            let presented = sessions.presentedDigest(cookieField: request.cookieField),
            let own = try await sessions.lookUp(
                cookieField: request.cookieField, kind: .application, host: request.host,
                nowSeconds: request.nowSeconds),
            // Under this very global session: a result counts for the provider and the person that gave it.
            own.globalID == global.id, ExactText.isEqual(own.application ?? "", application.name),
            let changed = try await sessions.upgrade(
                own.id, presented: presented, from: global, name: name, nowSeconds: request.nowSeconds)
        else { return nil }
        return changed.cookie.map { [$0.setCookie] } ?? []
    }
}
