import JSON
import Signatures
import Synchronization

/// A device key that lies in a TPM 2.0; the state folder holds it wrapped, worth nothing elsewhere.
final class TPMKey: DeviceSigner {
    static let fileName = "device-key.tpm"

    let publicKey: VerificationKey
    let level: String
    let path: String
    private let key: TPMDevice.WrappedKey
    /// The whole of a signature, with loading and the second attempt: a page waits for it, and so does everybody behind
    /// it.
    static let signMilliseconds: Int64 = 6_000
    /// A chip that did not answer is left alone for so long; meanwhile signatures fail at once.
    static let restMilliseconds: Int64 = 20_000
    private let budgetMilliseconds: Int64
    private let restMilliseconds: Int64
    private let restUntilMilliseconds = Mutex<Int64>(0)

    private struct Loaded {
        var device: TPMDevice
        var handle: UInt32
    }
    private let loaded = Mutex<Loaded?>(nil)

    /// - Parameter isAttested: whether the chip's proof went to the gateway.
    init(
        _ key: TPMDevice.WrappedKey, path: String, isAttested: Bool,
        budgetMilliseconds: Int64 = TPMKey.signMilliseconds, restMilliseconds: Int64 = TPMKey.restMilliseconds
    ) throws(SignatureError) {
        self.budgetMilliseconds = budgetMilliseconds
        self.restMilliseconds = restMilliseconds
        publicKey = try TPMPublicArea(key.publicArea).verificationKey()
        guard publicKey.algorithm == .es256 else { throw SignatureError("the key is not on P-256") }
        self.key = key
        self.path = path
        level = isAttested ? "attested" : "claimed"
    }

    /// Reads the state file back.
    ///
    /// - Parameter path: where the chip is today; nil: where it was at enrolment.
    convenience init(
        stored bytes: [UInt8], path: String?, budgetMilliseconds: Int64 = TPMKey.signMilliseconds,
        restMilliseconds: Int64 = TPMKey.restMilliseconds
    ) throws(AgentError) {
        let damaged = AgentError("\(Self.fileName) is damaged", remedy: "enrol this device again")
        guard let value = try? JSONValue(parsing: bytes), value["version"]?.integer == 1,
            let wrapped = value["private"]?.string.flatMap(Base64.decode),
            let area = value["public"]?.string.flatMap(Base64.decode),
            let chip = path ?? value["tpm"]?.string, let isAttested = value["attested"]?.bool
        else { throw damaged }
        do throws(SignatureError) {
            try self.init(
                TPMDevice.WrappedKey(wrapped: wrapped, publicArea: area), path: chip, isAttested: isAttested,
                budgetMilliseconds: budgetMilliseconds, restMilliseconds: restMilliseconds)
        } catch {
            throw damaged
        }
    }

    deinit { release() }

    var stored: [UInt8] {
        JSONValue.object([
            "version": 1, "tpm": .string(path), "private": .string(Base64.encode(key.wrapped)),
            "public": .string(Base64.encode(key.publicArea)), "attested": .bool(level == "attested"),
        ]).serialized()
    }

    func sign(_ bytes: [UInt8]) throws(AgentError) -> [UInt8] {
        do throws(TPMError) {
            return try loaded.withLock { (loaded) throws(TPMError) in
                let digest = Digest.sha256(bytes)
                // Asked here and not before the lock: who waited for somebody's vain attempt does not begin another.
                let now = TPMTransport.now()
                guard now >= restUntilMilliseconds.withLock({ $0 }) else {
                    throw .unreachable("\(path): it did not answer a moment ago")
                }
                let end = now + budgetMilliseconds
                loaded?.device.endMilliseconds = end
                do throws(TPMError) {
                    do throws(TPMError) {
                        return try sign(digest, over: bytes, &loaded, endMilliseconds: end)
                    } catch {
                        // After a suspend the chip has forgotten what was loaded: once more from the beginning.
                        loaded?.device.close()
                        loaded = nil
                        guard TPMTransport.now() < end else { throw error }
                        return try sign(digest, over: bytes, &loaded, endMilliseconds: end)
                    }
                } catch {
                    loaded?.device.close()
                    loaded = nil
                    if TPMTransport.now() >= end {
                        restUntilMilliseconds.withLock { $0 = end + restMilliseconds }
                    }
                    throw error
                }
            }
        } catch {
            throw AgentError(
                "the security chip made no signature: \(error)",
                remedy: "check \(path) and that this user is in group tss; "
                    + "if the chip was cleared, enrol again")
        }
    }

    private func sign(
        _ digest: [UInt8], over bytes: [UInt8], _ loaded: inout Loaded?, endMilliseconds: Int64
    ) throws(TPMError) -> [UInt8] {
        let current: Loaded
        if let known = loaded { current = known } else { current = try load(endMilliseconds) }
        loaded = current
        let signature = try current.device.sign(digest, with: current.handle)
        // Chips err, and a wrong signature would look like an attack at the gateway.
        guard publicKey.verify(signature, over: bytes) else { throw .malformed("a wrong signature") }
        return signature
    }

    private func load(_ endMilliseconds: Int64) throws(TPMError) -> Loaded {
        var device = try TPMDevice(path: path)
        device.endMilliseconds = endMilliseconds
        do throws(TPMError) {
            let (storage, _) = try device.createPrimary(
                TPMTemplates.storage, in: TPMDevice.ownerHierarchy,
                timeoutMilliseconds: TPMDevice.usualMilliseconds)
            defer { device.flush(storage) }
            return Loaded(device: device, handle: try device.load(key, below: storage))
        } catch {
            device.close()
            throw error
        }
    }

    func release() {
        loaded.withLock { loaded in
            if var current = loaded {
                current.device.endMilliseconds = TPMTransport.now() + budgetMilliseconds
                current.device.flush(current.handle)
                current.device.close()
            }
            loaded = nil
        }
    }
}
