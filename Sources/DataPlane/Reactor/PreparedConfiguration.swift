import Border
import COpenSSL

/// A configuration as one reactor takes it: what costs time is made beforehand, by whoever sends it.
///
/// Private keys, client authorities with lists of megabytes, and tens of thousands of serial numbers to hash would each
/// be a turn in which nobody is served.
final class PreparedConfiguration: @unchecked Sendable {
    // Unchecked because of the TLS contexts: who makes them sends them to one reactor and lets go of them before it
    // sends the next ones, and the queue orders the two threads. The snapshot and the serial numbers are immutable.

    /// Without serial numbers, which stand beside it.
    let snapshot: GatewaySnapshot
    let server: ServerContext
    let revokedSerials: RevokedSerials

    /// - Throws: `TLSConfigurationError`.
    init(_ snapshot: GatewaySnapshot, revokedSerials: RevokedSerials) throws {
        var snapshot = snapshot
        snapshot.revokedSerials = nil
        self.snapshot = snapshot
        self.revokedSerials = revokedSerials
        // Loading leaves entries, the end of a PEM file for one, that no connection of this thread may find.
        defer { ERR_clear_error() }
        server = try ServerContext(
            certificates: snapshot.certificates.map { ($0.names, $0.chainPEM, $0.keyPEM) },
            ticketKeys: snapshot.ticketKeys, clients: snapshot.clientCertificates,
            askedHosts: Set(snapshot.applications.filter(\.asksForCertificate).map(\.host)))
    }
}

/// Serial numbers of the certificates that an administrator revoked, as `CertificateFacts.number`: one value for all
/// reactors. Later ones hold all of the earlier ones, because what was revoked is never given back.
final class RevokedSerials: Sendable {
    let numbers: Set<String>

    init(_ numbers: Set<String> = []) { self.numbers = numbers }

    /// - Returns: itself where none of them is new.
    func adding(_ more: [String]) -> RevokedSerials {
        guard !more.allSatisfy(numbers.contains) else { return self }
        return RevokedSerials(numbers.union(more))
    }
}
