public import Access
public import Store

/// A request to one of the reserved paths of signing in, or a navigation that needs a sign-in.
public struct FlowRequest: Sendable {
    /// Lower case, without port.
    public var host: String
    /// Canonical path.
    public var path: String
    /// Without "?"; empty when there is none.
    public var query: String
    /// Every Cookie field, in order.
    public var cookieField: [String]
    /// The Origin field; nil when there is none.
    public var originField: String?
    /// Upper case.
    public var method: String
    /// Of the chooser's form and of a back-channel logout; everything else reads no body.
    public var body: [UInt8]
    /// The Accept-Language field; nil when there is none.
    public var languages: String?
    /// The time of the request.
    public var nowSeconds: Int64

    /// A request out of its parts.
    public init(
        host: String, path: String, query: String = "", cookieField: [String] = [],
        originField: String? = nil,
        method: String = "GET", body: [UInt8] = [], nowSeconds: Int64
    ) {
        self.host = host
        self.path = path
        self.query = query
        self.cookieField = cookieField
        self.originField = originField
        self.method = method
        self.body = body
        self.nowSeconds = nowSeconds
    }
}

/// What to answer. Every `setCookies` entry is one complete `Set-Cookie` value; each must be its own field.
public enum FlowAnswer: Sendable {
    /// 303 to an absolute URL, with `Referrer-Policy: same-origin` and `Cache-Control: no-store`.
    case redirect(url: String, setCookies: [String])
    /// The way to an identity provider: 303, or for browsers a page that keeps the fragment of its own URL and goes on.
    case leave(url: String, setCookies: [String])
    /// The way back from one: 303, or a page that adds the fragment that was kept.
    case comeBack(url: String, setCookies: [String])
    /// 303 after a step-up: the sessions below this global session are to be decided anew.
    case upgraded(globalID: String, url: String, setCookies: [String])
    /// A page that lets the person choose.
    case chooser(ProviderChooser)
    /// A page with a form that POSTs to `/.gatepost/sign-out` of the same host.
    case confirmSignOut
    /// Signed out. `removed` has been given to `ended` already. `url`: the provider's own sign-out, to be redirected
    /// to (303); without one, `page` is shown.
    case signedOut(url: String?, removed: [StoredSession], setCookies: [String], page: SignedOutPage)
    /// The page after the provider's own sign-out.
    case afterSignOut(SignedOutPage)
    /// A page that says why.
    case refuse(FlowRefusal)
}

/// What the person chooses from.
public struct ProviderChooser: Sendable, Hashable {
    /// What was wrong with the address that was typed. It is never told back: the page is anybody's.
    public enum Problem: Sendable, Hashable, CaseIterable {
        /// It is no address.
        case noAddress
        /// No accepted provider serves its domain.
        case unknownDomain
    }

    /// The one that this browser used last in front.
    public var choices: [ProviderChoice]
    /// Configured name.
    public var application: String
    /// The application's host.
    public var host: String
    /// The sealed request that the form with an address sends along; nil: no provider here is found by one.
    public var addressForm: String?
    /// Where all choices are, when these are only the ones of an address: absolute path and query on the auth host.
    public var othersURL: String?
    /// What to say about the address that was typed.
    public var problem: Problem?

    /// A chooser out of its parts.
    public init(
        choices: [ProviderChoice], application: String, host: String, addressForm: String? = nil,
        othersURL: String? = nil, problem: Problem? = nil
    ) {
        self.choices = choices
        self.application = application
        self.host = host
        self.addressForm = addressForm
        self.othersURL = othersURL
        self.problem = problem
    }
}

/// What the page after a sign-out says.
public struct SignedOutPage: Sendable, Hashable {
    /// Absolute URL of an application that asks to sign in again; nil when nothing of ours says which.
    public var againURL: String?
    /// What people call the other providers of this browser's sessions, which may still know the person.
    public var others: [String]
    /// All browsers of this person, not only this one.
    public var isEverywhere: Bool

    /// A page out of its parts.
    public init(againURL: String? = nil, others: [String] = [], isEverywhere: Bool = false) {
        self.againURL = againURL
        self.others = others
        self.isEverywhere = isEverywhere
    }
}

/// One button of the chooser.
public struct ProviderChoice: Sendable, Hashable {
    /// The configured name.
    public var name: String
    /// What people read.
    public var displayName: String
    /// Absolute path and query on the auth host.
    public var url: String
    /// This browser signed in with it the last time that it had the choice.
    public var isRemembered = false

    /// A choice out of its parts.
    public init(name: String, displayName: String, url: String, isRemembered: Bool = false) {
        self.name = name
        self.displayName = displayName
        self.url = url
        self.isRemembered = isRemembered
    }
}

/// Why there is no sign-in, and where to try again.
public struct FlowRefusal: Sendable, Hashable {
    /// For page, log and metric.
    public var reason: Reason
    /// The provider's own error code (`access_denied`, `AADSTS53000`); letters, digits, dot, dash, underscore.
    public var providerCode: String?
    /// What the provider told the person's browser, its sentence or its code: printable, at most 300
    /// characters, not escaped.
    public var providerWords: String?
    /// For the log only: it may help an attacker.
    public var detail: String
    /// Absolute URL on a host of ours that begins again; nil when nothing is known to return to.
    public var retryURL: String?
    /// What was asked of the sign-in and did not come.
    public var shortfalls: [StepUp.Shortfall]
    /// Complete `Set-Cookie` values.
    public var setCookies: [String]

    /// A refusal out of its parts.
    public init(
        _ reason: Reason, detail: String, providerCode: String? = nil, providerWords: String? = nil,
        shortfalls: [StepUp.Shortfall] = [], retryURL: String? = nil, setCookies: [String] = []
    ) {
        self.reason = reason
        self.detail = detail
        self.providerCode = providerCode
        self.providerWords = providerWords
        self.shortfalls = shortfalls
        self.retryURL = retryURL
        self.setCookies = setCookies
    }
}
