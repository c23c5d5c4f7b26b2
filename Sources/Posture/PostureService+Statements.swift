import Access
import JSON
import Signatures
public import Store

// Devices that a management server speaks for (mode A). Nobody enrols them here: their record is made at the first
// statement that passes, and pins the key that this one named.
extension PostureService {
    func verifier(of agent: AgentIntegration) -> AssertionVerifier {
        let modes = agent.handshake.modes
        return AssertionVerifier(
            settings: agent.handshake, authority: modes.contains(.certificate) ? agent.authority : nil,
            statements: modes.contains(.statement) ? agent.statements : nil,
            revocation: withdrawn.files[ExactKey(agent.handshake.integration)])
    }

    /// The device that a proven key belongs to: enrolled here, or made from the management server's word.
    func known(
        _ verified: AssertionVerifier.Verified, nowSeconds: Int64
    ) throws(PostureRefusal) -> StoredDevice {
        let id = directory.latest(verified.deviceID)
        guard let device = directory[id] else {
            guard verified.statement != nil else {
                throw PostureRefusal(.deviceUnknown, "device \(verified.deviceID) is not enrolled here")
            }
            if let holder = directory.holder(ofThumbprint: verified.thumbprint).flatMap({ directory[$0] }) {
                return try same(holder, as: verified)
            }
            return StoredDevice(
                id: id, ownerIssuer: "", ownerSubject: "", keyThumbprint: verified.thumbprint,
                certificateSerial: "", enrolledAtSeconds: nowSeconds, certificateNotAfterSeconds: 0)
        }
        guard ExactText.isEqual(device.keyThumbprint, verified.thumbprint) else {
            throw PostureRefusal(
                .certificateRevoked, "device \(device.id) enrolled with another key", isAlert: true)
        }
        return device
    }

    /// A key that is known already is the same device, whichever way proves it: enrolled here as well, or known through
    /// another integration under the same name. A second name for it is refused: one key, one counter, one end.
    private func same(
        _ holder: StoredDevice, as verified: AssertionVerifier.Verified
    ) throws(PostureRefusal) -> StoredDevice {
        let names = holder.id.split(separator: ":", maxSplits: 2)
        let isEnrolled = !holder.id.hasPrefix("statement:")
        let subject = names.count == 3 ? names[2].prefix { $0 != "~" } : ""
        guard isEnrolled || ExactText.isEqual(String(subject), verified.claims.subject), !isRevoked(holder)
        else {
            throw PostureRefusal(
                .certificateRevoked, "the key of \(verified.deviceID) is that of device \(holder.id)",
                isAlert: true)
        }
        return holder
    }

    /// Whose device it is: by the server's word, and never by the person's own. A device without an owner counts only
    /// where anybody's does.
    func own(_ device: inout StoredDevice, _ statement: DeviceStatement, _ person: Person) {
        // Enrolled here, too: then it belongs to whoever enrolled it.
        guard device.id.hasPrefix("statement:") else { return }
        switch statement.owner {
        case .person(let issuer, let subject)?:
            (device.ownerIssuer, device.ownerSubject, device.ownerEmail) = (issuer, subject, nil)
        case .email(let email)?:
            let email = Self.folded(email)
            if let own = person.email.map(Self.folded), ExactText.isEqual(own, email) {
                device.ownerIssuer = person.issuer
                device.ownerSubject = person.subjects[0]
            } else if device.ownerEmail.map({ !ExactText.isEqual($0, email) }) ?? true {
                // Somebody else's from now on, who has not come by yet.
                (device.ownerIssuer, device.ownerSubject) = ("", "")
            }
            device.ownerEmail = email
        case nil:
            (device.ownerIssuer, device.ownerSubject, device.ownerEmail) = ("", "", nil)
        }
    }

    /// Lower-cases ASCII only: what Unicode folds together may be two mailboxes.
    private static func folded(_ text: String) -> String {
        String(decoding: text.utf8.map { (0x41...0x5a).contains($0) ? $0 + 0x20 : $0 }, as: UTF8.self)
    }

    /// The provider ids of an answer: of one kind the server's, where it names one, else the agent's.
    func deviceKeys(_ verified: AssertionVerifier.Verified) -> [DeviceKey] {
        let claimed = StatementFacts.deviceKeys(verified.claims.posture)
        guard let ids = verified.statement?.deviceIDs else { return claimed }
        let stated = StatementFacts.deviceKeys(JSONObject([("device_ids", .object(ids))]))
        return stated + claimed.filter { key in !stated.contains { $0.kind == key.kind } }
    }

    /// Lets a device of a management server come back with another key. The old key counts no more and its sessions
    /// are decided again; the next key that a statement names is pinned.
    ///
    /// - Returns: the id that the device has from then on; nil when there is no such device, it enrolled here, or it
    ///   was revoked for good.
    public func acceptNewKey(deviceID: String) async throws(StoreError) -> String? {
        let current = directory.latest(deviceID)
        guard current.hasPrefix("statement:"), let device = directory[current], !device.isRevoked else {
            return nil
        }
        let parts = current.split(separator: "~", maxSplits: 1)
        let next = "\(parts[0])~\((parts.count == 2 ? Int(parts[1]) ?? 1 : 1) + 1)"
        guard let old = directory.revoke(current, supersededBy: next) else { return nil }
        schedule.remove(device: current)
        announceChange([ExactKey(current)])
        try await store.upsert(old)
        await audit("device-key-accepted", ["device": .string(current), "next": .string(next)])
        return next
    }

    /// Stores which statements were seen last. Whoever comes while another one stores the same waits for a write of his
    /// own: what is acknowledged is on the disk.
    func storeStatementTimes() async throws(StoreError) {
        for (device, issued) in statementTimes.unsaved {
            try await store.noteStatement(ofDevice: device.text, issuedAtSeconds: issued)
            statementTimes.stored(issued, of: device)
        }
    }
}
