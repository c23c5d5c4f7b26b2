import Access
public import Fetch
public import Signatures
public import Store

/// Signing in and out: every step answers one request of one browser and keeps nothing in memory between them.
///
/// The way of a sign-in: application host (`beginAtApplication`) → auth host (`signIn`) → identity provider →
/// auth host (`callback`) → application host (`handoff`). What must survive between the steps is sealed in
/// the browser; only used-up nonces and finished sessions are kept here.
public actor SignInFlow {
    var configuration: IdentityConfiguration
    nonisolated let sessions: Sessions
    let store: any GatewayStore
    let fetcher: any Fetcher
    let directory: ProviderDirectory
    nonisolated let seals: LoginSeals
    let random: @Sendable (Int) -> [UInt8]
    let pause: @Sendable (_ milliseconds: Int) async -> Void
    let pushGate = PushGate()
    /// Told at once of sessions that the store has forgotten, before anything else is waited for.
    let ended: @Sendable ([StoredSession]) -> Void
    var logoutLimits = LogoutLimits()
    /// Wrong names in front-channel logouts, by the session that they were tried on.
    var frontchannelGuesses = AttemptWindow<String>(windowSeconds: 600, keysMax: 4_096)
    var loggedOutLogins = LoggedOutLogins()
    var signedOutLogins = SignedOutLogins(process: Base64URL.encode(Random.bytes(8)))
    /// Told of refresh tokens that could not be given back.
    let told: @Sendable (RefreshNews) -> Void
    /// Refresh tokens on their way back to their provider.
    var givingBack: [UInt64: Task<Void, Never>] = [:]
    var givenBackCount: UInt64 = 0

    /// From the callback to the application host a one-time code lives this long.
    public static let handoffSeconds: Int64 = 30
    /// The second of an ending is over after this long.
    static let endingMilliseconds = 1_000
    /// An id token above this size is not kept: it would make the sign-out URL too long for some providers.
    public static let idTokenHintBytesMax = 2 << 10

    /// - Parameters:
    ///   - directory: shared with whoever else validates tokens of these providers.
    ///   - random: gives that many random bytes.
    ///   - pause: waits; a sign-in that was ended in the second of its begin does before it begins anew.
    ///   - ended: revokes sessions on the data plane.
    ///   - told: hears of refresh tokens that were not given back.
    public init(
        configuration: IdentityConfiguration, store: any GatewayStore, ring: KeyRing, fetcher: any Fetcher,
        directory: ProviderDirectory, random: @escaping @Sendable (Int) -> [UInt8] = { Random.bytes($0) },
        pause: @escaping @Sendable (_ milliseconds: Int) async -> Void = { milliseconds in
            try? await Task.sleep(for: .milliseconds(milliseconds))
        },
        ended: @escaping @Sendable ([StoredSession]) -> Void = { _ in },
        told: @escaping @Sendable (RefreshNews) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.store = store
        self.fetcher = fetcher
        self.directory = directory
        self.random = random
        self.pause = pause
        self.ended = ended
        self.told = told
        sessions = Sessions(store: store, ring: ring, random: random)
        seals = LoginSeals(sealer: Sealer(ring: ring))
    }

    /// Takes a new configuration; sign-ins under way go on where their provider and application still exist.
    public func replace(configuration: IdentityConfiguration) { self.configuration = configuration }

    /// Answers a reserved path of signing in; nil when `path` is none of this host.
    public func answer(_ request: FlowRequest) async -> FlowAnswer? {
        let isAuthHost = ExactText.isEqual(request.host, configuration.authHost)
        guard isAuthHost || configuration.application(host: request.host) != nil else { return nil }
        if request.path == ReservedPath.signOut { return await signOut(request) }
        if request.path == ReservedPath.signedOut, isAuthHost { return await signedOutPage(request) }
        if request.path == ReservedPath.signIn {
            return isAuthHost ? await signIn(request) : await restart(request)
        }
        if request.path == ReservedPath.handoff, !isAuthHost { return await handoff(request) }
        if request.path.hasPrefix(ReservedPath.callbackPrefix), isAuthHost { return await callback(request) }
        return nil
    }

    // MARK: Steps share these

    func requireGET(_ request: FlowRequest) -> FlowAnswer? {
        guard request.method == "GET" || request.method == "HEAD" else {
            return .refuse(FlowRefusal(.methodNotAllowed, detail: "\(request.path) is a GET"))
        }
        return nil
    }

    func parameters(_ request: FlowRequest) -> [String: String]? { FormText.parse(request.query) }

    func malformed(_ detail: String) -> FlowAnswer { .refuse(FlowRefusal(.requestMalformed, detail: detail)) }

    func storeFailed(_ error: StoreError, retryURL: String?) -> FlowAnswer {
        .refuse(FlowRefusal(.storeUnavailable, detail: error.description, retryURL: retryURL))
    }

    func url(of goal: LoginGoal) -> String { configuration.origin(of: goal.host) + goal.target }

    /// The application of a goal, when it still is where the goal says.
    func application(of goal: LoginGoal) -> IdentityApplication? {
        guard let application = configuration.application(goal.application),
            ExactText.isEqual(application.host, goal.host)
        else {
            return nil
        }
        return application
    }
}
