import Access
import JSON
import Store

/// What one event of a stream comes to.
struct SignalReading: Sendable, Hashable {
    /// Why an event was acknowledged; counted and shown.
    enum Outcome: String, Sendable, CaseIterable {
        /// Its effects were carried out.
        case applied
        /// Known, and nothing to do.
        case noted
        case unknownEvent = "unknown-event"
        /// Nobody and nothing here bears the name that it has.
        case unmappedSubject = "unmapped-subject"
        /// The subject has a member that must be understood and is not.
        case criticalMember = "critical-member"
        /// Taken before.
        case duplicate
    }
    var outcome: Outcome
    var effects: [SignalEffect] = []
}

/// From event and subject to effects. What cannot be mapped is never guessed.
struct SignalReader {
    /// The configured name of the stream.
    var stream: String
    /// Its issuer: names of devices in `iss_sub` are taken of it only.
    var issuer: String
    /// Members of a complex subject that must be understood.
    var criticalMembers: Set<String>
    var nowSeconds: Int64
    /// Our device that bears this id, if it is exactly one.
    var device: (String) -> String?

    /// The members of a complex subject that are understood.
    static let members: Set<String> = ["user", "device", "session", "tenant"]

    func read(_ event: SignalEvent, of token: SecurityEvent) -> SignalReading {
        if case .complex(let members) = token.subject,
            members.contains(where: { criticalMembers.contains($0.key) && !isUnderstood($0.key, $0.value) })
        {
            return SignalReading(outcome: .criticalMember)
        }
        switch event {
        case .verification, .streamUpdated, .noted, .assuranceNotDecreased, .credentialCreated:
            return SignalReading(outcome: .noted)
        case .unknown: return SignalReading(outcome: .unknownEvent)
        case .sessionRevoked: return acting(target(token, simple: .session)) { .endSessions($0) }
        case .accountEnded, .identifierChanged:
            return acting(target(token, simple: .user)) { .endSessions($0) }
        case .credentialLost(_, let certificate):
            var reading = acting(target(token, simple: .user)) { .requireReauthentication($0) }
            // Whoever it was issued to: what is revoked is the certificate, and it is named.
            if let certificate {
                reading.outcome = .applied
                reading.effects.append(.revokeCertificate(certificate))
            }
            return reading
        case .assuranceDecreased:
            return acting(target(token, simple: .session)) { .requireReauthentication($0) }
        case .claimsChanged(let claims): return changes(claims, token)
        case .compliance(let isCompliant):
            return signal(.compliance(isCompliant: isCompliant), token)
        case .risk(let principal, let level): return risk(principal, level, token)
        }
    }

    // MARK: Events

    private func acting(
        _ target: SignalTarget?, _ effect: (SignalTarget) -> SignalEffect
    ) -> SignalReading {
        guard let target, !target.isEmpty else { return SignalReading(outcome: .unmappedSubject) }
        return SignalReading(outcome: .applied, effects: [effect(target)])
    }

    private func signal(_ word: DeviceSignal.Word, _ token: SecurityEvent) -> SignalReading {
        guard let id = subjects(token, "device").lazy.compactMap(deviceID).first else {
            return SignalReading(outcome: .unmappedSubject)
        }
        let signal = DeviceSignal(
            stream: stream, deviceID: id, word: word, happenedAtSeconds: token.happenedAtSeconds,
            receivedAtSeconds: nowSeconds)
        return SignalReading(outcome: .applied, effects: [.setVerdict(signal)])
    }

    private func risk(
        _ principal: SignalEvent.Principal, _ level: SignalEvent.RiskLevel, _ token: SecurityEvent
    ) -> SignalReading {
        switch (principal, level) {
        case (.device, .low): return signal(.risk(.low), token)
        case (.device, .medium): return signal(.risk(.medium), token)
        case (.device, .high): return signal(.risk(.high), token)
        case (.user, .high): return acting(target(token, simple: .user)) { .requireReauthentication($0) }
        case (.session, .high): return acting(target(token, simple: .session)) { .endSessions($0) }
        case (.user, .low), (.user, .medium), (.session, .low), (.session, .medium):
            return SignalReading(outcome: .noted)
        case (.other, _): return SignalReading(outcome: .unmappedSubject)
        }
    }

    /// Claims that say who a person is are not replaced by a signal: the person signs in anew.
    private func changes(_ claims: JSONObject, _ token: SecurityEvent) -> SignalReading {
        guard let target = target(token, simple: .session), !target.isEmpty else {
            return SignalReading(outcome: .unmappedSubject)
        }
        let identity = ["iss", "sub", "email", "email_verified", "name"]
        if identity.contains(where: { claims[$0] != nil }) {
            return SignalReading(outcome: .applied, effects: [.requireReauthentication(target)])
        }
        guard let changes = ClaimChanges(claims) else {
            return SignalReading(outcome: .applied, effects: [.requireReauthentication(target)])
        }
        return SignalReading(outcome: .applied, effects: [.replaceClaims(target, changes)])
    }

    // MARK: Subjects

    /// What a subject without members may name, beside a person.
    private enum Simple { case user, session }

    /// nil when a member that is understood names nothing that is known: without it the event would be
    /// about more.
    private func target(_ token: SecurityEvent, simple: Simple) -> SignalTarget? {
        var target = SignalTarget()
        guard case .complex(let members) = token.subject else {
            let subjects = subjects(token, "user")
            target.persons = subjects.compactMap(Self.person)
            if target.persons.isEmpty, simple == .session {
                target.sessions = subjects.compactMap(Self.opaque)
                target.tokens = subjects.compactMap(Self.token)
            }
            return target
        }
        for (name, subjects) in members {
            switch name {
            case "user":
                target.persons = subjects.compactMap(Self.person)
                if target.persons.isEmpty { return nil }
            case "device":
                target.deviceID = subjects.lazy.compactMap(deviceID).first
                if target.deviceID == nil { return nil }
            case "session":
                target.sessions = subjects.compactMap(Self.opaque)
                target.tokens = subjects.compactMap(Self.token)
                if target.sessions.isEmpty, target.tokens.isEmpty { return nil }
            case "tenant":
                target.tenants = subjects.compactMap(Self.opaque)
                if target.tenants.isEmpty { return nil }
            // Shared Signals 1.0 §3.2.1: a member that is not critical may be passed over.
            case _: break
            }
        }
        return target
    }

    /// The names of one member, or of the subject itself when it has none.
    private func subjects(_ token: SecurityEvent, _ member: String) -> [SimpleSubject] {
        switch token.subject {
        case .simple(let subject): [subject]
        case .aliases(let subjects): subjects
        case .complex(let members): members[member] ?? []
        }
    }

    private func isUnderstood(_ member: String, _ subjects: [SimpleSubject]) -> Bool {
        switch member {
        case "user": subjects.contains { Self.person($0) != nil }
        case "device": subjects.contains { deviceID($0) != nil }
        case "session": subjects.contains { Self.opaque($0) != nil || Self.token($0) != nil }
        case "tenant": subjects.contains { Self.opaque($0) != nil }
        case _: false
        }
    }

    private static func person(_ subject: SimpleSubject) -> SignalTarget.Person? {
        switch subject {
        case .issuerSubject(let issuer, let subject): .identity(issuer: issuer, subject: subject)
        case .email(let email): .email(Self.folded(email))
        // RFC 7565: what follows `acct:` has the form of an address.
        case .account(let uri):
            Self.folded(uri).hasPrefix("acct:") ? .email(String(Self.folded(uri).dropFirst(5))) : nil
        case .opaque, .tokenID, .other: nil
        }
    }

    /// ASCII only, as sessions keep addresses: Unicode would make one mailbox into another person's.
    private static func folded(_ text: String) -> String {
        String(decoding: text.utf8.map { (0x41...0x5a).contains($0) ? $0 + 0x20 : $0 }, as: UTF8.self)
    }

    private func deviceID(_ subject: SimpleSubject) -> String? {
        switch subject {
        case .opaque(let id): device(id)
        case .issuerSubject(let issuer, let subject):
            ExactText.isEqual(issuer, self.issuer) ? device(subject) : nil
        case .account, .email, .tokenID, .other: nil
        }
    }

    private static func token(_ subject: SimpleSubject) -> SignalTarget.Token? {
        guard case .tokenID(let issuer, let id) = subject else { return nil }
        return SignalTarget.Token(issuer: issuer, id: id)
    }

    private static func opaque(_ subject: SimpleSubject) -> String? {
        switch subject {
        case .opaque(let id): id
        case .issuerSubject(_, let subject): subject
        case .account, .email, .tokenID, .other: nil
        }
    }
}

extension ClaimChanges {
    static let countMax = 100
    static let textBytesMax = 4_096
    static let listMax = 1_000

    /// nil for what a session cannot hold.
    init?(_ claims: JSONObject) {
        let aboutTheToken: Set<String> = [
            "aud", "exp", "iat", "nbf", "jti", "nonce", "azp", "auth_time", "sid",
        ]
        guard claims.count <= Self.countMax else { return nil }
        self.init(groups: nil, values: [:])
        for (name, value) in claims.members where !aboutTheToken.contains(name) && !name.hasPrefix("gatepost")
        {
            guard name.utf8.count <= 256 else { return nil }
            if name == "groups" {
                guard let list = value.array ?? value.string.map({ [.string($0)] }) else { return nil }
                let names = list.compactMap(\.string)
                guard names.count == list.count, Self.isBounded(names) else { return nil }
                groups = names
            } else {
                guard let reduced = Self.reduced(value) else { return nil }
                values[name] = .some(reduced.value)
            }
        }
    }

    /// nil beyond the bounds; a value of nil for what policy has no comparison for: what was said before is
    /// not so.
    private static func reduced(_ value: JSONValue) -> (value: ClaimValue?, Void)? {
        switch value {
        case .string(let text): return text.utf8.count <= textBytesMax ? (.text(text), ()) : nil
        case .bool(let flag): return (.flag(flag), ())
        case .integer, .number: return (value.integer.map { .integer($0) }, ())
        case .array(let values):
            let texts = values.compactMap(\.string)
            guard texts.count == values.count else { return (nil, ()) }
            return isBounded(texts) ? (.list(texts), ()) : nil
        case .null, .object: return (nil, ())
        }
    }

    private static func isBounded(_ texts: [String]) -> Bool {
        texts.count <= listMax && texts.allSatisfy { $0.utf8.count <= textBytesMax }
    }
}
