/// Who can sign in at the lab's provider, and which relying parties are registered there.

/// A test person. The passwords are public on purpose and printed by `make run`.
struct Person: Sendable, Hashable {
    var user: String
    var password: String
    var subject: String
    var name: String
    var email: String
    var groups: [String]

    static let demo: [Person] = [
        Person(
            user: "alice", password: "alice-demo", subject: "lab-0001", name: "Alice Archer",
            email: "alice@corp.example", groups: ["staff", "engineering"]),
        Person(
            user: "bob", password: "bob-demo", subject: "lab-0002", name: "Bob Baker",
            email: "bob@corp.example", groups: ["staff"]),
        // Of another e-mail domain, so that a policy on the domain has somebody to refuse.
        Person(
            user: "carol", password: "carol-demo", subject: "lab-0003", name: "Carol Cooper",
            email: "carol@partner.example", groups: ["partners"]),
    ]
}

/// A registered relying party.
struct Client: Sendable, Hashable {
    var id: String
    var secret: String
    var displayName: String
    /// Compared byte by byte, never by prefix (RFC 9700 2.1).
    var redirectURIs: [String]
    var postLogoutURIs: [String]
    /// Only from a device that the directory calls compliant.
    var wantsCompliantDevice = false
    /// Where logout tokens go (Back-Channel Logout 1.0 §2.2); nil: nowhere.
    var backchannelURI: String?

    /// The two registrations of one gateway: an application that accepts only the second must ask again.
    /// - Parameter origins: origins of the gateway's auth host, for example https://auth.localhost:8443
    static func demo(origins: [String]) -> [Client] {
        func client(_ id: String, _ secret: String, _ name: String, provider: String) -> Client {
            Client(
                id: id, secret: secret, displayName: name,
                redirectURIs: origins.map { "\($0)/.gatepost/callback/\(provider)" },
                postLogoutURIs: origins.flatMap { ["\($0)/", "\($0)/.gatepost/signed-out"] },
                backchannelURI: origins.first.map { "\($0)/.gatepost/backchannel-logout/\(provider)" })
        }
        return [
            client("gatepost", "gatepost-demo-secret", "Corp staff", provider: "staff"),
            client("gatepost-hr", "gatepost-hr-demo-secret", "Corp people team", provider: "hr-staff"),
        ]
    }
}
