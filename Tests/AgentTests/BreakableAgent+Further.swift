import JSON
import Signatures
import Synchronization

@testable import gatepost_agent

// Popup and probe image, and renewals: each with its own ways to be wrong.
extension BreakableAgent {
    /// nil: no visit that this agent offers.
    func visit(_ request: WireRequest) -> String? {
        if request.target.hasPrefix("/v1/nav?c=") {
            return navigation(request, String(request.target.dropFirst("/v1/nav?c=".count)))
        }
        for path in ["/v1/popup", "/v1/p.gif"] where request.target.hasPrefix(path + "?c=") {
            let challenge = String(request.target.dropFirst(path.count + 3))
            guard request.all("origin").isEmpty, let payload = try? trusted(challenge),
                has(.popupTakesAnyOrigin) || payload["origin"] == .string(gateway.origin)
            else { return silent }
            let back = payload["rtn"]?.string ?? ""
            guard has(.popupTakesAnyReturn) || back.hasPrefix(gateway.origin + "/") else { return silent }
            let place = request.first("sec-fetch-dest")
            return path == "/v1/popup" ? popup(challenge, payload, place) : probe(payload, place)
        }
        return nil
    }

    private func navigation(_ request: WireRequest, _ challenge: String) -> String {
        // Goes wherever the page says, whoever signed it.
        if has(.followsNavigation), let payload = try? JWS(compact: challenge).payloadObject {
            return navigation(challenge, payload)
        }
        let modes = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]
        guard request.all("origin").isEmpty,
            modes.allSatisfy({ [nil, $0.1].contains(request.first($0.0)) }),
            let payload = try? trusted(challenge), payload["origin"] == .string(gateway.origin),
            payload["rtn"]?.string?.hasPrefix(gateway.origin + "/") == true
        else { return silent }
        return navigation(challenge, payload)
    }

    private func navigation(_ challenge: String, _ payload: JSONObject) -> String {
        let now = AgentClock.system.nowSeconds()
        let parameter: String
        do throws(Refused) {
            try checkForm(payload)
            try checkTimes(payload, now: now)
            try useUp(payload)
            let transport = has(.navigatesUnbound) ? "fetch" : "navigation"
            let signed = assertion(challenge, payload, origin: nil, transport: transport, now: now)
            parameter = "a=" + signed
        } catch {
            parameter = "e=" + error.word
        }
        let back = payload["rtn"]?.string ?? ""
        return wire(303, ["Location: \(back)?\(parameter)", "Referrer-Policy: no-referrer"], "")
    }

    private func popup(_ challenge: String, _ payload: JSONObject, _ place: String?) -> String {
        guard has(.popupFramed) || place == nil || place == "document" else { return silent }
        let now = AgentClock.system.nowSeconds()
        let message: String
        do throws(Refused) {
            try checkTimes(payload, now: now)
            let signed = assertion(challenge, payload, origin: nil, transport: "popup", now: now)
            message = #"{"assertion":"\#(signed)"}"#
        } catch {
            message = has(.popupHidesErrors) ? "{}" : #"{"error":"\#(error.word)","now":\#(now)}"#
        }
        let target = has(.popupPostsToAll) ? "*" : gateway.origin
        let script = "opener.postMessage(\(message), '\(target)')"
        let digest = Base64.encode(Digest.sha256(Array(script.utf8)))
        let allowed = has(.popupTakesAnyScript) ? "'unsafe-inline'" : "'sha256-\(digest)'"
        var fields = ["Content-Type: text/html; charset=utf-8"]
        if !has(.popupHasNoPolicy) {
            fields.append("Content-Security-Policy: default-src 'none'; script-src \(allowed)")
        }
        if has(.popupPartsFromOpener) { fields.append("Cross-Origin-Opener-Policy: same-origin") }
        let note = "<!doctype html><title>Agent</title><p>For \(gateway.origin)</p>"
        return wire(200, fields, "\(note)<script>\(script)</script>")
    }

    private func probe(_ payload: JSONObject, _ place: String?) -> String {
        guard has(.probeOpened) || place == nil || place == "image" else { return silent }
        let now = AgentClock.system.nowSeconds()
        guard has(.probeTakesExpired) || (try? checkTimes(payload, now: now)) != nil else { return silent }
        if has(.probeUsesUp) {
            memory.withLock { _ = $0.seen.insert(payload["jti"]?.string ?? "") }
        }
        var fields = ["Content-Type: image/gif"]
        if has(.probeReadable) { fields.append("Access-Control-Allow-Origin: *") }
        return wire(200, fields, "GIF89a")
    }

    /// Asks its gateway, which runs in this process, as soon as a challenge names newer keys.
    func renewIfBehind(_ payload: JSONObject) {
        let pinned = memory.withLock { $0.pinned }
        guard let named = payload["key_seq"]?.integer, named > pinned.sequence, !has(.neverRenews),
            let csr = try? CertificateRequest.make(key: key, commonName: "x")
        else { return }
        let header = JSONObject([
            ("typ", "renewal+jwt"), ("x5c", .array(chain.map { .string(Base64.encode($0)) })),
        ])
        let proof = JSONObject([
            ("sub", .string(deviceID)), ("aud", .string(gateway.origin)),
            ("iat", .integer(AgentClock.system.nowSeconds())),
            ("jti", .string(Base64URL.encode(Random.bytes(16)))), ("csr", .string(Base64.encode(csr))),
        ])
        let body = JSONObject([
            ("proof", .string(JWS.sign(header: header, payload: proof, with: key)))
        ])
        let answer = gateway.answer(path: "/.gatepost/renew", body: body.serialized()).body
        let texts = ((try? JSONValue(parsing: answer))?["gateway_keys"]?.array ?? []).compactMap(\.string)
        var fresh = try? KeyAnnouncement(following: texts, roots: pinned.roots)
        if has(.followsForeignRoot) { fresh = try? KeyAnnouncement(firstUseOf: texts) }
        guard let fresh, fresh.sequence > pinned.sequence || has(.followsOlder), !has(.ignoresAnnouncements)
        else { return }
        memory.withLock { $0.pinned = fresh }
    }
}
