import Access
import Border
import Store
import Synchronization

/// Serial numbers of certificates that an administrator revoked, as `CertificateFacts.number`: what the data plane has
/// to know of them, because it judges `certificate` conditions by itself.
final class RevokedSerials: Sendable {
    private let numbers = Mutex<Set<String>>([])

    /// For a snapshot; nil: none.
    var list: [String]? {
        let all = numbers.withLock { $0 }
        return all.isEmpty ? nil : all.sorted()
    }

    /// - Returns: false: there is no room for one more.
    func insert(_ number: String) -> Bool {
        numbers.withLock { numbers in
            guard numbers.count < GatewaySnapshot.revokedSerialsMax || numbers.contains(number) else {
                return false
            }
            numbers.insert(number)
            return true
        }
    }

    func insert(contentsOf others: Set<String>) { numbers.withLock { $0.formUnion(others) } }
}

extension ControlPlane {
    /// Reads what the data plane must know before its first connection. Call before `snapshot` is used.
    ///
    /// - Throws: `ControlFailure` when the store cannot be read: nobody could say which certificates count.
    public func prepare() async throws(ControlFailure) {
        do throws(StoreError) {
            revokedSerials.insert(
                contentsOf: Set(try await store.revokedSerials().map(CertificateFacts.number)))
        } catch {
            throw ControlFailure(what: "\(error)")
        }
    }

    /// A configuration with what was revoked until this moment.
    func completed(_ snapshot: GatewaySnapshot) -> GatewaySnapshot {
        var snapshot = snapshot
        snapshot.revokedSerials = revokedSerials.list
        clientLists.complete(&snapshot)
        return snapshot
    }

    /// Has the reactors take it.
    func configure(_ snapshot: GatewaySnapshot) async throws(ControlFailure) {
        let files = clientLists.files
        try await reactors.configure(completed(snapshot))
        clientLists.note(told: files)
    }
}
