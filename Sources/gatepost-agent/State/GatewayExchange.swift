import Fetch
import JSON
import Signatures

/// The agent's two calls to its gateway: `enroll` and `renew`.
struct GatewayExchange: Sendable {
    static let answerBytesMax = 128 << 10

    let fetcher: any Fetcher

    /// Has a key certified with a one-time token.
    ///
    /// - Parameter predecessor: what this machine was enrolled as at the same gateway, when it was: its key
    ///   says that the new one takes its place.
    func enroll(
        url: String, token: String, key: any DeviceSigner, facts: JSONObject, users: [UInt32],
        authoritiesPEM: [UInt8]?, attestation: JSONValue? = nil, predecessor: DeviceIdentity? = nil,
        nowSeconds: Int64
    ) async throws(AgentError) -> Enrolment {
        guard Enrolment.isOrigin(url) else {
            throw AgentError(
                "\(url) is no address of a gateway", remedy: "use --url https://AUTH-HOST[:PORT]")
        }
        let csr = try key.certificateRequest(commonName: "gatepost-agent")
        // The old key may lie in the same chip.
        key.release()
        var members = JSONObject([
            ("token", .string(token)), ("csr", .string(Base64.encode(csr))), ("facts", .object(facts)),
            ("key", .string(key.level)),
        ])
        if let attestation { members["attestation"] = attestation }
        if let predecessor, Array(predecessor.enrolment.authOrigin.utf8) == Array(url.utf8) {
            members["predecessor"] = .string(try Self.succession(of: predecessor, token: token, csr: csr))
            predecessor.key.release()
        }
        let body = JSONValue.object(members)
        let answer = try await post(url + "/.gatepost/enroll", body, authoritiesPEM)
        let enrolment = try Enrolment(
            answer: answer, following: nil, nowSeconds: nowSeconds, users: users,
            authoritiesPEM: authoritiesPEM)
        guard Array(enrolment.authOrigin.utf8) == Array(url.utf8) else {
            throw AgentError(
                "the gateway calls itself \(enrolment.authOrigin)",
                remedy: "use exactly this address with --url")
        }
        try check(enrolment, key)
        return enrolment
    }

    /// The first step of an enrolment with a security chip: the gateway's credential for it.
    func openAttestation(
        url: String, token: String, opening: JSONValue, authoritiesPEM: [UInt8]?
    ) async throws(AgentError) -> JSONValue {
        guard Enrolment.isOrigin(url) else {
            throw AgentError(
                "\(url) is no address of a gateway", remedy: "use --url https://AUTH-HOST[:PORT]")
        }
        return try await post(
            url + "/.gatepost/enroll", ["token": .string(token), "attestation": opening], authoritiesPEM)
    }

    /// The next certificate, and the gateway keys of today: announced by a pinned root, and never older ones.
    func renew(_ identity: DeviceIdentity, nowSeconds: Int64) async throws(AgentError) -> Enrolment {
        let old = identity.enrolment
        let header = JSONObject([
            ("typ", .string("renewal+jwt")),
            ("x5c", .array(old.certificates.map { .string(Base64.encode($0)) })),
        ])
        let payload = JSONObject([
            ("sub", .string(old.deviceID)), ("aud", .string(old.authOrigin)), ("iat", .integer(nowSeconds)),
            ("jti", .string(Base64URL.encode(Random.bytes(16)))),
            ("csr", .string(Base64.encode(try identity.key.certificateRequest(commonName: old.deviceID)))),
        ])
        let proof = try identity.key.token(header: header, payload: payload)
        let answer = try await post(
            old.authOrigin + "/.gatepost/renew", ["proof": .string(proof)], old.authoritiesPEM)
        let fresh = try Enrolment(
            answer: answer, following: old, nowSeconds: nowSeconds, users: old.users,
            authoritiesPEM: old.authoritiesPEM)
        guard Array(fresh.deviceID.utf8) == Array(old.deviceID.utf8),
            Array(fresh.authOrigin.utf8) == Array(old.authOrigin.utf8)
        else { throw AgentError("the gateway renewed another device", remedy: "enrol this device again") }
        try check(fresh, identity.key)
        return fresh
    }

    /// The old key's word for the new one, good for this token and this request only.
    static func succession(
        of old: DeviceIdentity, token: String, csr: [UInt8]
    ) throws(AgentError) -> String {
        let header = JSONObject([("typ", "succession+jwt"), ("jwk", .object(old.key.publicKey.jwk))])
        let payload = JSONObject([
            ("sub", .string(old.enrolment.deviceID)), ("aud", .string(old.enrolment.authOrigin)),
            ("csr", .string(Base64URL.encode(Digest.sha256(csr)))),
            ("token", .string(Base64URL.encode(Digest.sha256(Array(token.utf8))))),
        ])
        return try old.key.token(header: header, payload: payload)
    }

    /// The certificate must be for our key: anything else would be refused at the first handshake.
    private func check(_ enrolment: Enrolment, _ key: any DeviceSigner) throws(AgentError) {
        guard let first = enrolment.certificates.first, let leaf = try? Certificate(der: first),
            leaf.publicKey.thumbprint == key.publicKey.thumbprint
        else { throw AgentError("the gateway certified another key", remedy: "enrol this device again") }
    }

    private func post(
        _ url: String, _ body: JSONValue, _ authoritiesPEM: [UInt8]?
    ) async throws(AgentError) -> JSONValue {
        var request = FetchRequest(url: url)
        request.method = "POST"
        request.fields = [("content-type", "application/json"), ("accept", "application/json")]
        request.body = body.serialized()
        request.timeoutMilliseconds = 15_000
        request.bodyBytesMax = Self.answerBytesMax
        request.authoritiesPEM = authoritiesPEM
        let response: FetchResponse
        do throws(FetchError) {
            response = try await fetcher.fetch(request)
        } catch {
            throw Self.failure(url, error)
        }
        let value = try? JSONValue(parsing: response.body, limits: JSONLimits(bytesMax: Self.answerBytesMax))
        guard response.status == 200, let value else {
            guard let reason = value?["reason"]?.string.map({ String($0.prefix(64)) }) else {
                throw AgentError(
                    "\(url): answered \(response.status), and not as a gateway",
                    remedy: "check the address: it is the auth host's, not an application's or a proxy's")
            }
            let words = Self.words(for: reason)
            throw AgentError(
                "\(url): answered \(response.status) (\(reason)): \(words.happened)", remedy: words.remedy)
        }
        return value
    }

    /// What kept the question from the gateway, for whoever stands before the machine.
    private static func failure(_ url: String, _ error: FetchError) -> AgentError {
        switch error.kind {
        case .unreachable:
            AgentError(
                "\(url): cannot be reached (\(error.what))",
                remedy: "check the address, whether its name is known here (getent hosts), and the network")
        case .timedOut:
            AgentError("\(url): no answer within 15 s", remedy: "check the network and firewalls on the way")
        case .tlsFailed:
            AgentError(
                "\(url): its certificate is not trusted here (\(error.what))",
                remedy: "name its authorities with --authorities, and check this machine's clock: timedatectl"
            )
        case .tooLarge, .malformed, .refusedURL, .cancelled:
            AgentError("\(url): \(error.what)", remedy: "check the address: it is the auth host's")
        }
    }

    /// The gateway's words (PROTOCOL.md, 3), and what somebody at this machine can do.
    private static func words(for reason: String) -> (happened: String, remedy: String) {
        switch reason {
        case "enrollment-token-invalid":
            (
                "the token is wrong, was used, is older than 24 hours, or was made for another serial number",
                "ask for a new one; at the gateway: gatepost enroll-token --email ADDRESS"
            )
        case "attestation-invalid":
            ("it does not believe the security chip", "try again, or enrol with --key-storage file")
        case "device-key-known":
            ("a device with this key exists", "enrol again with the same token: a new key is made")
        case "clock-skew": ("this machine's clock is more than 120 s off", "repair it: timedatectl")
        case "request-malformed": ("it does not understand this agent", "update the agent, or the gateway")
        case "overloaded", "store-unavailable":
            ("it cannot do this at the moment", "try again in some minutes; a token stays good")
        case "device-unknown", "certificate-revoked", "certificate-expired", "certificate-untrusted",
            "signature-invalid":
            (
                "it no longer knows this device by its key",
                "ask for a new enrolment token, and enrol again with --force"
            )
        case _: ("it refuses", "look for the request in the gateway's log")
        }
    }
}
