import JSON
import Signatures
import Synchronization

/// The gates of all enrolled gateways. A gate believes one gateway only; here is no more than the choice of
/// the one that judges a request, so a wrong choice refuses and never lets in.
final class GatewayGates: Sendable {
    private let gates: Mutex<[AttestGate]>

    init(_ gates: [AttestGate]) { self.gates = Mutex(gates) }

    /// After an enrolment, or when the machine has left a gateway.
    func replace(_ fresh: [AttestGate]) { gates.withLock { $0 = fresh } }

    /// The gate of the gateway whose page asks, by the Origin field; somebody else's request gets the first
    /// gate, because all of them refuse strangers with the same bytes.
    ///
    /// - Returns: nil when this machine has left every gateway.
    func gate(for request: AttestRequest) -> AttestGate? {
        let all = gates.withLock { $0 }
        guard let origin = request.origin else {
            return Visit(request).map { gate(forChallenge: $0.challenge) } ?? all.first
        }
        return all.first { Self.sameBytes($0.identity.enrolment.authOrigin, origin) } ?? all.first
    }

    /// The same for what comes without an Origin (navigation, popup, probe): by the issuer that the challenge
    /// names. Nothing is believed by that: the gate checks the signature with its own pinned keys.
    func gate(forChallenge compact: String) -> AttestGate? {
        let all = gates.withLock { $0 }
        guard all.count > 1, let jws = try? JWS(compact: compact, bytesMax: Challenge.bytesMax),
            let issuer = (try? jws.payloadObject)?["iss"]?.string
        else { return all.first }
        return all.first { Self.sameBytes($0.identity.enrolment.authOrigin, issuer) } ?? all.first
    }

    private static func sameBytes(_ left: String, _ right: String) -> Bool {
        Array(left.utf8) == Array(right.utf8)
    }
}
