import Border
import Identity
import Signatures
import Store
import Synchronization

@testable import Control

/// What callbacks were answered, from whichever task they ran in.
final class Answered: Sendable {
    private let all = Mutex<[(PendingCallback, ControlResponse)]>([])
    private let complaints = Mutex<[String]>([])
    func add(_ callback: PendingCallback, _ response: ControlResponse) {
        all.withLock { $0.append((callback, response)) }
    }
    /// Something that must not be answered so, found out in a task of its own.
    func complain(_ what: String) { complaints.withLock { $0.append(what) } }
    func takeComplaints() -> [String] {
        complaints.withLock { all in
            defer { all = [] }
            return all
        }
    }
    func take() -> [(PendingCallback, ControlResponse)] {
        all.withLock { all in
            defer { all = [] }
            return all
        }
    }
}

/// What came of sign-ins: the only places where the model learns a name.
extension SessionStory {
    func finishCallbacks() async throws {
        for (sent, response) in answered.take() {
            var callback = sent
            let place = exchanging.firstIndex { $0.signIn.family == sent.signIn.family }
            if let place { callback.isSignedOut = exchanging.remove(at: place).isSignedOut }
            let index = callback.browser
            browsers[index].keep(response, "auth.corp.example")
            try await learn(callback, callback.before, response)
        }
    }

    private func learn(
        _ callback: PendingCallback, _ before: String?, _ response: ControlResponse
    ) async throws {
        let index = callback.browser
        let rows = try await house.store.sessions(.all, limit: 10_000)
        let here = rows.filter { $0.kind == .global }
        let new = here.filter { model.signIns[$0.id] == nil && !model.dead.contains($0.id) }
        guard let url = location(response), url.contains("/.gatepost/handoff") else {
            note("browser \(index): \(callback.signIn.family) signs nobody in (\(response.status))")
            meet("callback without sign-in")
            if String(decoding: response.body, as: UTF8.self).contains("You are signed out") {
                meet("signed out under way")
                if browsers[index].signOuts == callback.signOutsKnown {
                    fail("\(callback.signIn.family) was taken for signed out, and browser \(index) was not")
                }
            }
            if !new.isEmpty { fail("a sign-in that was not answered so: \(new.map(\.id))") }
            // One that is ended in the very moment in which it is laid over its browser's own takes that with it.
            if let marks = marksBeforeStorm, let before, let known = model.signIns[before],
                known.provider == callback.signIn.provider,
                known.subject == callback.signIn.subject, !here.contains(where: { $0.id == before })
            {
                let isTold = [known, callback.signIn].contains {
                    model.wasEnded($0, in: marks..<model.marks.count)
                }
                if isTold { model.end(signIns: [before]) }
            }
            return
        }
        let digest = cookieDigest(index, "auth.corp.example")
        guard
            let row = new.first ?? here.first(where: { $0.tokenDigest == digest })
                ?? same(callback, before, here)
        else {
            // Ended in the same step.
            return note("browser \(index): \(callback.signIn.family) is over already")
        }
        if new.count > 1 { fail("two sign-ins of one callback") }
        begin(callback, row, before, isNew: !new.isEmpty)
        browsers[index].signIn = row.id
        handOver(url, index, String(url.dropFirst("https://".count).prefix { $0 != "." }))
    }

    /// Of several tabs only the first is given a new cookie. Of the same person: where another one's sign-in has ended
    /// in the same step, the one before it is still there and is not theirs.
    private func same(
        _ callback: PendingCallback, _ before: String?, _ rows: [StoredSession]
    ) -> StoredSession? {
        rows.first { row in
            row.id == before && row.identityProvider == callback.signIn.provider
                && row.subject == callback.signIn.subject
        }
    }

    private func begin(_ callback: PendingCallback, _ row: StoredSession, _ before: String?, isNew: Bool) {
        var signIn = callback.signIn
        signIn.id = row.id
        // Everything by the time of the browser's request.
        signIn.usedAtSeconds = callback.cameBackAtSeconds
        signIn.expiresAtSeconds = callback.cameBackAtSeconds + ModelConfig.sessionSeconds(signIn.provider)
        note("browser \(callback.browser): \(signIn.family) is \(row.id)\(isNew ? "" : " again")")
        meet(isNew ? "sign-in" : "sign-in again")
        signIn.marksKnown = model.marks.count
        let isTold = model.wasEnded(
            signIn, sinceSeconds: callback.beganAtSeconds, beyond: callback.marksKnown)
        if isTold || callback.isSignedOut {
            fail("\(row.id) was ended while it was under way, and is there")
        }
        if !model.config.providers.contains(signIn.provider) { fail("\(row.id) is of no provider") }
        guard isNew else {
            if model.signIns[row.id] == nil { fail("\(row.id) came back") }
            return model.renew(row.id) { known in
                (known.sid, known.marksKnown) = (signIn.sid, signIn.marksKnown)
                known.family = signIn.family
                (known.failingSinceSeconds, known.doubtedSinceSeconds) = (nil, nil)
                known.usedAtSeconds = max(known.usedAtSeconds, signIn.usedAtSeconds)
                known.expiresAtSeconds = signIn.expiresAtSeconds
            }
        }
        let others = linked(to: before, in: row)
        // What other tabs of the browser have signed in to meanwhile belongs to it as well.
        let beside = model.signIns.values.filter { $0.browser == signIn.browser && !others.contains($0.id) }
        if !beside.isEmpty { meet("sign-ins side by side") }
        model.begin(signIn, linkedTo: others + beside.map(\.id).sorted())
    }

    /// What the browser came with, also where that was ended in the same moment: who was first decides whether
    /// it brought the browser's others along, and the store knows who was.
    private func linked(to before: String?, in row: StoredSession) -> [String] {
        guard let before else { return [] }
        let linked = model.browser(of: before)
        guard linked.isEmpty else { return linked }
        let others = endedAtOnce[before] ?? model.left(of: before)
        let kept = Sessions.linked(row)
        return others.filter { model.signIns[$0] != nil && kept.contains($0) }
    }

    func cookieDigest(_ index: Int, _ host: String) -> [UInt8]? {
        SessionCookie.of(
            cookieField: browsers[index].cookie(host).map(\.value), ring: house.control.ring)?.tokenDigest
    }

    func redeem(_ handoff: PendingHandoff) async throws {
        let index = handoff.browser
        let host = "\(handoff.application).corp.example"
        let earlier = cookieDigest(index, host)
        let response = await answer(
            index, house.request("/.gatepost/handoff", query: handoff.query, host: host))
        guard let digest = cookieDigest(index, host), digest != earlier,
            let row = try await house.store.session(tokenDigest: digest, nowSeconds: now)
        else {
            meet("handoff without session")
            return note("browser \(index): no session of \(handoff.signIn) (\(response.status))")
        }
        note("browser \(index): \(row.id) at \(handoff.application) under \(row.globalID ?? "nothing")")
        meet("session")
        guard let above = row.globalID, let signIn = model.signIns[above], above == handoff.signIn else {
            return fail("\(row.id) has no living sign-in above it")
        }
        if !model.config.accepts(signIn.provider, at: handoff.application) {
            fail("\(row.id) is of a provider that is not accepted")
        }
        browsers[index].sessions[handoff.application] = row.id
        digests.append((digest, row.id, handoff.application))
        if learnUpgrade(row, under: signIn) { return }
        let end = min(signIn.expiresAtSeconds, now + ModelConfig.sessionSeconds(at: handoff.application))
        model.begin(
            SessionModel.Session(
                id: row.id, signIn: above, provider: signIn.provider, application: handoff.application,
                expiresAtSeconds: end, usedAtSeconds: now))
        try await trim(above, handoff.application, newest: row.id)
    }

    /// Beyond four of one browser at one application the oldest end.
    private func trim(_ signIn: String, _ application: String, newest: String) async throws {
        let own = model.sessions.values.filter {
            $0.signIn == signIn && $0.application == application
        }
        guard own.count > 4 else { return }
        let rows = Set(try await house.store.sessions(.global(id: signIn), limit: 100).map(\.id))
        let gone = own.filter { !rows.contains($0.id) }
        meet("trimmed")
        if own.count - gone.count != 4 || !rows.contains(newest) {
            fail("trimmed to something else than four")
        }
        model.end(sessions: gone.map(\.id))
    }

    // MARK: Held against the model

    func look(isLast: Bool = false) async throws {
        await house.settle()
        try await learnGivenUp()
        try await finishCallbacks()
        house.reactors.check(nowSeconds: now)
        await house.settle()
        for complaint in answered.takeComplaints() { fail(complaint) }
        model.expire(atSeconds: now)
        let rows = try await house.store.sessions(.all, limit: 10_000)
        let ids = Set(rows.map(\.id))
        for row in rows where row.expiresAtSeconds > now {
            let end =
                row.kind == .global
                ? model.signIns[row.id]?.expiresAtSeconds : model.sessions[row.id]?.expiresAtSeconds
            if end != row.expiresAtSeconds {
                fail("\(row.id) is in the store until \(row.expiresAtSeconds), and until \(end ?? 0) here")
            }
        }
        for id in model.signIns.keys where !ids.contains(id) { fail("the sign-in \(id) is gone") }
        for id in model.sessions.keys where !ids.contains(id) { fail("the session \(id) is gone") }
        lookAtStreams()
        try await lookAtTheDead(all: isLast)
    }

    private func lookAtStreams() {
        let open = house.reactors.open
        for (stream, session) in open where model.streams[stream] == nil {
            fail("stream \(stream) of \(session) is open past its end")
        }
        for (stream, session) in model.streams {
            if open[stream] == nil { fail("stream \(stream) of \(session) was cut") }
            model.use(session, atSeconds: now)
        }
    }

    /// Nobody who asks with what was ended is let in. (What lives is not asked: that would be a use.)
    private func lookAtTheDead(all: Bool) async throws {
        let dead = digests.filter { model.sessions[$0.session] == nil }
        for (digest, session, application) in all ? dead : dead.suffix(3) {
            let request = house.reactors.request(digest, application, on: 0, nowSeconds: now)
            await house.settle()
            if house.reactors.outcome(request) != .signIn { fail("\(session) has ended and lets in") }
        }
        try await lookAtDeadTokens(all: all)
    }
}
