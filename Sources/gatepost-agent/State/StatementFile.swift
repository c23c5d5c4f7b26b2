import JSON
import Signatures

/// What a management server says of this device (mode A): a file that its own agent puts into the state folder, mode
/// 0600, and replaces at least once a day.
struct StatementFile: Sendable {
    static let name = "statement.jwt"

    /// What the server calls this device.
    let subject: String
    /// Whether the statement names only the thumbprint of our key: then the answer has to bring the key.
    let namesThumbprint: Bool

    /// The statement, when the gateway prefers it to what else there is, it is about our key and has not ended. It is
    /// not verified here: only the gateway knows whose it has to be.
    static func read(in identity: DeviceIdentity, profiles: [String], nowSeconds: Int64) -> StatementFile? {
        guard profiles.first(where: { $0 == "x5c" || $0 == "stmt" }) == "stmt",
            let compact = text(in: identity),
            let payload = try? JWS(compact: compact, bytesMax: 8 << 10).payloadObject,
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

    static func text(in identity: DeviceIdentity) -> String? {
        guard let bytes = try? identity.folder.read(name),
            let text = String(validating: bytes, as: UTF8.self), text.utf8.count <= 8 << 10
        else { return nil }
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }
}
