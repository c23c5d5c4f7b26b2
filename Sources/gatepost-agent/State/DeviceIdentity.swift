import Signatures
import Synchronization

/// The device key and what was enrolled with it; the enrolment is replaced by every renewal.
final class DeviceIdentity: Sendable {
    static let keyFileName = "device-key.pem"

    let folder: StateFolder
    let key: any DeviceSigner
    private let current: Mutex<Enrolment>
    /// The newest announcement of keys that a pinned key has spoken of.
    private let announced = Mutex<Int64>(0)
    /// Whether a challenge named a key that is not pinned.
    let lacksKey = Mutex(false)

    init(folder: StateFolder, key: any DeviceSigner, enrolment: Enrolment) {
        self.folder = folder
        self.key = key
        current = Mutex(enrolment)
    }

    /// Reads key and enrolment from the folder.
    ///
    /// - Parameter chip: where the security chip is today; nil: where it was at enrolment.
    convenience init(folder: StateFolder, chip: String? = nil) throws(AgentError) {
        try folder.prepare()
        let keys = try Self.keys(in: folder, chip: chip)
        guard !keys.isEmpty, let stored = try folder.read(Enrolment.fileName) else {
            throw AgentError(
                "\(folder.path): this device is not enrolled",
                remedy: "run: gatepost-agent enroll --url https://AUTH-HOST --token TOKEN")
        }
        let enrolment = try Enrolment(stored: stored)
        // Key and enrolment are two files: a power cut while a device enrols again can leave one of each, and
        // one that moves into the security chip leaves the old key's file for a moment.
        let leaf = try? Certificate(der: enrolment.certificates[0])
        guard let leaf, let key = keys.first(where: { $0.publicKey.thumbprint == leaf.publicKey.thumbprint })
        else {
            throw AgentError(
                "\(folder.path): key and certificate do not belong together",
                remedy: "enrol this device again with --force")
        }
        self.init(folder: folder, key: key, enrolment: enrolment)
    }

    private static func keys(in folder: StateFolder, chip: String?) throws(AgentError) -> [any DeviceSigner] {
        var keys: [any DeviceSigner] = []
        if let stored = try folder.read(TPMKey.fileName) {
            keys.append(try TPMKey(stored: stored, path: chip))
        }
        if let pem = try folder.read(keyFileName) {
            guard let key = try? SigningKey(pem: pem) else {
                throw AgentError(
                    "\(folder.path)/\(keyFileName) is damaged", remedy: "enrol this device again")
            }
            keys.append(key)
        }
        return keys
    }

    /// Writes a new enrolment; the other kind of key goes last, when nothing needs it any more.
    static func store(
        _ key: any DeviceSigner, _ enrolment: Enrolment, in folder: StateFolder
    ) throws(AgentError) {
        if let inChip = key as? TPMKey { try folder.write(TPMKey.fileName, inChip.stored) }
        if let inFile = key as? SigningKey { try folder.write(keyFileName, inFile.pem) }
        // A new key counts from the beginning, so the old counter goes with the old key.
        try folder.write(StatementCounter.fileName, Array("1".utf8))
        try folder.write(Enrolment.fileName, enrolment.stored)
        try folder.remove(key is TPMKey ? keyFileName : TPMKey.fileName)
    }

    /// Notes what a challenge by a pinned key says about the gateway's keys.
    func note(announcement sequence: Int64) {
        announced.withLock { $0 = max($0, sequence) }
    }

    /// Whether the gateway has announced keys that are not pinned yet. After a key was given up, waiting for
    /// the daily renewal would leave the old one believed for that long.
    var isBehind: Bool {
        announced.withLock { $0 } > enrolment.keySequence || lacksKey.withLock { $0 }
    }

    var enrolment: Enrolment { current.withLock { $0 } }

    func replace(_ enrolment: Enrolment) throws(AgentError) {
        try folder.write(Enrolment.fileName, enrolment.stored)
        current.withLock { $0 = enrolment }
        lacksKey.withLock { $0 = false }
    }
}
