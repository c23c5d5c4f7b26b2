import Access
public import Store

/// Who a person is beyond one registration. Microsoft Entra's `sub` is another one for each registration;
/// `oid` in the tenant `tid` is the same for all of them (Microsoft, "ID token claims reference").
enum PersonAccount {
    /// The account's name among those of the issuer; nil: the token names none, and `sub` is all there is.
    ///
    /// Only of an issuer that has the tenant's id in its own path, as Entra's have: elsewhere `oid` and `tid`
    /// may be attributes that people edit, and whoever wrote somebody else's there would become them.
    static func name(of person: PersonFacts) -> String? {
        guard case .text(let object)? = person.claims["oid"], isGUID(object),
            case .text(let tenant)? = person.claims["tid"], isGUID(tenant)
        else { return nil }
        let (own, issuer) = (EmailAddress.folded(tenant), EmailAddress.folded(person.issuer))
        guard
            issuer.split(separator: "/").dropFirst(2).contains(where: { ExactText.isEqual(String($0), own) })
        else { return nil }
        return "\(EmailAddress.folded(object))@\(own)"
    }

    /// 8-4-4-4-12 hexadecimal digits.
    private static func isGUID(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard bytes.count == 36 else { return false }
        return bytes.indices.allSatisfy { index in
            switch index {
            case 8, 13, 18, 23: bytes[index] == UInt8(ascii: "-")
            case _:
                switch bytes[index] {
                case 0x30...0x39, 0x41...0x46, 0x61...0x66: true
                case _: false
                }
            }
        }
    }
}

/// One person, several subjects.
extension Sessions {
    /// Under this claim name a global session remembers by which other subjects of its issuer the same person is
    /// known. Claims of providers never begin with `gatepost`.
    static let subjectsClaim = "gatepost-subjects"

    /// Whether a subject of an issuer is the person of this global session.
    public static func isPerson(_ session: StoredSession, issuer: String, subject: String) -> Bool {
        guard ExactText.isEqual(session.issuer, issuer) else { return false }
        if ExactText.isEqual(session.subject, subject) { return true }
        guard case .list(let others)? = session.claims[subjectsClaim] else { return false }
        return ExactText.contains(others, subject)
    }

    /// Every subject of the issuer by which the person of this global session is known.
    public static func subjects(of session: StoredSession) -> [String] {
        guard case .list(let others)? = session.claims[subjectsClaim] else { return [session.subject] }
        return [session.subject] + others
    }

    /// Writes down by which subjects its person is known.
    public static func note(subjects: [String], in session: inout StoredSession) {
        let own = session.subject
        let others = subjects.filter { !ExactText.isEqual($0, own) }
        session.claims[subjectsClaim] = others.isEmpty ? nil : .list(others)
    }
}

extension SignInFlow {
    /// The person with what is known of them beyond this registration. What the token says of the account is noted
    /// first, so that a session is never without it.
    func known(_ person: PersonFacts) async throws(StoreError) -> PersonFacts {
        guard let account = PersonAccount.name(of: person) else { return person }
        let subjects = try await store.link(
            issuer: person.issuer, subject: person.subject, account: account)
        var known = person
        let others = subjects.filter { !ExactText.isEqual($0, person.subject) }
        if !others.isEmpty { known.claims[Sessions.subjectsClaim] = .list(others) }
        return known
    }
}
