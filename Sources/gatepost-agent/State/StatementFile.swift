import JSON
import Signatures

/// What a management server says of this device (mode A): a file that its own agent puts into the state folder, mode
/// 0600, and replaces at least once a day.
struct StatementFile: Sendable {
    static let name = "statement.jwt"
    static let bytesMax = 8 << 10

    /// What the server calls this device.
    let subject: String
    /// Whether the statement names only the thumbprint of our key: then the answer has to bring the key.
    let namesThumbprint: Bool

    /// The statement, when the gateway prefers it to what else there is, it is about our key and has not ended. It is
    /// not verified here: only the gateway knows whose it has to be.
    static func read(in identity: DeviceIdentity, profiles: [String], nowSeconds: Int64) -> StatementFile? {
        guard profiles.first(where: { $0 == "x5c" || $0 == "stmt" }) == "stmt",
            let compact = text(in: identity),
            let payload = try? JWS(compact: compact, bytesMax: bytesMax).payloadObject,
            let subject = payload["sub"]?.string, let end = payload["exp"]?.integer, nowSeconds < end,
            let confirmation = payload["cnf"]?.object
        else { return nil }
        let thumbprint = identity.key.publicKey.thumbprint
        if let named = confirmation["jkt"] {
            return named == .string(thumbprint) ? StatementFile(subject: subject, namesThumbprint: true) : nil
        }
        guard let jwk = confirmation["jwk"]?.object, let key = try? VerificationKey(jwk: jwk),
            key.thumbprint == thumbprint
        else { return nil }
        return StatementFile(subject: subject, namesThumbprint: false)
    }

    /// Why the file is of no use to any gateway, for people; nil: it is good, or there is none.
    ///
    /// - Returns: `ends` of a good one.
    static func state(in identity: DeviceIdentity, nowSeconds: Int64) -> (problem: String?, ends: Int64?) {
        let bytes: [UInt8]
        do throws(AgentError) {
            guard let read = try identity.folder.read(name) else { return (nil, nil) }
            bytes = read
        } catch {
            return (error.description, nil)
        }
        guard bytes.count <= bytesMax else { return ("it is longer than \(bytesMax) bytes", nil) }
        guard let compact = text(in: identity), let jws = try? JWS(compact: compact, bytesMax: bytesMax),
            let payload = try? jws.payloadObject, payload["sub"]?.string != nil,
            let end = payload["exp"]?.integer, payload["cnf"]?.object != nil
        else { return ("it is no statement about a device", nil) }
        // Prefers statements and ends never: what is left to be wrong is the key.
        guard read(in: identity, profiles: ["stmt"], nowSeconds: .min) != nil else {
            return ("it names another key than this device's", nil)
        }
        guard nowSeconds < end else { return ("it ended \(nowSeconds - end) s ago", nil) }
        return (nil, end)
    }

    static func text(in identity: DeviceIdentity) -> String? {
        guard let bytes = try? identity.folder.read(name),
            let text = String(validating: bytes, as: UTF8.self), text.utf8.count <= bytesMax
        else { return nil }
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }
}
