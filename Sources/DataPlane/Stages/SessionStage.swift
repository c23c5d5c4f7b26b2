import Access
import Border
import HTTP

/// Cookie → session, from the reactor's cache; an unknown one is pulled while the request is parked.
extension Reactor {
    enum SessionResult {
        case session(Int32)
        case none
        case done(Step)
    }

    /// A record that races with revocations is pulled again this often before the request is given up.
    private static let pullsMax = 3
    /// Records that are short-lived by nature must not make every request ask for another one.
    private static let renewEverySecondsMin: Int64 = 10

    func findSession(_ slot: Int32, _ route: Route) -> SessionResult {
        let connection = downstreams[slot]
        if route.servesMachines, let machine = findMachine(slot, route) { return machine }
        guard connection.pointee.exchange.sessionAnswer == .notAsked else { return .none }
        let head = connection.pointee.input.bytes.span
        guard case .value(let range) = work.pointee.fields.sessionCookie else { return .none }
        let text = head.extracting(range.indices)
        if connection.pointee.lastCookie.equals(text), sessions.finds(connection.pointee.lastCookie.session) {
            let found = connection.pointee.lastCookie.session.slot
            if sessions[found].pointee.record.expiresAtSeconds > nowSeconds {
                return sessionHit(found, route)
            }
        }
        guard let cookie = SessionCookie(text) else {
            counters.add(.forgedCookies)
            return .none
        }
        let key = secret(of: cookie, slot, route)
        let found = sessions.find(key)
        // A machine's record is known by a digest, which is no secret: no cookie may find it.
        if found >= 0, sessions[found].pointee.record.client != .person {
            counters.add(.forgedCookies)
            return .none
        }
        if found >= 0 {
            if sessions[found].pointee.record.expiresAtSeconds > nowSeconds {
                connection.pointee.lastCookie = CookieMemo(text, sessions.handle(found))
                return sessionHit(found, route)
            }
            endSession(found, sequence: nil)
        }
        guard let mac = plan.snapshot.cookieKeys.first(where: { $0.id == cookie.keyID }),
            cookie.isGenuine(under: mac.secret)
        else {
            counters.add(.forgedCookies)
            return .none
        }
        return .done(pullPerson(slot, cookie, by: key, route.name))
    }

    func sessionHit(_ found: Int32, _ route: Route) -> SessionResult {
        let session = sessions[found]
        guard session.pointee.record.application == route.name else { return .none }
        session.pointee.wasUsed = true
        counters.add(.sessionHits)
        if nowSeconds >= session.pointee.record.renewAtSeconds,
            !(0..<Self.renewEverySecondsMin).contains(nowSeconds - session.pointee.renewalAskedAtSeconds),
            toControl.send(
                .renew(tokenDigest: session.pointee.record.tokenDigest, application: route.name))
        {
            session.pointee.renewalAskedAtSeconds = nowSeconds
        }
        return .session(found)
    }

    func pull(_ slot: Int32, _ digest: [UInt8], _ application: String) -> Step {
        ask(slot) { .pullSession($0, tokenDigest: digest, application: application) }
    }

    /// Parks the request until the control plane has answered.
    func ask(_ slot: Int32, _ question: (Ticket) -> ToControl) -> Step {
        guard downstreams[slot].pointee.exchange.pulls < Self.pullsMax else {
            return refuse(slot, 503, .controlPlaneUnavailable)
        }
        guard let ticket = park(slot) else { return refuse(slot, 503, .overloaded) }
        downstreams[slot].pointee.exchange.pulls += 1
        counters.add(.sessionPulls)
        guard toControl.send(question(ticket)) else {
            unpark(slot)
            return refuse(slot, 503, .overloaded)
        }
        return .wait
    }

    /// The residual has run out: a new one is pulled. For nobody's residual that is the configuration, which
    /// only the control plane sends: until then nothing is decided.
    func pullAgain(_ slot: Int32, _ session: Int32) -> Step {
        guard session >= 0 else {
            return refuse(slot, 503, .controlPlaneUnavailable)
        }
        downstreams[slot].pointee.exchange.secret = sessions[session].pointee.secret
        return pullAnew(slot, sessions[session].pointee.record)
    }

    /// The control plane cannot say whether there is such a session: that is a failure, and not a reason to send
    /// somebody to sign in who may be signed in.
    func sessionUnavailable(_ ticket: Ticket, _ reason: Reason) {
        guard let slot = parkedSlot(ticket) else { return }
        unpark(slot)
        resume(slot, refuse(slot, 503, reason))
    }

    /// The control plane's answer to `pullSession`.
    func sessionAnswered(_ ticket: Ticket, _ record: SessionRecord?) {
        guard let slot = parkedSlot(ticket) else { return }
        let connection = downstreams[slot]
        unpark(slot)
        guard let record, record.version == 1, let digest = Token(record.tokenDigest),
            let application = connection.pointee.route?.application,
            record.application == application.name, record.expiresAtSeconds > nowSeconds
        else {
            connection.pointee.exchange.sessionAnswer = .none
            return serve(slot)
        }
        guard !state.pointee.recent.makesStale(record) else {
            // Of a bearer token, and beside a certificate, the head is needed again: the walk reads it, and pulls.
            guard record.client != .bearerToken, record.certificate == nil else { return serve(slot) }
            return resume(slot, pullAnew(slot, record))
        }
        let known = sessions.find(connection.pointee.exchange.secret)
        // What is open was opened by the record before: it is decided anew, as after a revocation.
        if known >= 0 {
            renew(known, record)
            return serve(slot)
        }
        if sessions.isFull { counters.add(.sessionsEvicted) }
        guard sessions.insert(record, secret: connection.pointee.exchange.secret, digest: digest) >= 0 else {
            return resume(slot, refuse(slot, 503, .overloaded))
        }
        serve(slot)
    }
}
