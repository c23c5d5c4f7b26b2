/// One service token at rest: never the secret itself.
public struct StoredServiceToken: Sendable, Codable, Hashable {
    /// Unique, not secret (it stands in logs).
    public var id: String
    /// What `service` conditions compare; several tokens of one name are a rotation under way.
    public var name: String
    /// 32 bytes, made of the token by the caller with SHA-256.
    public var digest: [UInt8]
    /// When it was made.
    public var createdAtSeconds: Int64
    /// From this second on it does not count.
    public var expiresAtSeconds: Int64
    /// When it was last used, to the minute or so; nil: never.
    public var lastUsedAtSeconds: Int64?

    /// Makes a row; nothing is checked here.
    public init(
        id: String, name: String, digest: [UInt8], createdAtSeconds: Int64, expiresAtSeconds: Int64,
        lastUsedAtSeconds: Int64? = nil
    ) {
        self.id = id
        self.name = name
        self.digest = digest
        self.createdAtSeconds = createdAtSeconds
        self.expiresAtSeconds = expiresAtSeconds
        self.lastUsedAtSeconds = lastUsedAtSeconds
    }
}
