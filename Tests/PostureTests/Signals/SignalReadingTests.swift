import Access
import JSON
import Signatures
import Store
import Testing

@testable import Posture

@Suite("What events come to: CAEP and RISC on people, sessions and devices that are known, and on others")
struct SignalReadingTests {
    static let user: JSONValue = ["format": "iss_sub", "iss": "https://idp.example/t1", "sub": "u-17"]
    static let mail: JSONValue = ["format": "email", "email": "Mara@Corp.example"]
    static let device: JSONValue = ["format": "opaque", "id": "PF3ABCDE"]
    static let stranger: JSONValue = ["format": "opaque", "id": "NOBODY"]
    static let person = SignalTarget.Person.identity(issuer: "https://idp.example/t1", subject: "u-17")
    static let address = SignalTarget.Person.email("mara@corp.example")

    static func target(_ change: (inout SignalTarget) -> Void) -> SignalTarget {
        var target = SignalTarget()
        change(&target)
        return target
    }

    static func complex(_ members: JSONObject) -> JSONValue {
        var object = members
        object["format"] = "complex"
        return .object(object)
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var type: String
        var subject: JSONValue
        var members: JSONObject = [:]
        var outcome: SignalReading.Outcome
        var effect: SignalEffect?

        init(
            _ name: String, _ type: String, _ subject: JSONValue, _ outcome: SignalReading.Outcome,
            _ effect: SignalEffect? = nil
        ) { self.init(name, type, subject, [:], outcome, effect) }

        init(
            _ name: String, _ type: String, _ subject: JSONValue, _ members: JSONObject,
            _ outcome: SignalReading.Outcome, _ effect: SignalEffect? = nil
        ) {
            testDescription = name
            self.type = type.contains(":") ? type : SignalEvent.caep + type
            self.subject = subject
            self.members = members
            self.outcome = outcome
            self.effect = effect
        }
    }

    static let byPerson = target { $0.persons = [person] }
    static func signal(_ word: DeviceSignal.Word) -> SignalEffect {
        .setVerdict(
            DeviceSignal(
                stream: "idp", deviceID: "device-1", word: word, happenedAtSeconds: SignalToken.now,
                receivedAtSeconds: SignalToken.now))
    }

    static let people: [Row] = [
        Row("session-revoked of a person", "session-revoked", user, .applied, .endSessions(byPerson)),
        Row(
            "by an address, folded", "session-revoked", mail, .applied,
            .endSessions(target { $0.persons = [address] })),
        Row(
            "by an account", "session-revoked", ["format": "account", "uri": "acct:mara@corp.example"],
            .applied,
            .endSessions(target { $0.persons = [address] })),
        Row(
            "by any of several names", "session-revoked",
            ["format": "aliases", "identifiers": [mail, user, ["format": "did", "url": "did:x:1"]]], .applied,
            .endSessions(target { $0.persons = [address, person] })),
        Row(
            "by a session", "session-revoked", ["format": "opaque", "id": "sid-55"], .applied,
            .endSessions(target { $0.sessions = ["sid-55"] })),
        Row(
            "by person, device, session and tenant", "session-revoked",
            complex([
                "user": user, "device": device, "session": ["format": "opaque", "id": "sid-55"],
                "tenant": ["format": "opaque", "id": "t1"],
            ]), .applied,
            .endSessions(
                target {
                    $0.persons = [person]
                    $0.deviceID = "device-1"
                    $0.sessions = ["sid-55"]
                    $0.tenants = ["t1"]
                })),
        Row(
            "an unknown device narrows to nothing that is known", "session-revoked",
            complex(["user": user, "device": stranger]), .unmappedSubject),
        Row(
            "a person that cannot be mapped", "session-revoked",
            complex(["user": ["format": "phone_number", "phone_number": "+1"], "tenant": device]),
            .criticalMember),
        Row(
            "a session that cannot be mapped", "session-revoked",
            complex(["user": user, "session": ["format": "phone_number", "phone_number": "+1"]]),
            .unmappedSubject),
        Row(
            "by a token's id", "session-revoked", ["format": "jwt_id", "iss": "https://i", "jti": "1"],
            .applied,
            .endSessions(target { $0.tokens = [SignalTarget.Token(issuer: "https://i", id: "1")] })),
        Row(
            "a person is not named by a token", "credential-change",
            ["format": "jwt_id", "iss": "https://i", "jti": "1"],
            ["credential_type": "password", "change_type": "revoke"], .unmappedSubject),
        Row(
            "a member that is not understood is passed over", "session-revoked",
            complex(["user": user, "org_unit": stranger]), .applied, .endSessions(byPerson)),
        Row(
            "unless it is critical", "session-revoked", complex(["user": user, "application": stranger]),
            .criticalMember),
        Row("a group alone", "session-revoked", complex(["group": stranger]), .unmappedSubject),
        Row(
            "a credential that was revoked", "credential-change", user,
            ["credential_type": "fido2-roaming", "change_type": "revoke"], .applied,
            .requireReauthentication(byPerson)),
        Row(
            "a credential that was changed", "credential-change", user,
            ["credential_type": "password", "change_type": "update"], .applied,
            .requireReauthentication(byPerson)),
        Row(
            "a credential that was added", "credential-change", user,
            ["credential_type": "pin", "change_type": "create"], .noted),
        Row(
            "a level that fell", "assurance-level-change", user,
            ["namespace": "NIST-AAL", "current_level": "1", "change_direction": "decrease"], .applied,
            .requireReauthentication(byPerson)),
        Row(
            "a level that rose", "assurance-level-change", user,
            ["namespace": "NIST-AAL", "current_level": "2", "change_direction": "increase"], .noted),
        Row(
            "a level of unknown direction", "assurance-level-change", user,
            ["namespace": "NIST-AAL", "current_level": "1", "previous_level": "2"], .applied,
            .requireReauthentication(byPerson)),
        Row(
            "other groups", "token-claims-change", user, ["claims": ["groups": ["staff"], "dept": .null]],
            .applied,
            .replaceClaims(byPerson, ClaimChanges(groups: ["staff"], values: ["dept": nil]))),
        Row(
            "another address: who signs in says who they are", "token-claims-change", user,
            ["claims": ["email": "boss@corp.example"]], .applied, .requireReauthentication(byPerson)),
        Row(
            "a claim of ours is nobody else's", "token-claims-change", user,
            ["claims": ["gatepost-linked": "x", "a": "b"]], .applied,
            .replaceClaims(byPerson, ClaimChanges(groups: nil, values: ["a": .text("b")]))),
        Row("a session that began", "session-established", user, .noted),
        Row("a session that was seen", "session-presented", user, .noted),
        Row("an event of tomorrow", "something-new", user, .unknownEvent),
        Row("an event of somebody else", "https://x.example/e", user, .unknownEvent),
    ]

    static let compliance: JSONObject = ["previous_status": "compliant", "current_status": "not-compliant"]
    static let devices: [Row] = [
        Row(
            "not compliant", "device-compliance-change", complex(["device": device]), compliance, .applied,
            signal(.compliance(isCompliant: false))),
        Row(
            "by the transmitter's own name", "device-compliance-change",
            ["format": "iss_sub", "iss": .string(SignalToken.issuer), "sub": "PF3ABCDE"], compliance,
            .applied,
            signal(.compliance(isCompliant: false))),
        Row(
            "by somebody else's", "device-compliance-change",
            ["format": "iss_sub", "iss": "https://other.example", "sub": "PF3ABCDE"], compliance,
            .unmappedSubject),
        Row("of a stranger", "device-compliance-change", stranger, compliance, .unmappedSubject),
        Row("of a person", "device-compliance-change", mail, compliance, .unmappedSubject),
        Row(
            "compliant", "device-compliance-change", device,
            ["previous_status": "not-compliant", "current_status": "compliant"], .applied,
            signal(.compliance(isCompliant: true))),
        Row(
            "a device at high risk", "risk-level-change", device,
            ["principal": "DEVICE", "current_level": "HIGH"], .applied, signal(.risk(.high))),
        Row(
            "a device at low risk", "risk-level-change", device,
            ["principal": "DEVICE", "current_level": "LOW"], .applied, signal(.risk(.low))),
        Row(
            "a person at high risk", "risk-level-change", user,
            ["principal": "USER", "current_level": "HIGH"], .applied, .requireReauthentication(byPerson)),
        Row(
            "a person at medium risk", "risk-level-change", user,
            ["principal": "USER", "current_level": "MEDIUM"], .noted),
        Row(
            "a whole tenant at high risk", "risk-level-change", stranger,
            ["principal": "TENANT", "current_level": "HIGH"], .unmappedSubject),
    ]

    static let risc: [Row] =
        [
            "account-disabled", "account-purged", "account-credential-change-required",
            "credential-compromise", "sessions-revoked", "identifier-changed", "identifier-recycled",
        ].map { Row($0, SignalEvent.risc + $0, user, .applied, .endSessions(byPerson)) }
        + [
            "account-enabled", "opt-in", "opt-out-initiated", "opt-out-cancelled", "opt-out-effective",
            "recovery-activated", "recovery-information-changed",
        ].map { Row($0, SignalEvent.risc + $0, user, .noted) }
        + [
            Row(
                "account-disabled of nobody", SignalEvent.risc + "account-disabled", stranger,
                .unmappedSubject),
            Row("not-yet-invented", SignalEvent.risc + "not-yet-invented", user, .unknownEvent),
        ]

    @Test("001.24 003.6 an event has the effect that is written, or none", arguments: people + devices + risc)
    func rows(_ row: Row) throws {
        let token = SignalToken {
            $0.claims["events"] = .object(JSONObject([(row.type, .object(row.members))]))
            $0.claims["sub_id"] = row.subject
        }
        let validator = SignalToken.validator
        let event = try validator.validate(
            try validator.parse(token.compact()), keys: [SignalToken.key.publicKey])
        let reader = SignalReader(
            stream: "idp", issuer: SignalToken.issuer, criticalMembers: ["user", "application"],
            nowSeconds: SignalToken.now, device: { $0 == "PF3ABCDE" ? "device-1" : nil })
        let reading = reader.read(try SignalEvent(event), of: event)
        #expect(reading.outcome == row.outcome)
        #expect(reading.effects == (row.effect.map { [$0] } ?? []))
    }

    static let malformed: [(String, JSONObject)] = [
        ("token-claims-change", [:]), ("token-claims-change", ["claims": "x"]),
        ("token-claims-change", ["claims": [:]]), ("credential-change", ["credential_type": "pin"]),
        ("credential-change", ["change_type": "revoke"]),
        ("credential-change", ["credential_type": "pin", "change_type": "lost"]),
        ("device-compliance-change", [:]), ("device-compliance-change", ["current_status": "compliant"]),
        ("device-compliance-change", ["previous_status": "compliant", "current_status": "noncompliant"]),
        ("assurance-level-change", ["current_level": "1"]), ("assurance-level-change", ["namespace": "x"]),
        (
            "assurance-level-change",
            ["namespace": "x", "current_level": "1", "change_direction": "sideways"]
        ),
        ("risk-level-change", ["principal": "DEVICE"]), ("risk-level-change", ["current_level": "HIGH"]),
        ("risk-level-change", ["principal": "DEVICE", "current_level": "SEVERE"]),
    ]

    @Test("an event without what it must say is refused", arguments: malformed.indices)
    func missing(_ index: Int) {
        let (type, members) = Self.malformed[index]
        let token = SignalToken {
            $0.claims["events"] = .object(JSONObject([(SignalEvent.caep + type, .object(members))]))
        }
        #expect(SignalToken.refusal(token.compact())?.code == .invalidRequest)
    }
}

@Suite("Which sessions a target covers")
struct SignalTargetTests {
    static func session(
        _ id: String = "s1", subject: String = "u-17", sid: String? = nil, tenant: String? = nil,
        device: String? = nil
    ) -> StoredSession {
        var claims: [String: ClaimValue] = [:]
        claims["sid"] = sid.map { .text($0) }
        claims["tid"] = tenant.map { .text($0) }
        return StoredSession(
            id: id, kind: .global, tokenDigest: [1], host: "auth", identityProvider: "corp",
            issuer: "https://idp.example/t1", subject: subject, email: "\(subject)@corp.example",
            claims: claims,
            authenticatedAtSeconds: 1, createdAtSeconds: 1, expiresAtSeconds: 2, deviceID: device)
    }

    @Test("003.6 everything that is named has to fit") func rows() {
        let person = SignalReadingTests.person
        func covers(_ session: StoredSession, _ change: (inout SignalTarget) -> Void) -> Bool {
            SignalReadingTests.target(change).covers(session)
        }
        #expect(!covers(Self.session()) { _ in })
        #expect(covers(Self.session()) { $0.persons = [person] })
        #expect(!covers(Self.session(subject: "u-18")) { $0.persons = [person] })
        #expect(covers(Self.session()) { $0.persons = [.email("u-17@corp.example")] })
        #expect(!covers(Self.session()) { $0.persons = [.email("u-1@corp.example")] })
        #expect(covers(Self.session()) { $0.sessions = ["s1"] })
        #expect(!covers(Self.session()) { $0.sessions = ["s2"] })
        #expect(covers(Self.session(sid: "p1")) { $0.sessions = ["p1"] })
        #expect(!covers(Self.session(sid: "p2")) { ($0.persons, $0.sessions) = ([person], ["p1"]) })
        // Nobody knows which of the provider's sessions it is: it may be the one.
        #expect(covers(Self.session()) { ($0.persons, $0.sessions) = ([person], ["p1"]) })
        #expect(!covers(Self.session()) { $0.tenants = ["t1"] })
        #expect(covers(Self.session(tenant: "t1")) { $0.tenants = ["t1"] })
        #expect(!covers(Self.session(tenant: "t2")) { ($0.persons, $0.tenants) = ([person], ["t1"]) })
        #expect(covers(Self.session(device: "d1")) { $0.deviceID = "d1" })
        #expect(!covers(Self.session(device: "d2")) { ($0.persons, $0.deviceID) = ([person], "d1") })
        #expect(!covers(Self.session()) { ($0.persons, $0.deviceID) = ([person], "d1") })
    }
}
