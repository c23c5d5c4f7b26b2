import JSON
import Signatures
import Synchronization

extension DeviceIdentity {
    /// Looks whether a challenge names a key that is not pinned, as every challenge does after two rotations
    /// that this machine slept through. Nothing is believed by that; the gateway is asked for its keys, over
    /// TLS and under a pinned root, earlier than it would be. Whoever lies here makes the agent renew once in
    /// five minutes.
    func noteUnknownKey(in compact: String) {
        let pinned = enrolment
        guard let jws = try? JWS(compact: compact, bytesMax: Challenge.bytesMax),
            jws.header["typ"] == .string("posture-challenge+jwt"), let kid = jws.header["kid"]?.string,
            !pinned.gatewayKeys.contains(where: { Array($0.kid.utf8) == Array(kid.utf8) }),
            (try? jws.payloadObject)?["iss"] == .string(pinned.authOrigin)
        else { return }
        lacksKey.withLock { $0 = true }
    }
}
