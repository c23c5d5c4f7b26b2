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

    private struct Loaded {
        var device: TPMDevice
        var handle: UInt32
    }
    private let loaded = Mutex<Loaded?>(nil)

    /// - Parameter isAttested: whether the chip's proof went to the gateway.
    init(_ key: TPMDevice.WrappedKey, path: String, isAttested: Bool) throws(SignatureError) {
        publicKey = try TPMPublicArea(key.publicArea).verificationKey()
        guard publicKey.algorithm == .es256 else { throw SignatureError("the key is not on P-256") }
        self.key = key
        self.path = path
        level = isAttested ? "attested" : "claimed"
    }

    /// Reads the state file back.
    ///
    /// - Parameter path: where the chip is today; nil: where it was at enrolment.
    convenience init(stored bytes: [UInt8], path: String?) throws(AgentError) {
        let damaged = AgentError("\(Self.fileName) is damaged", remedy: "enrol this device again")
        guard let value = try? JSONValue(parsing: bytes), value["version"]?.integer == 1,
            let wrapped = value["private"]?.string.flatMap(Base64.decode),
            let area = value["public"]?.string.flatMap(Base64.decode),
            let chip = path ?? value["tpm"]?.string, let isAttested = value["attested"]?.bool
        else { throw damaged }
        do throws(SignatureError) {
            try self.init(
                TPMDevice.WrappedKey(wrapped: wrapped, publicArea: area), path: chip, isAttested: isAttested)
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
                do throws(TPMError) {
                    return try sign(digest, over: bytes, &loaded)
                } catch {
                    // After a suspend the chip has forgotten what was loaded: once more from the beginning.
                    loaded?.device.close()
                    loaded = nil
                    return try sign(digest, over: bytes, &loaded)
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
        _ digest: [UInt8], over bytes: [UInt8], _ loaded: inout Loaded?
    ) throws(TPMError) -> [UInt8] {
        let current: Loaded
        if let known = loaded { current = known } else { current = try load() }
        loaded = current
        let signature = try current.device.sign(digest, with: current.handle)
        // Chips err, and a wrong signature would look like an attack at the gateway.
        guard publicKey.verify(signature, over: bytes) else { throw .malformed("a wrong signature") }
        return signature
    }

    private func load() throws(TPMError) -> Loaded {
        let device = try TPMDevice(path: path)
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
            if let current = loaded {
                current.device.flush(current.handle)
                current.device.close()
            }
            loaded = nil
        }
    }
}
