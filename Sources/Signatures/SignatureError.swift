/// Why a key, token, certificate or sealed value was refused, or why the crypto library failed.
public struct SignatureError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The rule that was broken; never a part of a secret.
    public var what: String

    /// An error that says `what`.
    public init(_ what: String) { self.what = what }

    public var description: String { what }
}
