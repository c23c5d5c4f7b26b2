import JSON
import Signatures
import Synchronization

/// The control paths of the transmitter, under `/signals/lab`.
extension SignalTransmitter {
    func control(_ path: [String], _ exchange: Exchange) throws -> Response {
        switch path.first {
        case "faults": return try faults.answer(exchange)
        case "events": return try event(exchange)
        case "keys": return try rotate(exchange)
        case "verify":
            for stream in state.withLock({ $0.streams }) { sendVerification(stream.id, state: nil) }
            return .json([:])
        case "streams":
            return .json(
                .array(
                    state.withLock { $0.streams }.map { stream in
                        [
                            "stream_id": .string(stream.id), "method": .string(stream.method),
                            "status": .string(stream.status),
                            "waiting": .integer(Int64(stream.waiting.count)),
                            "acknowledged": .integer(Int64(stream.acknowledged.count)),
                            "refused": .object(
                                JSONObject(
                                    stream.refused.sorted { $0.key < $1.key }.map {
                                        ($0.key, .string($0.value))
                                    })),
                        ]
                    }))
        default: return .json(["error": "try events, faults, keys, streams or verify"], status: 404)
        }
    }

    /// `{"type": "…", "subject": {…}, "event": {…}}`: the type whole, or the last part of a CAEP one.
    private func event(_ exchange: Exchange) throws -> Response {
        guard exchange.head.method == "POST", let body = try Self.body(exchange),
            let type = body["type"]?.string, let subject = body["subject"]?.object
        else { return .json(["error": "POST an object with type, subject and event"], status: 400) }
        let full =
            type.contains(":") ? type : "https://schemas.openid.net/secevent/caep/event-type/" + type
        let id = emit(full, subject: subject, event: body["event"]?.object ?? [:])
        return .json(["jti": .string(id)])
    }

    /// A new key signs; the old ones stay published unless `{"keepsOld": false}`.
    private func rotate(_ exchange: Exchange) throws -> Response {
        guard exchange.head.method == "POST" else { return .json([:], status: 405) }
        rotateKeys(keepsOld: try Self.body(exchange)?["keepsOld"]?.bool ?? true)
        return .json([:])
    }

    func rotateKeys(keepsOld: Bool) {
        state.withLock { state in
            let fresh = Self.newKey(state.made + state.keys.count + 1)
            state.keys = [fresh] + (keepsOld ? Array(state.keys.prefix(3)) : [])
        }
    }
}
