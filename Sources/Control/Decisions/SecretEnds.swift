import Access
import Border
import Store

/// Secrets end before their sessions: after a rotation, and of sessions that are bound to a key by themselves.
extension SessionRecord {
    /// The same beside a certificate, under the one secret that it is used with there.
    func bounded(to use: CertifiedSession, of session: StoredSession) -> SessionRecord {
        var record = bounded(to: use.secretDigest, of: session)
        record.tokenDigest = use.digest
        return record
    }

    /// The record as a reactor is to know it under one secret of its session: it opens nothing beyond that secret's
    /// end. What is open is the session's, and goes on.
    ///
    /// - Parameter digest: of the current secret, the one before, or one that counts no more.
    func bounded(to digest: [UInt8], of session: StoredSession) -> SessionRecord {
        var record = self
        record.tokenDigest = digest
        let end =
            if digest == session.tokenDigest {
                session.binding?.secretUntilSeconds ?? .max
            } else if digest == session.previousTokenDigest {
                session.previousUntilSeconds ?? 0
            } else {
                Int64(0)
            }
        guard end < record.residual.validUntilSeconds else { return record }
        record.openResidual = record.openResidual ?? record.residual
        record.residual.validUntilSeconds = end
        return record
    }
}
