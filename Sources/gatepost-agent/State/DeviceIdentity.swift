import Signatures
import Synchronization

/// The device key and what was enrolled with it; the enrolment is replaced by every renewal.
final class DeviceIdentity: Sendable {
    static let keyFileName = "device-key.pem"

    let folder: StateFolder
    let key: SigningKey
    private let current: Mutex<Enrolment>

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
        self.init(folder: folder, key: key, enrolment: try Enrolment(stored: stored))
    }

    var enrolment: Enrolment { current.withLock { $0 } }

    func replace(_ enrolment: Enrolment) throws(AgentError) {
        try folder.write(Enrolment.fileName, enrolment.stored)
        current.withLock { $0 = enrolment }
    }
}
