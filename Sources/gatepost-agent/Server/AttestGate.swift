import JSON
import Signatures
import Synchronization

/// Everything that a request must pass before the agent signs, cheapest first and in exactly the order of
/// handshake.md M3. Each later line assumes every earlier one.
final class AttestGate: Sendable {
    static let bodyBytesMax: Int64 = 8 << 10
    static let path = "/v1/attest"

    struct Memory {
        var bucket = TokenBucket()
        /// Visits carry no Origin: until the signature is checked anybody may have sent them.
        var strangers = TokenBucket(perSecond: 50, burst: 100)
        var signed = SignedChallenges()
    }

    let identity: DeviceIdentity
    let maker: AssertionMaker
    /// nil: every local user may ask.
    private let users: Set<UInt32>?
    private let peerUser: @Sendable (Peer) -> UInt32?
    let memory = Mutex(Memory())

    init(
        identity: DeviceIdentity, maker: AssertionMaker, users: Set<UInt32>?,
        peerUser: @escaping @Sendable (Peer) -> UInt32?
    ) {
        self.identity = identity
        self.maker = maker
        self.users = users
        self.peerUser = peerUser
    }

    /// What the head alone decides; nil: read the body and ask `attest`.
    func judgeHead(_ request: AttestRequest, peer: Peer) -> AttestAnswer? {
        guard peer.isLoopback else { return .silent }
        // A page of another name that resolves to 127.0.0.1 (DNS rebinding) names itself here.
        guard ["127.0.0.1", "localhost", "[::1]"].contains(request.host), request.port == peer.localPort
        else {
            return .misdirected
        }
        if request.method == "GET" { return Visit(request) == nil ? .silent : nil }
        let isPreflight = request.method == "OPTIONS"
        guard isPreflight || request.method == "POST" else { return .silent }
        if !isPreflight {
            guard let length = request.bodyLength, length > 0, length <= Self.bodyBytesMax,
                // Anything but JSON could be sent by a form without a preflight.
                Self.isJSON(request.contentType)
            else { return .silent }
        }
        guard let origin = request.origin, Self.sameBytes(origin, identity.enrolment.authOrigin) else {
            return .silent
        }
        guard request.path == Self.path, !request.hasQuery else { return .silent }
        return isPreflight ? preflight(request, origin: origin) : nil
    }

    /// The rest, for a head that passed. Refusals from here on go to an enrolled gateway's page and say why.
    func attest(
        _ request: AttestRequest, body: [UInt8], peer: Peer, nowSeconds: Int64, nowMilliseconds: Int64
    ) -> AttestAnswer {
        if let visit = Visit(request) {
            return answer(
                visit, peer: peer, nowSeconds: nowSeconds, nowMilliseconds: nowMilliseconds)
        }
        let origin = identity.enrolment.authOrigin
        do throws(AttestRefusal) {
            let assertion = try sign(
                body, origin: origin, peer: peer, nowSeconds: nowSeconds, nowMilliseconds: nowMilliseconds)
            return answer(200, maker.answer(assertion), origin: origin)
        } catch {
            var refused = answer(
                error.status, ["error": .string(error.rawValue), "now": .integer(nowSeconds)], origin: origin)
            refused.refusal = error
            return refused
        }
    }

    private func sign(
        _ body: [UInt8], origin: String, peer: Peer, nowSeconds: Int64, nowMilliseconds: Int64
    ) throws(AttestRefusal) -> String {
        guard memory.withLock({ $0.bucket.take(nowMilliseconds: nowMilliseconds) }) else {
            throw .rateLimited
        }
        guard
            let value = try? JSONValue(
                parsing: body, limits: JSONLimits(bytesMax: Int(Self.bodyBytesMax), depthMax: 4)),
            let compact = value["challenge"]?.string
        else { throw .requestMalformed }
        identity.noteUnknownKey(in: compact)
        let challenge = try Challenge(compact, enrolment: identity.enrolment, nowSeconds: nowSeconds)
        return try sign(challenge, origin: origin, transport: .fetch, peer: peer, nowSeconds: nowSeconds)
    }

    /// The rest of the lines, alike for every transport.
    ///
    /// - Parameter origin: as the browser sent it; nil for visits, which have none.
    func sign(
        _ challenge: Challenge, origin: String?, transport: AssertionMaker.Transport, peer: Peer,
        nowSeconds: Int64
    ) throws(AttestRefusal) -> String {
        identity.note(announcement: challenge.keySequence)
        guard challenge.origin == .string(origin ?? identity.enrolment.authOrigin) else {
            throw .originNotAllowed
        }
        guard !memory.withLock({ $0.signed.contains(challenge.identifier) }) else { throw .challengeReplayed }
        guard let user = peerUser(peer), users?.contains(user) ?? true else { throw .wrongUser }
        // Entered and asked in one step: of two equal challenges at the same moment one is answered.
        let until = challenge.expiresAtSeconds + Challenge.skewSeconds
        let entered = memory.withLock {
            $0.signed.insert(challenge.identifier, untilSeconds: until, nowSeconds: nowSeconds)
        }
        switch entered {
        case .entered: break
        case .known: throw .challengeReplayed
        case .full: throw .overloaded
        }
        guard
            let assertion = maker.assertion(
                for: challenge, origin: origin, transport: transport, userID: user, nowSeconds: nowSeconds)
        else { throw .overloaded }
        return assertion
    }

    private func preflight(_ request: AttestRequest, origin: String) -> AttestAnswer {
        guard request.requestedMethod == "POST" else { return .silent }
        let headers = (request.requestedHeaders ?? "").lowercased().split(separator: ",")
            .map { $0.filter { $0 != " " } }
        guard headers.allSatisfy({ $0 == "content-type" }) else { return .silent }
        var fields = Self.cors(origin)
        fields += [
            ("Access-Control-Allow-Methods", "POST"), ("Access-Control-Allow-Headers", "content-type"),
            ("Access-Control-Max-Age", "600"),
        ]
        // Only older Chromium asks; the field is dead elsewhere (handshake.md 0.4).
        if request.asksForPrivateNetwork { fields.append(("Access-Control-Allow-Private-Network", "true")) }
        return AttestAnswer(status: 204, fields: fields, body: [])
    }

    private func answer(_ status: Int, _ body: JSONValue, origin: String) -> AttestAnswer {
        AttestAnswer(
            status: status, fields: Self.cors(origin) + [("Content-Type", "application/json")],
            body: body.serialized())
    }

    /// No credentials: the page's cookies are none of the agent's business.
    private static func cors(_ origin: String) -> [(String, String)] {
        [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
    }

    private static func isJSON(_ type: String?) -> Bool {
        guard let type else { return false }
        let media = type.lowercased().split(separator: ";", omittingEmptySubsequences: false).first ?? ""
        return media.filter { $0 != " " } == "application/json"
    }

    private static func sameBytes(_ left: String, _ right: String) -> Bool {
        Array(left.utf8) == Array(right.utf8)
    }
}
