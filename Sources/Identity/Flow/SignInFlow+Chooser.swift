import Access
import JSON
import Signatures
import Store

/// Which of several providers somebody signs in with.
extension SignInFlow {
    /// What a request to the auth host carries beside where the person wants to go.
    struct Wish {
        /// Configured name of the provider that was picked on the chooser.
        var provider: String?
        /// What was typed as one's address, sealed since; empty: it was none.
        var address: String?
        /// The person wants to be asked, whatever is remembered.
        var wantsChoice = false
        /// The sign-in that this browser has here, whether or not it counts for the application.
        var known: StoredSession?
    }

    static let addressMember = "address"
    static let choiceMember = "choose"

    /// Where a sign-in goes that no session can be handed over for.
    func choose(
        _ wish: Wish, _ goal: LoginGoal, _ application: IdentityApplication, _ request: FlowRequest
    ) async -> FlowAnswer {
        let accepted = application.identityProviders.compactMap { configuration.provider($0) }
        if let wanted = wish.provider {
            guard let provider = accepted.first(where: { ExactText.isEqual($0.name, wanted) }) else {
                return .refuse(
                    FlowRefusal(
                        .identityProviderNotAccepted,
                        detail: "\(application.name) does not accept the provider asked for",
                        retryURL: url(of: goal)))
            }
            return await authorize(provider, goal, application, request, wish)
        }
        switch accepted.count {
        case 0:
            return .refuse(
                FlowRefusal(
                    .identityProviderNotAccepted, detail: "\(application.name) accepts no configured provider"
                ))
        case 1: return await authorize(accepted[0], goal, application, request, wish)
        case _: return await chooseAmong(accepted, wish, goal, application, request)
        }
    }

    private func chooseAmong(
        _ accepted: [IdentityProviderRegistration], _ wish: Wish, _ goal: LoginGoal,
        _ application: IdentityApplication, _ request: FlowRequest
    ) async -> FlowAnswer {
        let latest = RememberedProviders(cookieField: request.cookieField).latest(among: accepted)
        guard let address = wish.address else {
            if application.usesRememberedProvider, !wish.wantsChoice, let latest {
                return await authorize(latest, goal, application, request, wish)
            }
            return chooser(accepted, nil, latest, goal, application, request)
        }
        guard let domain = Self.domain(of: address) else {
            return chooser(accepted, .problem(.noAddress), latest, goal, application, request)
        }
        let fitting = accepted.filter { ExactText.contains($0.emailDomains, domain) }
        switch fitting.count {
        case 0: return chooser(accepted, .problem(.unknownDomain), latest, goal, application, request)
        case 1: return await authorize(fitting[0], goal, application, request, wish)
        // Two registrations of one tenant have the same people: the address narrows the choice and cannot make it.
        case _: return chooser(fitting, .address(address), latest, goal, application, request)
        }
    }

    private enum Found {
        /// Who is listed serves this address.
        case address(String)
        case problem(ProviderChooser.Problem)
    }

    private func chooser(
        _ providers: [IdentityProviderRegistration], _ found: Found?, _ latest: IdentityProviderRegistration?,
        _ goal: LoginGoal, _ application: IdentityApplication, _ request: FlowRequest
    ) -> FlowAnswer {
        // Sealed anew, so that the choice does not inherit the minutes that passed before it was shown.
        let expiry = request.nowSeconds + LoginState.lifetimeSeconds
        let plain = seals.seal(goal.members, as: .request, expiresAtSeconds: expiry)
        var forChoice = plain
        var problem: ProviderChooser.Problem?
        switch found {
        case .address(let address)?:
            var members = goal.members
            members[Self.addressMember] = .string(address)
            forChoice = seals.seal(members, as: .request, expiresAtSeconds: expiry)
        case .problem(let known)?: problem = known
        case nil: break
        }
        let isFirst = { (one: IdentityProviderRegistration) in one.name == latest?.name }
        let ordered = providers.filter(isFirst) + providers.filter { !isFirst($0) }
        let choices = ordered.map { provider in
            let query = FormText.encode([("request", forChoice), ("provider", provider.name)])
            return ProviderChoice(
                name: provider.name, displayName: provider.displayName,
                url: "\(ReservedPath.signIn)?\(query)", isRemembered: isFirst(provider))
        }
        let isNarrowed = if case .address? = found { true } else { false }
        return .chooser(
            ProviderChooser(
                choices: choices, application: application.name, host: application.host,
                addressForm: providers.contains { !$0.emailDomains.isEmpty } && !isNarrowed ? plain : nil,
                othersURL: isNarrowed ? others(goal, expiry) : nil, problem: problem))
    }

    /// The way back to all choices, past what is remembered.
    private func others(_ goal: LoginGoal, _ expiry: Int64) -> String {
        var members = goal.members
        members[Self.choiceMember] = true
        let sealed = seals.seal(members, as: .request, expiresAtSeconds: expiry)
        return "\(ReservedPath.signIn)?\(FormText.encode([("request", sealed)]))"
    }

    /// `POST /.gatepost/sign-in` on the auth host: somebody typed an address to be brought to its provider.
    /// The answer is a redirect with the address sealed: it stands in no URL, no log and no history.
    func find(_ request: FlowRequest) -> FlowAnswer {
        // A page of somebody else could otherwise choose a provider and an account for the person.
        guard let sent = request.originField,
            ExactText.isEqual(sent, configuration.origin(of: configuration.authHost))
        else { return .refuse(FlowRefusal(.originNotAllowed, detail: "an address from another origin")) }
        guard request.body.count <= Self.formBytesMax,
            let text = String(validating: request.body, as: UTF8.self),
            let form = FormText.parse(text), let address = form["email"]
        else { return malformed("form of the chooser") }
        var members: JSONObject
        switch seals.open(form["request"], as: .request, nowSeconds: request.nowSeconds) {
        case .valid(let value):
            guard let goal = LoginGoal(value), goal.stepUpName == nil else {
                return malformed("sealed request of another version")
            }
            members = goal.members
        case .expired(let value):
            guard let goal = LoginGoal(value) else { return malformed("sealed request of another version") }
            return restartElsewhere(goal, request, why: "the chooser was left open too long")
        case .foreign:
            return .refuse(FlowRefusal(.loginStateLost, detail: "sealed request is missing or not ours"))
        }
        members[Self.addressMember] = .string(ClaimReader.address(Self.trimmed(address)) ?? "")
        let sealed = seals.seal(
            members, as: .request, expiresAtSeconds: request.nowSeconds + LoginState.lifetimeSeconds)
        return .redirect(
            url:
                "\(configuration.origin(of: configuration.authHost))\(ReservedPath.signIn)?request=\(sealed)",
            setCookies: [])
    }

    static let formBytesMax = 8 << 10

    /// Keyboards of phones put a blank behind what they complete.
    private static func trimmed(_ text: String) -> String {
        var scalars = text.unicodeScalars[...]
        while scalars.first == " " { scalars.removeFirst() }
        while scalars.last == " " { scalars.removeLast() }
        return String(scalars)
    }

    private static func domain(of address: String) -> String? {
        address.utf8.lastIndex(of: UInt8(ascii: "@")).map { at in
            String(address[address.utf8.index(after: at)...])
        }
    }

    /// What helps a provider to recognise the person without a question (Core §3.1.2.1): the address that was
    /// typed, or the name that the browser's sign-in has at the same issuer, whichever registration of it
    /// made that.
    func loginHint(
        for provider: IdentityProviderRegistration, _ wish: Wish, prompt: String?
    ) -> String? {
        // Who is to choose an account is not told which.
        guard prompt != "select_account" else { return nil }
        if let address = wish.address, !address.isEmpty { return address }
        guard let known = wish.known, provider.admits(known.issuer) else { return nil }
        let named = ["login_hint", "preferred_username"].lazy.compactMap { claim -> String? in
            if case .text(let text)? = known.claims[claim] { text } else { nil }
        }.first
        guard let hint = named ?? known.email, (1...Self.hintBytesMax).contains(hint.utf8.count),
            hint.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f })
        else { return nil }
        return hint
    }

    static let hintBytesMax = 512

    /// What the browser remembers once this provider has signed somebody in, where there was a choice.
    func remembering(
        _ provider: IdentityProviderRegistration, _ application: IdentityApplication, _ request: FlowRequest
    ) -> [String] {
        guard application.identityProviders.count > 1 else { return [] }
        return [RememberedProviders(cookieField: request.cookieField).remembering(provider.name)]
    }

    /// A provider that refused, or does not answer, is not gone to again by itself: the next try asks.
    func forgetting(_ provider: IdentityProviderRegistration, _ request: FlowRequest) -> [String] {
        let changed = RememberedProviders(cookieField: request.cookieField).forgetting(provider.name)
        return changed.map { [$0] } ?? []
    }
}
