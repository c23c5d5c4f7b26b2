import Signatures
import Synchronization

/// The device key and what was enrolled with it; the enrolment is replaced by every renewal.
final class DeviceIdentity: Sendable {
    static let keyFileName = "device-key.pem"

    let folder: StateFolder
    let key: SigningKey
    private let current: Mutex<Enrolment>
    /// The newest announcement of keys that a pinned key has spoken of.
    private let announced = Mutex<Int64>(0)
    /// Whether a challenge named a key that is not pinned.
    let lacksKey = Mutex(false)

    init(folder: StateFolder, key: SigningKey, enrolment: Enrolment) {
        self.folder = folder
        self.key = key
        current = Mutex(enrolment)
    }

    /// Reads key and enrolment from the folder.
    convenience init(folder: StateFolder) throws(AgentError) {
        try folder.prepare()
        guard let pem = try folder.read(Self.keyFileName), let stored = try folder.read(Enrolment.fileName)
        else {
            throw AgentError(
                "\(folder.path): this device is not enrolled",
                remedy: "run: gatepost-agent enroll --url https://AUTH-HOST --token TOKEN")
        }
        guard let key = try? SigningKey(pem: pem) else {
            throw AgentError(
                "\(folder.path)/\(Self.keyFileName) is damaged", remedy: "enrol this device again")
        }
        let enrolment = try Enrolment(stored: stored)
        // Key and enrolment are two files: a power cut while a device enrols again can leave one of each.
        guard let leaf = try? Certificate(der: enrolment.certificates[0]),
            leaf.publicKey.thumbprint == key.publicKey.thumbprint
        else {
            throw AgentError(
                "\(folder.path): key and certificate do not belong together",
                remedy: "enrol this device again with --force")
        }
        self.init(folder: folder, key: key, enrolment: enrolment)
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
