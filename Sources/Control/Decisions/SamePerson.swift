import Access
import Identity
import Posture
import Store

/// One person under several subjects: two registrations of one tenant name everybody twice.
extension DeviceFacts {
    /// The device with its owner named as the session names its own person, where both are the same: policy
    /// compares names, and records and logs then tell the same story.
    func asSeen(by global: StoredSession) -> DeviceFacts {
        guard let ownerIssuer, let ownerSubject,
            Sessions.isPerson(global, issuer: ownerIssuer, subject: ownerSubject)
        else { return self }
        var device = self
        device.ownerSubject = global.subject
        return device
    }
}

extension ControlPlane {
    /// A signal names a person by the subject of one registration; it means them at all of them.
    func everyName(of target: SignalTarget) async throws(StoreError) -> SignalTarget {
        var whole = target
        for case .identity(let issuer, let subject) in target.persons {
            for other in try await store.subjects(issuer: issuer, subject: subject)
            where !ExactText.isEqual(other, subject) {
                whole.persons.append(.identity(issuer: issuer, subject: other))
            }
        }
        return whole
    }
}
