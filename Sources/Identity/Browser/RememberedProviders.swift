import Access

/// Which providers this browser was signed in by where there was a choice, the last one first: configured
/// names in one cookie of the auth host. It is a wish of whoever holds the browser, so it never decides what
/// counts: a name that the application does not accept is passed over.
struct RememberedProviders: Equatable {
    static let cookieName = "__Host-gatepost-provider"
    /// Applications accept different providers; with one name each would forget the other's.
    static let namesMax = 4
    static let lifetimeSeconds: Int64 = 180 * 86_400
    /// As long as names in the configuration are at most.
    static let nameBytesMax = 64

    private(set) var names: [String]

    /// What cannot be read in one way is nothing: a doubled cookie, too many names, any other byte than a name has.
    init(cookieField: [String]) {
        let found = CookieText.values(of: Self.cookieName, in: cookieField)
        names = []
        guard found.count == 1, let text = found.first,
            text.utf8.count <= Self.namesMax * (Self.nameBytesMax + 1)
        else { return }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= Self.namesMax, parts.allSatisfy(Self.isName), Set(parts).count == parts.count
        else { return }
        names = parts
    }

    private static func isName(_ text: String) -> Bool {
        guard (1...nameBytesMax).contains(text.utf8.count) else { return false }
        return text.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 45 }
    }

    /// The one among these that was used last; nil: none of them.
    func latest(
        among providers: [IdentityProviderRegistration]
    ) -> IdentityProviderRegistration? {
        for name in names {
            if let provider = providers.first(where: { ExactText.isEqual($0.name, name) }) { return provider }
        }
        return nil
    }

    /// The `Set-Cookie` value that puts a name in front.
    func remembering(_ name: String) -> String {
        let others = names.filter { !ExactText.isEqual($0, name) }
        return Self.setCookie(Array(([name] + others).prefix(Self.namesMax)))
    }

    /// The `Set-Cookie` value without a name; nil when it is not among them.
    func forgetting(_ name: String) -> String? {
        guard ExactText.contains(names, name) else { return nil }
        return Self.setCookie(names.filter { !ExactText.isEqual($0, name) })
    }

    private static func setCookie(_ names: [String]) -> String {
        let text = names.joined(separator: ".")
        return CookieText.set(cookieName, text, maxAgeSeconds: names.isEmpty ? 0 : lifetimeSeconds)
    }
}
