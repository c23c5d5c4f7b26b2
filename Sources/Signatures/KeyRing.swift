import JSON
import Synchronization

/// Every secret that the gateway makes itself, by purpose, in three generations: the previous one still
/// opens, the current one signs and seals, and the next one is already known to everybody who verifies.
///
/// On disk it is one folder of mode 0700 with one file of mode 0600 per purpose and number. Several processes
/// may share the folder; `rotate` reads it again under a lock before it writes.
public final class KeyRing: Sendable {
    /// What a secret is for. `assertion`, `challenge` and `root` are signing keys on P-256, the others random
    /// bytes.
    public enum Purpose: String, CaseIterable, Sendable {
        /// Signs what the upstream is told about a person.
        case assertion
        /// Key of the MAC over cookies, 32 bytes.
        case cookie
        /// Signs what the local agent is asked.
        case challenge
        /// Signs which challenge keys the local agents may believe. Nothing else is ever signed with it.
        case root
        /// TLS session tickets: name, AES and HMAC keys as OpenSSL takes them, 80 bytes.
        case ticket
        /// AES-256-GCM for cookies of the sign-in and for what rests in the store, 32 bytes.
        case sealing

        /// Bytes of the secret; nil for a signing key.
        var secretBytes: Int? {
            switch self {
            case .assertion, .challenge, .root: nil
            case .cookie, .sealing: 32
            case .ticket: 80
            }
        }
    }

    private let folder: KeyFolder?
    private let generations: Mutex<[Purpose: Generations]>

    /// Opens the ring in `folder`, which is made (mode 0700, with all keys) when it is not there.
    ///
    /// - Throws: `SignatureError` naming the file and the remedy: a folder or file that others than its owner
    ///   may read or write, that belongs to another user or is a symbolic link, and content that was not
    ///   written by this class. Nothing is repaired or replaced: a key that is silently new signs everybody
    ///   out.
    public init(folder: String) throws(SignatureError) {
        let opened = try KeyFolder(path: folder)
        self.folder = opened
        generations = Mutex(try Self.loaded(from: opened))
    }

    private init(inMemory generations: sending [Purpose: Generations]) {
        folder = nil
        self.generations = Mutex(generations)
    }

    /// A ring that is gone with the process.
    public static func ephemeral() -> KeyRing {
        var all: [Purpose: Generations] = [:]
        for purpose in Purpose.allCases {
            all[purpose] = Generations(
                previous: nil, current: .generated(purpose, number: 1), next: .generated(purpose, number: 2))
        }
        return KeyRing(inMemory: all)
    }

    /// The current signing key; `kid` is its thumbprint and also the key's own `keyID`.
    ///
    /// - Precondition: `purpose` is one that signs.
    public func signingKey(_ purpose: Purpose) -> (kid: String, key: SigningKey) {
        let key = signingKeys(purpose)[0]
        return (key.publicKey.keyID ?? key.publicKey.thumbprint, key)
    }

    /// The public keys to publish: current, next and previous, so that a verifier with a cached set knows a
    /// key before it is used.
    ///
    /// - Precondition: `purpose` is one that signs.
    public func verificationKeys(_ purpose: Purpose) -> [(kid: String, key: VerificationKey)] {
        signingKeys(purpose).map { ($0.publicKey.keyID ?? $0.publicKey.thumbprint, $0.publicKey) }
    }

    /// The secrets: current first, then previous and next (another gateway may have rotated a moment
    /// earlier).
    ///
    /// - Returns: `id` is the low byte of the key's number; three generations never share one.
    /// - Precondition: `purpose` is one of plain bytes.
    public func secrets(_ purpose: Purpose) -> [(id: UInt8, secret: [UInt8])] {
        precondition(purpose.secretBytes != nil, "\(purpose) has signing keys, not secrets")
        return ordered(purpose).compactMap { entry in
            guard case .secret(let bytes) = entry.material else { return nil }
            return (UInt8(truncatingIfNeeded: entry.number), bytes)
        }
    }

    /// Makes the next key the current one and a new one the next; what was previous is forgotten and deleted.
    ///
    /// - Throws: `SignatureError` when the folder cannot be written; the ring is then as it was.
    public func rotate(_ purpose: Purpose) throws(SignatureError) {
        guard let folder else {
            generations.withLock { all in
                guard let old = all[purpose] else { return }
                all[purpose] = Generations(
                    previous: old.current, current: old.next,
                    next: .generated(purpose, number: old.next.number + 1))
            }
            return
        }
        let lock = try folder.lock()
        defer { lock.release() }
        let old = try Self.generations(purpose, from: folder)
        let next = KeyEntry.generated(purpose, number: old.next.number + 1)
        try folder.write(next)
        if let previous = old.previous { try folder.remove(previous) }
        let new = Generations(previous: old.current, current: old.next, next: next)
        generations.withLock { $0[purpose] = new }
    }

    /// Reads the folder again, after another process rotated. Without effect on an ephemeral ring.
    ///
    /// - Throws: as `init(folder:)`; the ring is then as it was.
    public func reload() throws(SignatureError) {
        guard let folder else { return }
        let loaded = try Self.loaded(from: folder)
        generations.withLock { $0 = loaded }
    }

    private static func loaded(from folder: KeyFolder) throws(SignatureError) -> [Purpose: Generations] {
        let lock = try folder.lock()
        defer { lock.release() }
        var all: [Purpose: Generations] = [:]
        for purpose in Purpose.allCases { all[purpose] = try generations(purpose, from: folder) }
        return all
    }

    /// Reads the generations of one purpose and completes what an interrupted first start left out.
    private static func generations(_ purpose: Purpose, from folder: KeyFolder) throws(SignatureError)
        -> Generations
    {
        var numbers = try folder.numbers(of: purpose)
        guard numbers.isEmpty || numbers.count == numbers[numbers.count - 1] - numbers[0] + 1 else {
            throw SignatureError(
                "\(folder.path): a \(purpose.rawValue) key is missing between others; restore it from "
                    + "a backup, or remove all \(purpose.rawValue)-*.json to start anew")
        }
        // A rotation that was interrupted had written the new key already; only the oldest was left to
        // remove.
        while numbers.count > 3 { try folder.remove(purpose, number: numbers.removeFirst()) }
        var entries: [KeyEntry] = []
        for number in numbers { entries.append(try folder.read(purpose, number: number)) }
        while entries.count < 2 {
            let entry = KeyEntry.generated(purpose, number: (entries.last?.number ?? 0) + 1)
            try folder.write(entry)
            entries.append(entry)
        }
        let newest = entries.count - 1
        return Generations(
            previous: newest >= 2 ? entries[newest - 2] : nil, current: entries[newest - 1],
            next: entries[newest])
    }

    /// What agents are told, taken in one step so that a rotation cannot fall in between.
    func announced() -> (
        sequence: Int64, keys: [KeyAnnouncement.Named], roots: [KeyAnnouncement.Named], signers: [SigningKey]
    ) {
        generations.withLock { all in
            guard let challenge = all[.challenge], let root = all[.root] else {
                preconditionFailure("a key ring without challenge or root keys")
            }
            func named(_ entries: [KeyEntry]) -> [KeyAnnouncement.Named] {
                entries.compactMap(\.signingKey).map {
                    ($0.publicKey.keyID ?? $0.publicKey.thumbprint, $0.publicKey)
                }
            }
            let signers = [root.current] + (root.previous.map { [$0] } ?? []) + [root.next]
            // Either number grows by one with a rotation and never falls, so the sum does too.
            return (
                Int64(challenge.current.number + root.current.number),
                named([challenge.current, challenge.next]), named([root.current, root.next]),
                signers.compactMap(\.signingKey)
            )
        }
    }

    private func ordered(_ purpose: Purpose) -> [KeyEntry] {
        generations.withLock { all in
            guard let found = all[purpose] else { return [] }
            return [found.current] + (found.previous.map { [$0] } ?? []) + [found.next]
        }
    }

    private func signingKeys(_ purpose: Purpose) -> [SigningKey] {
        precondition(purpose.secretBytes == nil, "\(purpose) has secrets, not signing keys")
        return ordered(purpose).compactMap(\.signingKey)
    }
}

/// The keys of one purpose; their numbers follow one another.
struct Generations: Sendable {
    var previous: KeyEntry?
    var current: KeyEntry
    var next: KeyEntry
}
