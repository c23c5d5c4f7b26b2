import Access
import Border
import Identity
import JSON
import Signatures
import Store
import Testing

@testable import Control

/// One browser: what it keeps by host, and what it has begun.
struct StoryBrowser {
    var jars: [String: [String: String]] = [:]
    /// The sign-in of the auth host's cookie.
    var signIn: String?
    /// The session of each application's cookie.
    var sessions: [String: String] = [:]
    /// How often it was signed out.
    var signOuts = 0

    func cookie(_ host: String) -> [Field] {
        let jar = jars[host] ?? [:]
        let text = jar.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        return text.isEmpty ? [] : [Field("cookie", text.joined(separator: "; "))]
    }

    mutating func keep(_ response: ControlResponse, _ host: String) {
        for line in response.fields where line.name.lowercased() == "set-cookie" {
            let pair = line.value.prefix { $0 != ";" }.split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let isGone = line.value.contains("Max-Age=0")
            jars[host, default: [:]][String(pair[0])] = isGone ? nil : String(pair[1])
        }
    }
}

/// A sign-in that came back from its provider and has not been answered.
struct PendingCallback: Sendable {
    var browser: Int
    var path: String
    var query: String
    var beganAtSeconds: Int64
    /// How many endings sign-ins under way had been told of, and how often the browser had been signed out, when it
    /// began; and with which sign-in's cookie that was.
    var marksKnown: Int
    var signOutsKnown: Int
    var under: String?
    /// The browser was signed out of what it was begun under.
    var isSignedOut = false
    /// When the browser came back, and with which sign-in's cookie.
    var cameBackAtSeconds: Int64 = 0
    var before: String?
    /// With everything but its id and end.
    var signIn: SessionModel.SignIn
}

/// A one-time code on its way to the application.
struct PendingHandoff {
    var browser: Int
    var application: String
    var query: String
    var signIn: String
}

/// Counts what the stories of a run came across: a test that never meets something proves nothing about it.
typealias Met = [String: Int]

/// Everything that begins and ends sessions, in an order that a seed decides, held against `SessionModel` after each
/// step.
final class SessionStory {
    let seed: UInt64
    let house: ModelHouse
    var model = SessionModel() { didSet { house.provider.know(marks: model.marks.count) } }
    var chance: SeededChance
    var browsers = [StoryBrowser](repeating: StoryBrowser(), count: 3)
    var callbacks: [PendingCallback] = []
    /// Those that came back and have no answer yet.
    var exchanging: [PendingCallback] = []
    var handoffs: [PendingHandoff] = []
    /// Sign-ins whose answer brought a name that was ended at about the time of the question: the store says which of
    /// the two was first.
    var uncertain: [(id: String, sid: String)] = []
    var steps: [String] = []
    var met: Met = [:]
    /// Answers to callbacks that have finished and were not looked at.
    let answered = Answered()
    /// Every token digest that a browser was ever given at an application, with the session.
    var digests: [(digest: [UInt8], session: String, application: String)] = []
    /// What reactors know each service token by that was ever made, by application.
    var tokens: [(digest: [UInt8], id: String, application: String)] = []
    /// Devices that people have now; one that was revoked never comes back.
    var devices = ["device-0", "device-1"]
    var lastKeepUpSeconds = Gatehouse.start
    var number = 0
    /// Requests of a storm, with the session each came with.
    var raced: [(request: Int, session: String)] = []
    /// How many endings there were before the storm that is on; nil: none is.
    var marksBeforeStorm: Int?
    /// Sign-ins that a storm's ending has ended, with what was linked to them.
    var endedAtOnce: [String: [String]] = [:]
    /// What did not hold first, and the end of the way there.
    private(set) var failure: String?
    var isFailedSoFar: Bool { failure != nil }
    let fault: PlantedFault?

    /// - Parameter fault: then what does not hold is only remembered.
    init(seed: UInt64, fault: PlantedFault? = nil) throws {
        self.seed = seed
        self.fault = fault
        chance = SeededChance(state: seed)
        house = try ModelHouse(ModelConfig(), fault: fault)
    }

    var now: Int64 { house.clock.now }

    func random(_ range: Range<Int>) -> Int { Int.random(in: range, using: &chance) }
    func isLikely(_ one: Int, of all: Int) -> Bool { random(0..<all) < one }
    func note(_ step: String) { steps.append("+\(now - Gatehouse.start)s \(step)") }
    func meet(_ what: String) { met[what, default: 0] += 1 }

    func fail(_ what: String) {
        guard failure == nil else { return }
        failure = "seed \(seed): \(what)\n\(steps.suffix(60).joined(separator: "\n"))"
        if fault == nil { Issue.record("\(failure ?? "")") }
    }

    func run(steps count: Int) async throws {
        for _ in 0..<count where !isFailedSoFar {
            try await step()
            try await look()
        }
        while house.provider.held > 0, !isFailedSoFar {
            try await release()
            try await look()
        }
        if !isFailedSoFar { try await look(isLast: true) }
        await house.finish()
    }

    private func step() async throws {
        switch random(0..<54) {
        case 0..<18: try await visit(random(0..<browsers.count))
        case 18..<21: try await comeBack(random(0..<max(1, callbacks.count)))
        case 21..<23: try await handOff(random(0..<max(1, handoffs.count)))
        case 23..<27: try await release()
        case 27..<29: try await endSomething()
        case 29..<31: try await advance(Int64(random(1..<20)))
        case 31..<35:
            // Now and then in an outage.
            try await advance(Int64(random(20..<700)), saying: isLikely(1, of: 5) ? .down : nil)
        case 35..<37: try await storm()
        case 37: try await configure()
        case 38..<41: try await proveDevice()
        case 41..<46: try await machine()
        case 46: try await storeAway()
        case 47, 48: try await stepUp(random(0..<browsers.count))
        case 49: try await signOutUnderWay()
        case 50: try await setBack()
        case 51, 52: try await sideBySide(random(0..<browsers.count))
        case _: try await refresh()
        }
    }

    // MARK: Requests

    /// A request at an application; without a session that counts the way to sign-in.
    func visit(_ index: Int) async throws {
        let application = ModelConfig.applications[random(0..<2)]
        guard let session = browsers[index].sessions[application], !isLikely(1, of: 6),
            let known = digests.last(where: { $0.session == session })
        else {
            try await beginSignIn(index, application)
            return isLikely(2, of: 3) ? try await finishSignIn(index) : ()
        }
        note("browser \(index) asks for \(application) with \(session)")
        let before = model.sessions[session]
        let isIdle = before.map { model.mayBeIdle($0, atSeconds: now) } ?? false
        let mustBeIdle = before.map { model.mustBeIdle($0, atSeconds: now) } ?? false
        let request = house.reactors.request(
            known.digest, application, on: random(0..<StandInReactors.count), nowSeconds: now)
        await house.settle()
        let counts = model.isAccepted(session)
        switch house.reactors.outcome(request) {
        case .opened(let stream):
            meet("let in")
            if !counts { fail("\(session) was let in") }
            if mustBeIdle { fail("\(session) was let in after its idle time") }
            model.streams[stream] = session
            model.use(session, atSeconds: now)
            if isLikely(1, of: 3) {
                house.reactors.close(stream)
                model.streams[stream] = nil
            }
        case .signIn, .refused:
            meet("not let in")
            if counts, !isIdle { fail("\(session) counts and was not let in") }
            // It was asked for, and that is a use where it has not ended by that.
            if !isIdle, before != nil { model.use(session, atSeconds: now) }
            if isIdle { try await learnIdle() }
            browsers[index].sessions[application] = nil
        case nil: fail("a request was never answered")
        }
    }

    /// Opens a stream where it is let in, and keeps it.
    func openStream(_ index: Int, _ application: String) async {
        guard let session = browsers[index].sessions[application],
            let known = digests.last(where: { $0.session == session })
        else { return fail("no session at \(application)") }
        let request = house.reactors.request(known.digest, application, on: 0, nowSeconds: now)
        await house.settle()
        guard case .opened(let stream)? = house.reactors.outcome(request) else { return }
        model.streams[stream] = session
        model.use(session, atSeconds: now)
    }

    /// What had to be idle may have ended: the store says what did.
    func learnIdle() async throws {
        let rows = Set(try await house.store.sessions(.all, limit: 10_000).map(\.id))
        let signIns = model.signIns.values.filter { !rows.contains($0.id) }
        for signIn in signIns where model.mayBeIdle(signIn, atSeconds: now) {
            meet("idle sign-in")
            model.end(signIns: [signIn.id])
        }
        for session in model.sessions.values
        where !rows.contains(session.id) && model.mayBeIdle(session, atSeconds: now) {
            meet("idle session")
            model.end(sessions: [session.id])
        }
    }

    // MARK: Signing in

    /// - Parameter wanted: chosen on the page that asks; nil: as chance decides.
    func beginSignIn(_ index: Int, _ application: String, wanted: String? = nil) async throws {
        let host = "\(application).corp.example"
        // Somebody wants another account now and then, and is asked by the provider again.
        let begun =
            isLikely(1, of: 5) && wanted == nil
            ? await answer(index, house.request("/.gatepost/sign-in", query: "choose", host: host))
            : await answer(index, house.request("/", host: host, purpose: .signIn))
        guard var url = location(begun) else { return fail("a sign-in does not begin: \(begun.status)") }
        let accepted = (model.config.accepted[application] ?? []).filter {
            model.config.providers.contains($0)
        }
        if let wanted = wanted ?? (isLikely(5, of: 6) ? accepted.randomElement(using: &chance) : nil) {
            url += "&provider=\(wanted)"
        }
        await ask(url, index, application)
    }

    /// The auth host is asked, and says where the person goes.
    func ask(_ url: String, _ index: Int, _ application: String) async {
        let (path, query) = split(url)
        let sent = await answer(index, house.request(path, query: query, host: "auth.corp.example"))
        guard let next = location(sent) else { return note("browser \(index) is asked which provider") }
        if next.contains("/.gatepost/handoff") { return handOver(next, index, application) }
        let asked = HeldProvider.form(split(next).query)
        guard let name = ModelConfig.clients.first(where: { $0.value == asked["client_id"] })?.key else {
            return note("browser \(index) is sent elsewhere")
        }
        authenticate(index, name, asked, at: application)
    }

    private func authenticate(
        _ index: Int, _ name: String, _ asked: [String: String], at application: String
    ) {
        // Ann has two browsers; Bob has the third, and sits at hers now and then.
        let subject = index == 2 || isLikely(1, of: 8) ? "bob" : "ann"
        let sid = isLikely(3, of: 4) ? "\(name)-\(subject)-\(index)" : nil
        let email = "\(subject)@corp.example"
        let (code, family) = house.provider.authenticate(
            HeldProvider.Family(
                id: "", client: asked["client_id"] ?? "", issuer: ModelConfig.issuer(name),
                nonce: asked["nonce"] ?? "", subject: subject, email: email, sid: sid, token: "",
                isRenamed: isLikely(1, of: 2)))
        note(
            "browser \(index) signs in as \(subject) at \(name) (\(sid ?? "no sid")) for \(application): \(family)"
        )
        let signIn = SessionModel.SignIn(
            id: "", provider: name, subject: subject, email: email, sid: sid, browser: index,
            expiresAtSeconds: 0, usedAtSeconds: 0, family: family)
        callbacks.append(
            PendingCallback(
                browser: index, path: "/.gatepost/callback/\(name)",
                query: "code=\(code)&state=\(asked["state"] ?? "")", beganAtSeconds: now,
                marksKnown: model.marks.count, signOutsKnown: browsers[index].signOuts,
                under: browsers[index].signIn, signIn: signIn))
    }

    /// A browser comes back from its provider; the answer waits until the provider has been let speak.
    func comeBack(_ place: Int) async throws {
        guard callbacks.indices.contains(place) else { return }
        var callback = callbacks.remove(at: place)
        callback.cameBackAtSeconds = now
        callback.before = browsers[callback.browser].signIn
        note("browser \(callback.browser) comes back: \(callback.signIn.family)")
        let request = house.request(
            callback.path, query: callback.query, host: "auth.corp.example",
            fields: browsers[callback.browser].cookie("auth.corp.example"))
        exchanging.append(callback)
        let (control, answered, sent) = (house.control, answered, callback)
        house.underWay.run { answered.add(sent, await control.answer(request)) }
        await house.settle()
        try await finishCallbacks()
    }

    func handOff(_ place: Int) async throws {
        guard handoffs.indices.contains(place) else { return }
        try await redeem(handoffs.remove(at: place))
    }

    /// The way of most sign-ins: nothing comes between.
    func finishSignIn(_ index: Int) async throws {
        if let place = callbacks.lastIndex(where: { $0.browser == index && $0.beganAtSeconds == now }) {
            let held = house.provider.held
            try await comeBack(place)
            if house.provider.held > held { say(.granted, to: held) }
            await house.settle()
            try await finishCallbacks()
        }
        guard let place = handoffs.lastIndex(where: { $0.browser == index }) else { return }
        try await handOff(place)
    }

    func handOver(_ url: String, _ index: Int, _ application: String) {
        guard let signIn = browsers[index].signIn else { return fail("handed over without a sign-in") }
        note("browser \(index) is handed over to \(application) with \(signIn)")
        handoffs.append(
            PendingHandoff(
                browser: index, application: application, query: split(url).query, signIn: signIn))
    }

    // MARK: HTTP

    func answer(_ index: Int, _ request: ControlRequest) async -> ControlResponse {
        var request = request
        request.fields += browsers[index].cookie(request.host)
        let response = await house.control.answer(request)
        browsers[index].keep(response, request.host)
        return response
    }

    func location(_ response: ControlResponse) -> String? {
        response.fields.first { $0.name == "Location" }?.value
    }

    func split(_ url: String) -> (path: String, query: String) {
        let rest = url.dropFirst("https://".count).drop { $0 != "/" }
        let parts = rest.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        return (String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
    }
}
