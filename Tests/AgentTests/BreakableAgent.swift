import Foundation
import Glibc
import JSON
import Signatures
import Synchronization

@testable import gatepost_agent

/// One way to write an agent wrong.
enum AgentFault: String, CaseIterable, Sendable {
    case ignoresHost, reflectsOrigin, matchesOriginByPrefix, ignoresOriginCase, takesForms, readsAnyLength
    case saysNotFound, namesItself, allowsCredentials, allowsEveryField, forgetsVary
    case answersTwice, acceptsExpired, acceptsFuture, acceptsLongLives, takesAnyKid
    case trustsHeaderKey, takesNoAlgorithm, ignoresCritical, ignoresType, ignoresIssuer, ignoresAudience
    case ignoresOriginClaim, ignoresReturn, ignoresVersions, takesShortNonces, tellsEverything, tellsUser
    case hashesOther, copiesCounter, livesLong, namesOtherTransport, sendsOldNonce, hidesTime, hasNoRate
    case takesDoubledMembers, followsNavigation
    case popupPostsToAll, popupHasNoPolicy, popupTakesAnyScript, popupPartsFromOpener, popupTakesAnyOrigin
    case popupTakesAnyReturn, popupFramed, popupHidesErrors, probeUsesUp, probeTakesExpired, probeOpened
    case probeReadable, sendsCertificateToo, forgetsOwnKey, namesItselfStated, sendsStatementAlways
    case forgetsCounter, neverRenews, followsForeignRoot, followsOlder, ignoresAnnouncements
}

/// An agent written from PROTOCOL.md alone for these tests, which breaks exactly the rules that it is told
/// to. Intact it must pass, broken it must be found.
final class BreakableAgent: Sendable {
    static let facts = JSONObject([
        ("platform", "linux"), ("os_name", "debian"), ("serial", "S-1"), ("hostname", "h"),
    ])

    let gateway: ConformanceGateway
    let port: UInt16
    let faults: Set<AgentFault>
    let key = SigningKey.generateP256()
    let chain: [[UInt8]]
    let deviceID: String
    /// Of the management server, put here as into a file.
    let statement: String?
    private let listener: ListeningSocket
    let memory: Mutex<Memory>

    struct Memory {
        var pinned: KeyAnnouncement
        var seen: Set<String> = []
        var counter: Int64 = 0
        var tokens: Double = 30
        var filledAt: Int64 = 0
        var isStopped = false
    }

    init(_ faults: Set<AgentFault> = []) throws {
        self.faults = faults
        listener = try ListeningSocket(port: 0)
        port = listener.port
        gateway = try ConformanceGateway(
            origin: "https://127.0.0.1:8443", agentPort: listener.port, clock: .system)
        let csr = try CertificateRequest.make(key: key, commonName: "x")
        let body = JSONObject([
            ("token", .string(gateway.token)), ("csr", .string(Base64.encode(csr))),
            ("facts", .object(Self.facts)),
        ])
        let answer = try JSONValue(
            parsing: gateway.answer(path: "/.gatepost/enroll", body: body.serialized()).body)
        chain = (answer["certificates"]?.array ?? []).compactMap { $0.string.flatMap(Base64.decode) }
        deviceID = answer["device_id"]?.string ?? ""
        let texts = (answer["gateway_keys"]?.array ?? []).compactMap(\.string)
        memory = Mutex(Memory(pinned: try KeyAnnouncement(firstUseOf: texts)))
        statement = gateway.statement(nowSeconds: AgentClock.system.nowSeconds())
    }

    func start() {
        Thread.detachNewThread { [self] in
            while !memory.withLock({ $0.isStopped }) {
                var entry = pollfd(fd: listener.descriptors[0], events: CShort(POLLIN), revents: 0)
                guard poll(&entry, 1, 100) > 0 else { continue }
                let accepted = accept(listener.descriptors[0], nil, nil)
                guard accepted >= 0 else { continue }
                Thread.detachNewThread { [self] in
                    serve(accepted)
                    close(accepted)
                }
            }
            listener.close()
        }
    }

    func stop() { memory.withLock { $0.isStopped = true } }

    /// As after a power cut: what was not kept is gone.
    func restart() {
        memory.withLock { memory in
            memory.seen = []
            if has(.forgetsCounter) { memory.counter = 0 }
        }
    }

    func has(_ fault: AgentFault) -> Bool { faults.contains(fault) }

    private func serve(_ descriptor: CInt) {
        var patience = timeval(tv_sec: 2, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count < 200_000 {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            guard count > 0 else { return }
            bytes += chunk.prefix(count)
            guard let request = WireRequest(bytes) else { continue }
            let isWhole = request.isBad || request.body.count >= request.length || request.length > 100_000
            guard isWhole else { continue }
            let answer = Array(respond(request).utf8)
            _ = send(descriptor, answer, answer.count, CInt(MSG_NOSIGNAL))
            shutdown(descriptor, CInt(SHUT_WR))
            while recv(descriptor, &chunk, chunk.count, 0) > 0 {}
            return
        }
    }

    var silent: String { wire(403, has(.namesItself) ? ["Server: agent/1"] : [], "") }

    func wire(_ status: Int, _ fields: [String], _ body: String) -> String {
        let head =
            ["HTTP/1.1 \(status) X"] + fields + [
                "Cache-Control: no-store", "Content-Length: \(body.utf8.count)", "Connection: close",
            ]
        return head.joined(separator: "\r\n") + "\r\n\r\n" + body
    }

    private func respond(_ request: WireRequest) -> String {
        let hosts = ["127.0.0.1:\(port)", "localhost:\(port)", "[::1]:\(port)"]
        guard !request.isBad else { return silent }
        guard has(.ignoresHost) || hosts.contains(request.first("host") ?? "") else {
            return wire(421, [], "")
        }
        if request.method == "GET", has(.followsNavigation), request.target.hasPrefix("/v1/nav?c=") {
            return navigate(String(request.target.dropFirst("/v1/nav?c=".count)))
        }
        if request.method == "GET", let answer = visit(request) { return answer }
        let isAttest = request.target == "/v1/attest"
        if !isAttest, has(.saysNotFound) { return wire(404, [], "") }
        guard isAttest, ["POST", "OPTIONS"].contains(request.method) else { return silent }
        let origins = request.all("origin")
        guard origins.count == 1, isAllowed(origins[0]) else { return silent }
        var cors = ["Access-Control-Allow-Origin: \(origins[0])"]
        if !has(.forgetsVary) { cors.append("Vary: Origin") }
        if has(.allowsCredentials) { cors.append("Access-Control-Allow-Credentials: true") }
        if request.method == "OPTIONS" { return preflight(request, cors) }
        let type = request.first("content-type")?.lowercased().split(separator: ";").first.map(String.init)
        guard has(.takesForms) || type == "application/json" else { return silent }
        guard request.length > 0, request.length <= 8_192 || has(.readsAnyLength) else { return silent }
        guard !request.isChunked else { return silent }
        cors.append("Content-Type: application/json")
        let now = AgentClock.system.nowSeconds()
        do throws(Refused) {
            let (assertion, stated) = try attest(request, origin: origins[0], now: now)
            let beside = stated.map { #","statement":"\#($0)""# } ?? ""
            return wire(200, cors, #"{"assertion":"\#(assertion)"\#(beside)}"#)
        } catch {
            let time = has(.hidesTime) ? "" : #","now":\#(now)"#
            return wire(error.status, cors, #"{"error":"\#(error.word)"\#(time)}"#)
        }
    }

    private func isAllowed(_ origin: String) -> Bool {
        if has(.reflectsOrigin) { return true }
        if has(.matchesOriginByPrefix) { return origin.hasPrefix(gateway.origin) }
        if has(.ignoresOriginCase) { return origin.lowercased() == gateway.origin }
        return origin == gateway.origin
    }

    private func preflight(_ request: WireRequest, _ cors: [String]) -> String {
        let asked = request.first("access-control-request-headers")?.lowercased() ?? ""
        guard request.first("access-control-request-method") == "POST",
            has(.allowsEveryField) || asked == "content-type"
        else { return silent }
        var fields =
            cors + [
                "Access-Control-Allow-Methods: POST",
                "Access-Control-Allow-Headers: \(has(.allowsEveryField) ? asked : "content-type")",
            ]
        if request.first("access-control-request-private-network") == "true" {
            fields.append("Access-Control-Allow-Private-Network: true")
        }
        return wire(204, fields, "")
    }

    struct Refused: Error {
        var status: Int
        var word: String
    }

    private func attest(_ request: WireRequest, origin: String, now: Int64) throws(Refused) -> (
        assertion: String, statement: String?
    ) {
        guard has(.hasNoRate) || takeToken() else { throw Refused(status: 429, word: "rate-limited") }
        let bytes = Array(request.body.prefix(request.length))
        guard let text = challengeText(bytes) else { throw Refused(status: 400, word: "request-malformed") }
        let payload = try trusted(text)
        guard has(.ignoresAudience) || payload["aud"] == .string(ConformanceGateway.audience) else {
            throw Refused(status: 401, word: "audience-mismatch")
        }
        try checkForm(payload)
        try checkTimes(payload, now: now)
        guard has(.ignoresOriginClaim) || payload["origin"] == .string(gateway.origin) else {
            throw Refused(status: 403, word: "origin-not-allowed")
        }
        let jti = payload["jti"]?.string ?? ""
        guard has(.answersTwice) || memory.withLock({ $0.seen.insert(jti).inserted }) else {
            throw Refused(status: 403, word: "challenge-replayed")
        }
        renewIfBehind(payload)
        let isStated = payload["profiles"]?.array?.first == "stmt" || has(.sendsStatementAlways)
        return (
            assertion(
                text, payload, origin: origin, transport: "fetch", now: now, isStated: isStated),
            isStated ? statement : nil
        )
    }

    private func takeToken() -> Bool {
        memory.withLock { memory in
            let now = AgentClock.system.nowMilliseconds()
            memory.tokens = min(30, memory.tokens + Double(now - memory.filledAt) * 0.01)
            memory.filledAt = now
            guard memory.tokens >= 1 else { return false }
            memory.tokens -= 1
            return true
        }
    }

    private func challengeText(_ bytes: [UInt8]) -> String? {
        if has(.takesDoubledMembers) {
            let parts = String(decoding: bytes, as: UTF8.self).split(separator: "\"")
            return parts.count > 3 ? String(parts[3]) : nil
        }
        let limits = JSONLimits(bytesMax: 1 << 20, depthMax: 4)
        return (try? JSONValue(parsing: bytes, limits: limits))?["challenge"]?.string
    }

    /// The payload of a challenge that is signed by a pinned key, or that a fault lets pass.
    func trusted(_ text: String) throws(Refused) -> JSONObject {
        let refused = Refused(status: 401, word: "gateway-not-trusted")
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3, let headerBytes = Base64URL.decode(parts[0]),
            let header = (try? JSONValue(parsing: headerBytes))?.object,
            let payloadBytes = Base64URL.decode(parts[1]),
            let payload = (try? JSONValue(parsing: payloadBytes))?.object
        else { throw refused }
        guard has(.ignoresType) || header["typ"] == "posture-challenge+jwt",
            has(.ignoresCritical) || header["crit"] == nil,
            has(.ignoresIssuer) || payload["iss"] == .string(gateway.origin)
        else { throw refused }
        if has(.takesNoAlgorithm), header["alg"] == "none" { return payload }
        guard header["alg"] == "ES256", let signature = Base64URL.decode(parts[2]) else { throw refused }
        let keys = memory.withLock { $0.pinned.keys }
        var candidates = keys.filter { .string($0.kid) == header["kid"] }.map(\.key)
        if has(.takesAnyKid) { candidates = keys.map(\.key) }
        if has(.trustsHeaderKey), let jwk = header["jwk"]?.object, let key = try? VerificationKey(jwk: jwk) {
            candidates.append(key)
        }
        let input = Array((parts[0] + "." + parts[1]).utf8)
        guard candidates.contains(where: { $0.verify(signature, over: input) }) else { throw refused }
        return payload
    }

    func checkForm(_ payload: JSONObject) throws(Refused) {
        let malformed = Refused(status: 400, word: "request-malformed")
        guard let jti = payload["jti"]?.string, (1...128).contains(jti.utf8.count),
            let nonce = payload["nonce"]?.string.flatMap(Base64URL.decode),
            nonce.count == 32 || has(.takesShortNonces),
            let profiles = payload["profiles"]?.array, profiles.contains("x5c") || profiles.contains("stmt")
        else { throw malformed }
        let low = payload["versions"]?["min"]?.integer ?? .max
        let high = payload["versions"]?["max"]?.integer ?? 0
        guard has(.ignoresVersions) || (low <= 1 && high >= 1) else { throw malformed }
        guard has(.ignoresReturn) || payload["rtn"]?.string?.hasPrefix(gateway.origin + "/") == true else {
            throw malformed
        }
    }

    func checkTimes(_ payload: JSONObject, now: Int64) throws(Refused) {
        let range: ClosedRange<Int64> = 0...1 << 53
        guard let issued = payload["iat"]?.integer, let begins = payload["nbf"]?.integer,
            let expires = payload["exp"]?.integer, range.contains(issued), range.contains(begins),
            range.contains(expires), expires > issued, expires - issued <= 60 || has(.acceptsLongLives)
        else { throw Refused(status: 400, word: "request-malformed") }
        guard now <= expires + 120 || has(.acceptsExpired) else {
            throw Refused(status: 401, word: "challenge-expired")
        }
        let isSkewed = issued > now + 120 || begins > now + 120
        guard !isSkewed || has(.acceptsFuture), issued >= now - 120 || has(.acceptsExpired) else {
            throw Refused(status: 401, word: "clock-skew")
        }
    }

    func assertion(
        _ challenge: String, _ payload: JSONObject, origin: String?, transport: String, now: Int64,
        isStated: Bool = false
    ) -> String {
        let counter = memory.withLock { memory in
            if !has(.copiesCounter) || memory.counter == 0 { memory.counter += 1 }
            return memory.counter
        }
        var posture = JSONObject()
        let asked = (payload["req"]?.array ?? []).compactMap(\.string)
            .map { String($0.map { $0 == "-" ? "_" : $0 }) }
        for (name, value) in Self.facts.members where asked.contains(name) || has(.tellsEverything) {
            posture[name] = value
        }
        let hashed = has(.hashesOther) ? payload.serialized() : Array(challenge.utf8)
        let nonce: JSONValue =
            has(.sendsOldNonce)
            ? .string(Base64URL.encode([UInt8](repeating: 1, count: 32))) : payload["nonce"] ?? .null
        var claims = JSONObject([
            (
                "sub",
                .string(isStated && !has(.namesItselfStated) ? ConformanceGateway.statedName : deviceID)
            ), ("aud", .string(gateway.origin)), ("iat", .integer(now)),
            ("exp", .integer(now + (has(.livesLong) ? 600 : 60))),
            ("jti", .string(Base64URL.encode(Random.bytes(16)))), ("eat_nonce", nonce),
            ("chh", .string(Base64URL.encode(Digest.sha256(hashed)))),
            ("origin", origin.map { .string($0) } ?? .null),
            ("transport", .string(has(.namesOtherTransport) ? "popup" : transport)), ("version", 1),
            ("cnf", ["jkt": .string(key.publicKey.thumbprint)]), ("key", "software"),
            ("counter", .integer(counter)), ("swname", "breakable"), ("swversion", "1.0"),
            ("posture", .object(posture)),
        ])
        if has(.tellsUser) { claims["uid"] = 1000 }
        var header = JSONObject([("typ", "posture+jwt")])
        if !isStated || has(.sendsCertificateToo) {
            header["x5c"] = .array(chain.map { .string(Base64.encode($0)) })
        }
        if isStated, !has(.forgetsOwnKey) { header["jwk"] = .object(key.publicKey.jwk) }
        return JWS.sign(header: header, payload: claims, with: key)
    }

    /// Goes wherever the page says, which is what the fault is.
    private func navigate(_ challenge: String) -> String {
        guard let payload = try? JWS(compact: challenge).payloadObject, let back = payload["rtn"]?.string
        else {
            return silent
        }
        let now = AgentClock.system.nowSeconds()
        let assertion = assertion(challenge, payload, origin: nil, transport: "navigation", now: now)
        return wire(303, ["Location: \(back)?a=\(assertion)"], "")
    }
}

/// A request as it came, split and hardly judged.
struct WireRequest {
    var method = ""
    var target = ""
    var fields: [(name: String, value: String)] = []
    var body: [UInt8] = []
    /// Malformed: refused like everything else.
    var isBad = false

    /// nil: the head is not complete.
    init?(_ bytes: [UInt8]) {
        guard let end = Self.headEnd(bytes) else {
            guard bytes.count > 8_192 else { return nil }
            isBad = true
            return
        }
        let lines = String(decoding: bytes[..<end], as: UTF8.self).split(
            separator: "\r\n", omittingEmptySubsequences: false)
        body = Array(bytes[(end + 4)...])
        let words = lines[0].split(separator: " ", omittingEmptySubsequences: false)
        isBad = end > 8_192 || bytes[..<end].contains(0) || words.count != 3
        guard words.count == 3 else { return }
        method = String(words[0])
        target = String(words[1])
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":"), line.first != " " else {
                isBad = true
                continue
            }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            fields.append((line[..<colon].lowercased(), String(value)))
        }
        if all("content-length").count > 1 || (isChunked && !all("content-length").isEmpty) { isBad = true }
        if ["CONNECT", "TRACE"].contains(method) { isBad = true }
    }

    var length: Int { Int(first("content-length") ?? "0") ?? 0 }
    var isChunked: Bool { first("transfer-encoding") != nil }
    func first(_ name: String) -> String? { all(name).first }
    func all(_ name: String) -> [String] { fields.filter { $0.name == name }.map(\.value) }

    private static func headEnd(_ bytes: [UInt8]) -> Int? {
        guard bytes.count >= 4 else { return nil }
        for index in 0...(bytes.count - 4)
        where bytes[index] == 13 && bytes[index + 1] == 10 && bytes[index + 2] == 13 && bytes[index + 3] == 10
        {
            return index
        }
        return nil
    }
}
