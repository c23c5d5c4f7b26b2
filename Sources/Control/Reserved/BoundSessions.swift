import Access
import Border
import Config
import Identity
import JSON
import Store

/// The reserved paths of sessions that are bound to a key.
enum BoundPath {
    static let register = "/.gatepost/dbsc/register"
    static let refresh = "/.gatepost/dbsc/refresh"
}

/// Device Bound Session Credentials (W3C draft): browsers bind an application's session to a key, and prove it for the
/// next cookie. Not the auth host's: browsers come there from other sites, where a cookie with SameSite=Lax is neither
/// sent along nor taken with the registration.
extension ControlPlane {
    /// Offers a browser that has just signed in to register a key. Only then: an offer to whoever brings a cookie would
    /// bind a stolen one to the thief's key.
    func offeringKey(_ response: ControlResponse, _ request: ControlRequest) async -> ControlResponse {
        guard services.boundSeconds(of: request) != nil,
            let cookie = response.fields.lazy.compactMap({ self.sessionCookie(in: $0) }).first
        else { return response }
        let now = nowSeconds()
        // Who cannot be offered a key has an ordinary session; the sign-in itself has succeeded.
        guard let found = try? await store.session(tokenDigest: cookie.tokenDigest, nowSeconds: now),
            found.binding == nil
        else { return response }
        var response = response
        let challenge = boundSessions.offer(to: found, nowSeconds: now)
        response.fields.append(
            Field(
                "Secure-Session-Registration",
                "(ES256 RS256);path=\"\(BoundPath.register)\";challenge=\"\(challenge)\""))
        return response
    }

    private func sessionCookie(in field: Field) -> SessionCookie? {
        let prefix = "\(SessionCookie.name)="
        guard field.name == "Set-Cookie", field.value.hasPrefix(prefix) else { return nil }
        let value = field.value.dropFirst(prefix.count).prefix { $0 != ";" }
        return SessionCookie(parsing: String(value), ring: ring)
    }

    /// `POST /.gatepost/dbsc/register` with the session's cookie and a proof in `Secure-Session-Response`.
    func registerKey(_ request: ControlRequest) async throws(StoreError) -> ControlResponse {
        let answers = Answers(request: request)
        guard services.boundSeconds(of: request) != nil else { return answers.refusal(404, .routeNotFound) }
        let session = try await applicationSession(request)
        let presented = Sessions(store: store, ring: ring).presentedDigest(
            cookieField: request.values("cookie"))
        guard let proof = request.value("secure-session-response") else {
            return answers.refusal(400, .requestMalformed)
        }
        guard let session, let presented else { return answers.refusal(401, .sessionEnded) }
        let outcome = try await boundSessions.register(
            proof, session, presented: presented, place(request, BoundPath.register))
        return try await answer(outcome, request, id: session.id)
    }

    /// `POST /.gatepost/dbsc/refresh` with the session's name in `Sec-Secure-Session-Id`. No page can send that field:
    /// only the browser itself comes here.
    func refreshBound(_ request: ControlRequest) async throws(StoreError) -> ControlResponse {
        let answers = Answers(request: request)
        guard let field = request.value("sec-secure-session-id"), field.utf8.count <= Self.idBytesMax,
            let id = BoundSessions.identifier(field)
        else { return answers.refusal(400, .requestMalformed) }
        let proofs = request.values("secure-session-response")
        guard proofs.count <= 1 else { return answers.refusal(400, .requestMalformed) }
        let outcome = try await boundSessions.refresh(
            id, proofs.first, place(request, BoundPath.refresh))
        return try await answer(outcome, request, id: id)
    }

    private static let idBytesMax = 128

    private var boundSessions: BoundSessions {
        BoundSessions(sessions: Sessions(store: store, ring: ring), ring: ring)
    }

    private func place(_ request: ControlRequest, _ path: String) -> BoundSessions.Place {
        BoundSessions.Place(
            kind: .application, host: request.host, url: services.origin(of: request.host) + path,
            // What is bound stays bound, also when nothing is offered any more.
            lifetimeSeconds: services.boundSeconds(of: request) ?? Self.standardSeconds,
            nowSeconds: nowSeconds())
    }

    private static let standardSeconds: Int64 = 600

    private func answer(
        _ outcome: BoundSessions.Outcome, _ request: ControlRequest, id: String
    ) async throws(StoreError) -> ControlResponse {
        let answers = Answers(request: request)
        switch outcome {
        case .proven(let session, let cookie, let challenge):
            if cookie != nil { try await proven(session) }
            var response = answers.json(
                200, instructions(session, request), setCookies: cookie.map { [$0.setCookie] } ?? [])
            response.fields.append(Self.challenge(challenge, session.id))
            return response
        case .challenge(let challenge):
            var response = answers.refusal(403, .challengeExpired)
            response.fields.append(Self.challenge(challenge, id))
            return response
        case .refused(let reason, let detail):
            EventLog.write(
                "session-key-refused",
                [
                    ("request_id", .string(request.requestID)), ("session", .string(id)),
                    ("reason", .string(reason.rawValue)), ("what", .string(detail)),
                ])
            return answers.refusal(401, reason)
        }
    }

    /// Reactors hear of it: the secret before ends, and policies that ask for the key may hold now.
    private func proven(_ session: StoredSession) async throws(StoreError) {
        try await redecide(
            .ids([session.id]), limit: 1, beginBatch(.key, eventNanoseconds: monotonicNanoseconds()))
        changes.announce()
    }

    private static func challenge(_ challenge: String, _ id: String) -> Field {
        Field("Secure-Session-Challenge", "\"\(challenge)\";id=\"\(id)\"")
    }

    /// What the browser is to do from now on (the draft's "JSON Session Instruction Format").
    private func instructions(_ session: StoredSession, _ request: ControlRequest) -> JSONValue {
        [
            "session_identifier": .string(session.id),
            "refresh_url": .string(BoundPath.refresh),
            "scope": ["origin": .string(services.origin(of: request.host)), "include_site": false],
            "credentials": [
                [
                    "type": "cookie", "name": .string(SessionCookie.name),
                    "attributes": .string(SessionCookie.attributes),
                ]
            ],
            // Links from anywhere may need a new cookie. Only navigations carry it from elsewhere (SameSite=Lax), so
            // only they can begin a refresh.
            "allowed_refresh_initiators": ["*"],
        ]
    }
}

extension Services {
    /// How long cookies of bound sessions last at a request's application; nil: it offers none.
    func boundSeconds(of request: ControlRequest) -> Int64? {
        application(request.application)?.boundSeconds
    }
}
