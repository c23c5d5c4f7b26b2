import Foundation
import Glibc
import JSON
import Signatures
import Synchronization

@testable import gatepost_agent

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
    /// Listens where nobody may reach an agent; -1: it does not.
    private let elsewhere: CInt
    /// Stands for an address outside loopback: a test opens nothing to the network.
    static let outwardAddress: UInt32 = 127 << 24 | 2
    /// The name of the challenge key at enrolment.
    let firstKid: String
    /// How many connections are served at a time by an agent that gives none of them up.
    private let slots = DispatchSemaphore(value: 32)
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
        elsewhere =
            faults.contains(.listensElsewhere)
            ? try Self.listen(Self.outwardAddress, port: listener.port) : -1
        gateway = try ConformanceGateway(
            origin: "https://127.0.0.1:8443", agentPort: listener.port, clock: .system)
        firstKid = gateway.ring.signingKey(.challenge).kid
        let csr = try CertificateRequest.make(key: key, commonName: "x")
        let body = JSONObject([
            ("token", .string(gateway.token)), ("csr", .string(Base64.encode(csr))),
            ("facts", .object(Self.facts)),
        ])
        let answer = try JSONValue(
            parsing: gateway.answer(path: "/.gatepost/enroll", body: body.serialized()).body)
        if faults.contains(.answersAsAnother) {
            deviceID = "conformance-other"
            let leaf = try gateway.authority.issue(
                csrDER: csr, deviceID: deviceID, validSeconds: 86_400,
                nowSeconds: AgentClock.system.nowSeconds())
            chain = [leaf.der, gateway.authority.certificate.der]
        } else {
            chain = (answer["certificates"]?.array ?? []).compactMap { $0.string.flatMap(Base64.decode) }
            deviceID = answer["device_id"]?.string ?? ""
        }
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
            if elsewhere >= 0 { close(elsewhere) }
        }
    }

    private static func listen(_ address: UInt32, port: UInt16) throws -> CInt {
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_port = port.bigEndian
        target.sin_addr.s_addr = address.bigEndian
        let status = withUnsafePointer(to: &target) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0, Glibc.listen(descriptor, 8) == 0 else {
            close(descriptor)
            throw AgentError("port \(port) is taken", remedy: "look what listens there")
        }
        return descriptor
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
        if has(.neverTimesOut) { slots.wait() }
        defer { if has(.neverTimesOut) { slots.signal() } }
        let given: Int64 = has(.waitsAnew) ? 60_000 : 2_000
        var until = AgentClock.system.nowMilliseconds() + given
        while bytes.count < 200_000 {
            let left = has(.neverTimesOut) ? -1 : max(0, until - AgentClock.system.nowMilliseconds())
            var entry = pollfd(fd: descriptor, events: CShort(POLLIN), revents: 0)
            guard poll(&entry, 1, CInt(left)) > 0 else { return }
            // Less than any question: what is read once is never whole, however fast it came.
            let count = recv(descriptor, &chunk, has(.readsOnce) ? 512 : chunk.count, 0)
            guard count > 0 else { return }
            bytes += chunk.prefix(count)
            if has(.waitsAnew) { until = AgentClock.system.nowMilliseconds() + given }
            let request = WireRequest(
                bytes, takesBadHeads: has(.takesBadHeads), takesAnyFraming: has(.takesAnyFraming))
            guard request != nil || has(.readsOnce) else { continue }
            let isWhole =
                request.map { $0.isBad || $0.body.count >= $0.length || $0.length > 100_000 } ?? true
            guard isWhole || has(.readsOnce) else { continue }
            let text = request.map { respond($0) } ?? silent
            let isFollowed = request.map { $0.body.count > $0.length } ?? false
            let isTwice = has(.answersPipelined) && isFollowed && text.hasPrefix("HTTP/1.1 200 ")
            let answer = Array((isTwice ? text + text : text).utf8)
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
        let hosts =
            ["127.0.0.1:\(port)"] + (has(.isTooStrict) ? [] : ["localhost:\(port)", "[::1]:\(port)"])
        guard !request.isBad else { return silent }
        guard has(.ignoresHost) || hosts.contains(request.first("host") ?? "") else {
            return wire(421, [], "")
        }
        if request.method == "GET", let answer = visit(request) { return answer }
        let isAttest =
            request.target == "/v1/attest" || (has(.routesLoosely) && request.target.hasPrefix("/v1/"))
        if !isAttest, has(.saysNotFound) { return wire(404, [], "") }
        guard isAttest, ["POST", "OPTIONS"].contains(request.method) || has(.routesLoosely) else {
            return silent
        }
        let origins = request.all("origin")
        let origin = origins.first ?? gateway.origin
        guard origins.count == 1 || has(.countsNoOrigins), isAllowed(origin) else { return silent }
        var cors = ["Access-Control-Allow-Origin: \(origin)"]
        if !has(.forgetsVary) { cors.append("Vary: Origin") }
        if has(.allowsCredentials) { cors.append("Access-Control-Allow-Credentials: true") }
        if request.method == "OPTIONS" { return preflight(request, cors) }
        let whole = request.first("content-type")?.lowercased()
        let type = has(.isTooStrict) ? whole : whole?.split(separator: ";").first.map(String.init)
        guard has(.takesForms) || type == "application/json" else { return silent }
        let most = has(.isTooStrict) ? 8_191 : 8_192
        guard request.length <= most || has(.readsAnyLength) else { return silent }
        guard has(.takesAnyFraming) || (request.length > 0 && !request.isChunked) else { return silent }
        cors.append("Content-Type: application/json")
        let now = AgentClock.system.nowSeconds()
        do throws(Refused) {
            let (assertion, stated) = try attest(request, origin: origin, now: now)
            let beside = stated.map { #","statement":"\#($0)""# } ?? ""
            return wire(200, cors, #"{"assertion":"\#(assertion)"\#(beside)}"#)
        } catch {
            if error.word.isEmpty { return silent }
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
        guard request.first("access-control-request-method") == "POST" || has(.routesLoosely),
            has(.allowsEveryField) || asked == "content-type"
        else { return silent }
        var fields =
            cors + [
                "Access-Control-Allow-Methods: POST",
                "Access-Control-Allow-Headers: \(has(.allowsEveryField) ? asked : "content-type")",
            ]
        if request.first("access-control-request-private-network") == "true", !has(.isTooStrict) {
            fields.append("Access-Control-Allow-Private-Network: true")
        }
        return wire(204, fields, "")
    }

    struct Refused: Error {
        var status: Int
        /// Empty: the silent refusal.
        var word: String
    }

    private func attest(_ request: WireRequest, origin: String, now: Int64) throws(Refused) -> (
        assertion: String, statement: String?
    ) {
        guard has(.hasNoRate) || takeToken() else { throw Refused(status: 429, word: "rate-limited") }
        let bytes = Array(request.body.prefix(request.length))
        guard let text = challengeText(bytes) else {
            throw Refused(status: 400, word: has(.refusesBodiesSilently) ? "" : "request-malformed")
        }
        let payload: JSONObject
        do throws(Refused) { payload = try trusted(text) } catch {
            if has(.remembersRefused),
                let identifier = (try? JWS(compact: text).payloadObject)?["jti"]?.string
            {
                memory.withLock { _ = $0.seen.insert(identifier) }
            }
            throw error
        }
        guard has(.ignoresAudience) || payload["aud"] == .string(ConformanceGateway.audience) else {
            throw Refused(status: 401, word: "audience-mismatch")
        }
        try checkForm(payload)
        try checkTimes(payload, now: now)
        guard has(.ignoresOriginClaim) || payload["origin"] == .string(gateway.origin) else {
            throw Refused(status: 403, word: "origin-not-allowed")
        }
        try useUp(payload)
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
        if has(.seesTomorrow) { claims["last_seen"] = .integer(now + 86_400) }
        var header = JSONObject([("typ", "posture+jwt")])
        if !isStated || has(.sendsCertificateToo) {
            header["x5c"] = .array(chain.map { .string(Base64.encode($0)) })
        }
        if isStated, !has(.forgetsOwnKey) { header["jwk"] = .object(key.publicKey.jwk) }
        return JWS.sign(header: header, payload: claims, with: key)
    }
}
