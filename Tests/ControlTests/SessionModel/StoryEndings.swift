import Border
import Identity
import JSON
import Store

@testable import Control

/// Providers' answers, endings, time, configuration and restarts.
extension SessionStory {
    // MARK: Providers

    /// One answer, of those that wait, arrives.
    func release() async throws {
        guard house.provider.held > 0 else { return }
        say(randomWord(), to: random(0..<house.provider.held))
        await house.settle()
        try await finishCallbacks()
    }

    func randomWord() -> ProviderWord {
        isLikely(1, of: 2) ? .granted : ProviderWord.allCases.randomElement(using: &chance) ?? .granted
    }

    func say(_ word: ProviderWord, to index: Int) {
        let question = house.provider.take(index)
        note("\(question.isRefresh ? "refresh" : "code") of \(question.family?.id ?? "nobody"): \(word)")
        meet("\(question.isRefresh ? "refresh" : "code") \(word)")
        if question.isRefresh, let family = question.family {
            if word.ends { model.end { $0.family == family.id } }
            if !word.ends, word.counts, let sid = family.nextSid {
                rename(family.id, sid, since: question.marksKnown)
            }
            let provider = ModelConfig.clients.first { $0.value == family.client }?.key ?? ""
            model.refreshed(family.id, at: provider, counts: word.counts, atSeconds: now)
        }
        HeldProvider.say(word, to: question)
    }

    /// What ended by its new name since the question was asked ends what gets it; what ended before does not.
    private func rename(_ family: String, _ sid: String, since known: Int) {
        for signIn in model.signIns.values where signIn.family == family {
            var named = signIn
            named.sid = sid
            let marks = model.marks.count
            if model.wasEnded(named, in: known..<marks) {
                note("\(signIn.id) gets the name \(sid), which was ended meanwhile")
                meet("refresh under an ended name")
                model.end(signIns: [signIn.id])
            } else if model.wasEnded(named, in: min(signIn.marksKnown, known)..<known) {
                uncertain.append((signIn.id, sid))
            } else {
                meet("refresh under a new name")
                model.renew(signIn.id) { ($0.sid, $0.marksKnown) = (sid, marks) }
            }
        }
    }

    private func learnUncertain() async throws {
        for (id, sid) in uncertain {
            let row = try await house.store.session(id: id)
            meet("refresh under a name in doubt")
            if let row, row.providerSessionID != sid {
                fail("\(id) is called \(row.providerSessionID ?? "nothing"), and not \(sid)")
            }
            if row == nil { model.end(signIns: [id]) }
            let marks = model.marks.count
            model.renew(id) { ($0.sid, $0.marksKnown) = (sid, marks) }
        }
        uncertain = []
    }

    func refresh() async throws {
        await house.control.refreshSignIns()
        await house.settle()
        try await learnGivenUp(isTicked: true)
    }

    /// What its provider did not confirm for too long may have ended, and after a tick has: the store says what did.
    func learnGivenUp(isTicked: Bool = false) async throws {
        try await learnUncertain()
        guard model.signIns.values.contains(where: { model.mayBeGivenUp($0, atSeconds: now) }) else { return }
        let rows = Set(try await house.store.sessions(.all, limit: 10_000).map(\.id))
        for signIn in model.signIns.values where model.mayBeGivenUp(signIn, atSeconds: now) {
            if !rows.contains(signIn.id) {
                note("\(signIn.id) was not confirmed any more")
                meet("sign-in given up")
                model.end(signIns: [signIn.id])
            } else if isTicked, house.provider.held == 0, model.mustBeGivenUp(signIn, atSeconds: now) {
                fail("\(signIn.id) lives, and its provider has not confirmed it for too long")
            }
        }
    }

    // MARK: Endings

    func endSomething() async throws {
        let (kind, work) = ending()
        try await run(work, kind: kind)
        try await finishCallbacks()
    }

    /// Carries out an ending; its revocations are lost where that was planted.
    func run(_ work: @Sendable () async -> Void, kind: PlantedFault.Ending) async throws {
        house.reactors.losesRevocations(fault?.lost == kind)
        await work()
        await house.settle()
        house.reactors.losesRevocations(false)
        switch fault {
        case .underWayForgotten?: try house.forgetEndings()
        case .signOutForgotten?: try house.forgetSignOuts()
        case .countForgotten?: try house.forgetCount()
        case _: break
        }
    }

    /// One ending as the model sees it, and what carries it out.
    func ending() -> (kind: PlantedFault.Ending, work: @Sendable () async -> Void) {
        let index = random(0..<browsers.count)
        switch random(0..<16) {
        case 0: return (.signOut, signOut(index, everywhere: false))
        case 1: return (.signOut, signOut(index, everywhere: true))
        case 2: return (.backchannel, backchannel(isNamed: true))
        case 3: return (.backchannel, backchannel(isNamed: false))
        case 4: return (.frontchannel, frontchannel(index))
        case 5..<7: return (.deviceRevocation, revokeDevice())
        case 7..<9: return (.signal, signal())
        case 9: return (.machineRevocation, revokeTokens())
        case _: return (.command, commandedEnding())
        }
    }

    private func commandedEnding() -> @Sendable () async -> Void {
        switch random(0..<6) {
        case 0:
            guard let id = model.signIns.keys.sorted().randomElement(using: &chance) else { return {} }
            model.end(signIns: [id])
            return command(["session": .string(id)])
        case 1:
            guard let id = model.sessions.keys.sorted().randomElement(using: &chance) else { return {} }
            model.end(sessions: [id])
            return command(["session": .string(id)])
        case 2: return byPerson()
        case 3:
            let device = devices[random(0..<devices.count)]
            model.end { $0.device == device }
            return command(["device": .string(device)])
        case 4:
            guard isLikely(1, of: 2) else { return byApplication() }
            guard let name = model.config.providers.randomElement(using: &chance) else { return {} }
            model.end(.provider(name), atSeconds: now)
            return command(["provider": .string(name)])
        case _:
            guard let signIn = anySignIn() else { return {} }
            model.end(
                .person(issuer: signIn.issuer, subject: signIn.subject), atSeconds: now)
            return command(["provider": .string(signIn.provider), "subject": .string(signIn.subject)])
        }
    }

    func anySignIn() -> SessionModel.SignIn? {
        model.signIns.values.sorted { $0.id < $1.id }.randomElement(using: &chance)
    }

    private func byApplication() -> @Sendable () async -> Void {
        let name = ModelConfig.applications[random(0..<2)]
        model.end(sessions: model.sessions.values.filter { $0.application == name }.map(\.id))
        model.cutMachines(at: name)
        return command(["application": .string(name)])
    }

    /// By the address: whoever has it, at every issuer, also who has no session yet.
    private func byPerson() -> @Sendable () async -> Void {
        let email = isLikely(2, of: 3) ? "ann@corp.example" : "bob@corp.example"
        model.end(.address(email), atSeconds: now)
        return command(["person": .string(email)])
    }

    private func command(_ members: JSONObject) -> @Sendable () async -> Void {
        var members = members
        members["command"] = "session-end"
        let (control, whole) = (house.control, JSONValue.object(members))
        note("an administrator ends \(whole.serializedText())")
        meet("session-end")
        return { _ = await control.execute(whole) }
    }

    func signOut(_ index: Int, everywhere: Bool) -> @Sendable () async -> Void {
        let hosts =
            ["auth.corp.example"] + browsers[index].sessions.keys.sorted().map { "\($0).corp.example" }
        let host = hosts[random(0..<hosts.count)]
        let application = String(host.prefix { $0 != "." })
        let session = browsers[index].sessions[application]
        let signIn =
            host == hosts[0] ? browsers[index].signIn : session.flatMap { model.signInOfSession[$0] }
        note("browser \(index) signs out\(everywhere ? " everywhere" : "") at \(host): \(signIn ?? "nobody")")
        meet(everywhere ? "sign-out everywhere" : "sign-out")
        let fields = [Field("origin", "https://\(host):8443")] + browsers[index].cookie(host)
        let request = house.request(
            "/.gatepost/sign-out", query: everywhere ? "everywhere=yes" : "", host: host, method: "POST",
            fields: fields)
        browsers[index].signOuts += 1
        // With the cookie of a sign-in that has ended, too: what else the browser has is meant.
        if let signIn, cookieDigest(index, host) != nil {
            tellSignedOut(index, Set(model.present(signIn)))
            if everywhere {
                model.signOutEverywhere(signIn, atSeconds: now)
            } else {
                model.signOut(signIn)
            }
        }
        browsers[index].jars[host]?["__Host-gatepost"] = nil
        if host == hosts[0] {
            browsers[index].signIn = nil
        } else {
            browsers[index].sessions[application] = nil
        }
        let control = house.control
        return { _ = await control.answer(request) }
    }

    /// What this browser has begun under one of these sign-ins, which were just signed out of, is over. (Whatever else
    /// it has begun may be: then the page says so.)
    private func tellSignedOut(_ index: Int, _ ended: Set<String>) {
        func isMeant(_ callback: PendingCallback, hasCome: Bool) -> Bool {
            // Without one it was begun beside what was signed out of, in another tab.
            callback.browser == index && callback.under.map(ended.contains) ?? !ended.isEmpty
                // Come back with another's cookie it belongs to that one as well, and may be first.
                && (!hasCome || callback.before.map(ended.contains) ?? (callback.under == nil))
        }
        for place in callbacks.indices where isMeant(callbacks[place], hasCome: false) {
            callbacks[place].isSignedOut = true
        }
        for place in exchanging.indices where isMeant(exchanging[place], hasCome: true) {
            exchanging[place].isSignedOut = true
            meet("sign-out during an exchange")
        }
    }

    /// Somebody who is signed in signs in at another application, and out in another tab before their provider has
    /// spoken.
    func signOutUnderWay() async throws {
        let index = random(0..<browsers.count)
        guard browsers[index].signIn.map({ model.signIns[$0] != nil }) ?? false else { return }
        let count = callbacks.count
        try await beginSignIn(index, ModelConfig.applications[random(0..<2)])
        if callbacks.count > count, isLikely(3, of: 4) { try await comeBack(callbacks.count - 1) }
        try await run(signOut(index, everywhere: isLikely(1, of: 8)), kind: .signOut)
        try await finishCallbacks()
    }

    /// The host's clock is set back, while a provider is being asked where there is anything to ask; then perhaps
    /// something ends by a name that the answer is going to bring.
    func setBack() async throws {
        // Of those that are used some are due within three minutes; in steps so short that no provider has to answer.
        for _ in 0..<24 where house.provider.refreshing.isEmpty && !isFailedSoFar { try await advance(8) }
        let seconds = Int64(random(1..<11))
        guard seconds < now - model.lastEndAtSeconds else { return }
        let families = house.provider.refreshing
        note("the clock is set back by \(seconds) s, \(families.count) refreshes under way")
        meet(families.isEmpty ? "clock set back" : "clock set back during a refresh")
        house.clock.advance(-seconds)
        let named = families.filter { family in
            family.nextSid != nil && model.signIns.values.contains { $0.family == family.id }
        }
        guard let family = named.randomElement(using: &chance), isLikely(2, of: 3),
            let signIn = model.signIns.values.first(where: { $0.family == family.id }),
            model.config.providers.contains(signIn.provider)
        else { return }
        try await run(logout(signIn, sid: family.nextSid, subject: nil), kind: .backchannel)
        if isLikely(2, of: 3), let place = house.provider.place(ofRefresh: family.id) {
            say(.granted, to: place)
            await house.settle()
        }
        try await finishCallbacks()
    }

    private func backchannel(isNamed: Bool) -> @Sendable () async -> Void {
        guard let signIn = anySignIn(), model.config.providers.contains(signIn.provider) else { return {} }
        // Also by a name that nobody here has heard yet.
        let next = house.provider.refreshing.first { $0.id == signIn.family }?.nextSid
        let sid = isNamed ? isLikely(1, of: 2) ? next ?? signIn.sid : signIn.sid : nil
        return logout(signIn, sid: sid, subject: sid == nil || isLikely(1, of: 2) ? signIn.subject : nil)
    }

    private func logout(
        _ signIn: SessionModel.SignIn, sid: String?, subject: String?
    ) -> @Sendable () async -> Void {
        note("\(signIn.provider) logs out sid \(sid ?? "none") sub \(subject ?? "none")")
        meet("back-channel logout")
        if let sid {
            let marks: [SessionModel.Mark] =
                [.name(provider: signIn.provider, sid: sid)]
                + (subject.map { [.unnamed(provider: signIn.provider, subject: $0)] } ?? [])
            for mark in marks { model.end(mark, atSeconds: now) }
        } else if let subject {
            model.end(.subject(provider: signIn.provider, subject: subject), atSeconds: now)
        }
        number += 1
        let token = house.logoutToken(signIn.provider, sid: sid, subject: subject, id: number)
        let request = house.request(
            "/.gatepost/backchannel-logout/\(signIn.provider)", host: "auth.corp.example", method: "POST",
            fields: [Field("content-type", "application/x-www-form-urlencoded")],
            body: "logout_token=" + token)
        let (control, story) = (house.control, answered)
        return {
            let response = await control.answer(request)
            if response.status != 200 { story.complain("back-channel logout: \(response.status)") }
        }
    }

    /// Of the browser's own, those with that name; and sign-ins under way that turn out to bear it.
    private func frontchannel(_ index: Int) -> @Sendable () async -> Void {
        guard let own = browsers[index].signIn.flatMap({ model.signIns[$0] }) else { return {} }
        let all = [own] + own.linked.compactMap { model.signIns[$0] }
        guard let meant = all.filter({ $0.sid != nil }).randomElement(using: &chance), let sid = meant.sid
        else { return {} }
        note("a frame of \(meant.provider) in browser \(index) logs out \(sid)")
        meet("front-channel logout")
        let issuer = meant.issuer.replacing("://", with: "%3A%2F%2F")
        let request = house.request(
            "/.gatepost/frontchannel-logout/\(meant.provider)", query: "iss=\(issuer)&sid=\(sid)",
            host: "auth.corp.example", fields: browsers[index].cookie("auth.corp.example"))
        model.end(signIns: all.filter { $0.provider == meant.provider && $0.sid == sid }.map(\.id))
        model.tell(.name(provider: meant.provider, sid: sid), atSeconds: now)
        let control = house.control
        return { _ = await control.answer(request) }
    }

    // MARK: At the same moment

    /// An ending, an answer of a provider, renewals and refreshes at once.
    func storm() async throws {
        note("all at once:")
        meet("storm")
        // Not what may be idle: who was first, the idle end or the other one, would decide what else ends.
        let due = digests.suffix(6).filter { known in
            // Of two secrets of one session only the newer one is a use of it, sooner or later.
            guard digests.last(where: { $0.session == known.session })?.digest == known.digest else {
                return false
            }
            return model.sessions[known.session].map { !model.mayBeIdle($0, atSeconds: now) } ?? true
        }
        let linked = model.signIns.mapValues(\.linked)
        marksBeforeStorm = model.marks.count
        let (_, work) = ending()
        let control = house.control
        house.underWay.run { await work() }
        var asked: Set<String> = []
        for (digest, session, application) in due where isLikely(1, of: 2) {
            asked.insert(session)
            house.underWay.run { await control.renew(digest, application) }
        }
        if house.provider.held > 0 {
            let index = random(0..<house.provider.held)
            // Which name it had when the ending came would be anybody's guess.
            if !house.provider.isRenaming(index) { say(randomWord(), to: index) }
        }
        house.underWay.run { await control.refreshSignIns() }
        for (digest, session, application) in due where isLikely(1, of: 3) {
            // Its outcome depends on who was first; what it opened must not outlive the ending.
            let request = house.reactors.request(
                digest, application, on: random(0..<StandInReactors.count), nowSeconds: now)
            raced.append((request, session))
            asked.insert(session)
        }
        endedAtOnce = linked.filter { model.signIns[$0.key] == nil }
        await house.settle()
        for (request, session) in raced {
            guard case .opened(let stream)? = house.reactors.outcome(request) else { continue }
            if model.isAccepted(session) { model.streams[stream] = session }
        }
        raced = []
        try await learnIdle()
        try await learnGivenUp()
        for session in asked { model.use(session, atSeconds: now) }
        try await finishCallbacks()
        endedAtOnce = [:]
        marksBeforeStorm = nil
    }

    /// A device is proven by a sign-in.
    func proveDevice() async throws {
        guard let signIn = anySignIn(), signIn.device == nil else { return }
        let device = devices[random(0..<devices.count)]
        try await house.enroll(device)
        note("\(signIn.id) proves \(device)")
        let sessions = Sessions(store: house.store, ring: house.control.ring)
        _ = try? await sessions.change(signIn.id) { $0.deviceID = device }
        model.renew(signIn.id) { $0.device = device }
    }

    // MARK: Time and configuration

    /// - Parameter word: what providers say to refreshes meanwhile; nil: as chance decides.
    func advance(_ seconds: Int64, saying word: ProviderWord? = nil) async throws {
        note("\(seconds) s pass")
        let end = now + seconds
        while now < end, !isFailedSoFar {
            // A provider that says nothing for ten seconds was not reached.
            while end - now > 10, house.provider.held > 0 {
                say(house.provider.isRefreshFirst ? word ?? randomWord() : .unreachable, to: 0)
                await house.settle()
                try await learnGivenUp()
                try await finishCallbacks()
            }
            let quiet = house.reactors.quietSeconds(nowSeconds: now)
            let upkeep = max(1, lastKeepUpSeconds + 60 - now)
            house.clock.advance(min(end - now, quiet, upkeep))
            model.expire(atSeconds: now)
            for session in model.streams.values { model.use(session, atSeconds: now) }
            house.reactors.check(nowSeconds: now)
            await house.settle()
            lookAtStreamsInBetween()
            if now - lastKeepUpSeconds >= 60 {
                lastKeepUpSeconds = now
                await house.control.keepUp()
                model.settle(atSeconds: now)
            }
            try await refresh()
        }
    }

    private func lookAtStreamsInBetween() {
        let open = house.reactors.open
        for (stream, session) in open where model.streams[stream] == nil {
            fail("stream \(stream) of \(session) is open past its end")
        }
        for (stream, session) in model.streams where open[stream] == nil {
            fail("stream \(stream) of \(session) was cut")
        }
    }

    /// A provider is taken out or comes back, an application stops or begins to accept one; by a reload or a restart.
    func configure() async throws {
        var next = model.config
        switch random(0..<4) {
        case 0:
            let name = ["managed", "partner"][random(0..<2)]
            if next.providers.contains(name) {
                next.providers.removeAll { $0 == name }
            } else {
                next.providers.append(name)
            }
        case 1: next.accepted["wiki"] = next.accepted["wiki"] == ["corp"] ? ["corp", "partner"] : ["corp"]
        case 2: next.accepted["vault"] = next.accepted["vault"] == ["corp"] ? ["managed", "corp"] : ["corp"]
        case _: break
        }
        try await take(next, isRestart: isLikely(1, of: 3))
    }

    func take(_ next: ModelConfig, isRestart: Bool) async throws {
        note("\(isRestart ? "restart" : "reload") with \(next.providers) \(next.accepted)")
        meet(isRestart ? "restart" : "reload")
        try house.write(next)
        if isRestart {
            try await house.startAnew()
            model.forgetFailing()
            exchanging = []
            model.streams = [:]
        } else {
            try await house.control.reload()
        }
        await house.settle()
        model.take(next, isRestart: isRestart, atSeconds: now)
        try await finishCallbacks()
    }
}
