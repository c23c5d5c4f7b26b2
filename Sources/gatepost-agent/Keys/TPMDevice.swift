import Glibc
import Signatures

/// The few commands of TPM 2.0 (Library, Part 3) that device keys need.
///
/// Our own codec instead of the TSS: eleven commands, one strict reader, a deadline on each, and nothing linked.
struct TPMDevice: Sendable {
    static let ownerHierarchy: UInt32 = 0x4000_0001
    static let nullHierarchy: UInt32 = 0x4000_0007
    static let endorsementHierarchy: UInt32 = 0x4000_000b
    /// Long enough for old chips; a whole handshake does not wait longer for a signature.
    static let usualMilliseconds: Int64 = 5_000
    /// Making an RSA key takes some chips a minute.
    static let keyMilliseconds: Int64 = 120_000

    /// Who may do it: the empty password, or a policy session.
    enum Authorization { case emptyPassword, policy(session: UInt32) }

    /// A key as `TPM2_Create` gives it: the private half wrapped by its parent.
    struct WrappedKey: Sendable, Hashable {
        var wrapped: [UInt8]
        var publicArea: [UInt8]
    }

    private let transport: TPMTransport
    /// No command waits beyond it, whatever its own time; monotonic. nil: each has its own.
    var endMilliseconds: Int64?

    init(path: String) throws(TPMError) { transport = try TPMTransport(path: path) }

    func close() { transport.close() }

    /// TPM2_CreatePrimary: the key that this template always gives in this hierarchy.
    func createPrimary(
        _ template: [UInt8], in hierarchy: UInt32, timeoutMilliseconds: Int64 = keyMilliseconds
    ) throws(TPMError) -> (UInt32, [UInt8]) {
        var answer = try run(
            0x131, [hierarchy], [.emptyPassword], Self.creation(template), handles: 1,
            timeoutMilliseconds: timeoutMilliseconds)
        let area = try Self.read { () throws(SignatureError) in
            try answer.reader.sized(bytesMax: 1024)
        }
        return (answer.handle, area)
    }

    /// TPM2_Create: a new key below `parent`.
    func create(_ template: [UInt8], below parent: UInt32) throws(TPMError) -> WrappedKey {
        var answer = try run(
            0x153, [parent], [.emptyPassword], Self.creation(template),
            timeoutMilliseconds: Self.keyMilliseconds)
        return try Self.read { () throws(SignatureError) in
            WrappedKey(
                wrapped: try answer.reader.sized(bytesMax: 1024),
                publicArea: try answer.reader.sized(bytesMax: 1024))
        }
    }

    /// TPM2_Load.
    func load(_ key: WrappedKey, below parent: UInt32) throws(TPMError) -> UInt32 {
        var parameters = TPMWriter()
        parameters.appendSized(key.wrapped)
        parameters.appendSized(key.publicArea)
        return try run(0x157, [parent], [.emptyPassword], parameters.bytes, handles: 1).handle
    }

    /// TPM2_FlushContext; a chip that cannot even do that says so at the next command.
    func flush(_ handle: UInt32) {
        var parameters = TPMWriter()
        parameters.append(handle)
        _ = try? run(0x165, [], [], parameters.bytes)
    }

    /// TPM2_Sign with the key's own scheme; r ‖ s.
    func sign(_ digest: [UInt8], with key: UInt32) throws(TPMError) -> [UInt8] {
        var parameters = TPMWriter()
        parameters.appendSized(digest)
        parameters.append(TPMAlgorithm.null)
        // No ticket: the key is not restricted, so the digest may come from anywhere.
        parameters.append(UInt16(0x8024))
        parameters.append(Self.nullHierarchy)
        parameters.appendSized([])
        var answer = try run(0x15d, [key], [.emptyPassword], parameters.bytes)
        return try Self.read { () throws(SignatureError) in
            try TPMCertification.rawSignature(try answer.reader.take(answer.reader.remaining))
        }
    }

    /// TPM2_Certify: `signer` says that `key` lies in this TPM.
    ///
    /// - Returns: `TPMS_ATTEST` and `TPMT_SIGNATURE`.
    func certify(_ key: UInt32, by signer: UInt32, nonce: [UInt8]) throws(TPMError) -> ([UInt8], [UInt8]) {
        var parameters = TPMWriter()
        parameters.appendSized(nonce)
        parameters.append(TPMAlgorithm.null)
        var answer = try run(0x148, [key, signer], [.emptyPassword, .emptyPassword], parameters.bytes)
        return try Self.read { () throws(SignatureError) in
            (
                try answer.reader.sized(bytesMax: TPMCertification.attestBytesMax),
                try answer.reader.take(answer.reader.remaining)
            )
        }
    }

    /// TPM2_ActivateCredential: the secret, when it was made for this TPM and for `key` in it. The endorsement
    /// key asks for the hierarchy's authorization in a session of its own.
    func activate(
        _ credential: TPMCredential.Sealed, for key: UInt32, by endorsement: UInt32
    ) throws(TPMError) -> [UInt8] {
        let session = try policySession()
        do throws(TPMError) {
            var policy = TPMWriter()
            for _ in 0..<3 { policy.appendSized([]) }
            policy.append(UInt32(0))
            _ = try run(0x151, [Self.endorsementHierarchy, session], [.emptyPassword], policy.bytes)
            var parameters = TPMWriter()
            parameters.appendSized(credential.credential)
            parameters.appendSized(credential.seed)
            var answer = try run(
                0x147, [key, endorsement], [.emptyPassword, .policy(session: session)], parameters.bytes)
            return try Self.read { () throws(SignatureError) in
                try answer.reader.sized(bytesMax: TPMCredential.secretBytesMax)
            }
        } catch {
            flush(session)
            throw error
        }
    }

    /// TPM2_StartAuthSession for a policy, with SHA-256.
    private func policySession() throws(TPMError) -> UInt32 {
        var parameters = TPMWriter()
        parameters.appendSized(Random.bytes(16))
        parameters.appendSized([])
        parameters.append(UInt8(1))
        parameters.append(TPMAlgorithm.null)
        parameters.append(TPMAlgorithm.sha256)
        return try run(0x176, [Self.nullHierarchy, Self.nullHierarchy], [], parameters.bytes, handles: 1)
            .handle
    }

    /// The content of an index that everybody may read; nil when there is none.
    func readIndex(_ index: UInt32, bytesMax: Int) throws(TPMError) -> [UInt8]? {
        let size: Int
        do throws(TPMError) {
            var answer = try run(0x169, [index], [], [])
            size = try Self.read { () throws(SignatureError) in
                var area = TPMReader(try answer.reader.sized(bytesMax: 256))
                _ = try area.take(10)
                _ = try area.sized(bytesMax: 64)
                return Int(try area.uint16())
            }
        } catch {
            if case .refused = error { return nil }
            throw error
        }
        guard size <= bytesMax else { return nil }
        var content: [UInt8] = []
        while content.count < size {
            var parameters = TPMWriter()
            // The smallest buffer that a PC's TPM may have is larger.
            parameters.append(UInt16(min(512, size - content.count)))
            parameters.append(UInt16(content.count))
            var answer = try run(0x14e, [index, index], [.emptyPassword], parameters.bytes)
            let part = try Self.read { () throws(SignatureError) in try answer.reader.sized(bytesMax: 512) }
            guard !part.isEmpty else { return nil }
            content += part
        }
        return content
    }

    /// `inSensitive` without a secret, the template, no outside data and no PCR.
    private static func creation(_ template: [UInt8]) -> [UInt8] {
        var parameters = TPMWriter()
        parameters.appendSized([0, 0, 0, 0])
        parameters.appendSized(template)
        parameters.appendSized([])
        parameters.append(UInt32(0))
        return parameters.bytes
    }

    private static func read<Value>(
        _ body: () throws(SignatureError) -> Value
    ) throws(TPMError) -> Value {
        do throws(SignatureError) { return try body() } catch { throw .malformed(error.what) }
    }
}

// One command and its answer (Part 1, 18).
extension TPMDevice {
    struct Answer {
        var handle: UInt32
        var reader: TPMReader
    }

    /// The chip is busy, testing itself or resting its memory: the same command is sent again.
    private static let transientCodes: Set<UInt32> = [0x908, 0x90a, 0x920, 0x922]
    private static let attemptsMax = 100

    /// Sends one command until the chip has time for it.
    ///
    /// - Parameter answered: how many handles the answer begins with, 0 or 1.
    func run(
        _ code: UInt32, _ handles: [UInt32], _ authorizations: [Authorization], _ parameters: [UInt8],
        handles answered: Int = 0, timeoutMilliseconds: Int64 = usualMilliseconds
    ) throws(TPMError) -> Answer {
        let command = Self.command(code, handles, authorizations, parameters)
        var attempt = 0
        while true {
            let left = endMilliseconds.map { max(0, $0 - TPMTransport.now()) } ?? timeoutMilliseconds
            let bytes = try transport.transmit(
                command, timeoutMilliseconds: min(left, timeoutMilliseconds))
            do throws(TPMError) {
                return try Self.answer(
                    bytes, to: code, hasSessions: !authorizations.isEmpty, handles: answered)
            } catch {
                guard case .refused(_, let reason) = error, Self.transientCodes.contains(reason),
                    attempt < Self.attemptsMax
                else { throw error }
                attempt += 1
                usleep(20_000)
            }
        }
    }

    private static func command(
        _ code: UInt32, _ handles: [UInt32], _ authorizations: [Authorization], _ parameters: [UInt8]
    ) -> [UInt8] {
        var body = TPMWriter()
        for handle in handles { body.append(handle) }
        if !authorizations.isEmpty {
            // Handle, empty nonce, attributes, empty authorization: 9 bytes each.
            body.append(UInt32(9 * authorizations.count))
            for authorization in authorizations {
                switch authorization {
                case .emptyPassword: body.append(UInt32(0x4000_0009))
                case .policy(let session): body.append(session)
                }
                body.append([0, 0, 0, 0, 0])
            }
        }
        body.append(parameters)
        var command = TPMWriter()
        command.append(UInt16(authorizations.isEmpty ? 0x8001 : 0x8002))
        command.append(UInt32(body.bytes.count + 10))
        command.append(code)
        command.append(body.bytes)
        return command.bytes
    }

    private static func answer(
        _ bytes: [UInt8], to code: UInt32, hasSessions: Bool, handles: Int
    ) throws(TPMError) -> Answer {
        // The transport gives ten bytes or more.
        let result = bytes[6..<10].reduce(0) { $0 << 8 | UInt32($1) }
        guard result == 0 else { throw .refused(command: code, code: result) }
        return try read { () throws(SignatureError) in
            var reader = TPMReader(bytes)
            let tag = try reader.uint16()
            guard tag == (hasSessions ? 0x8002 : 0x8001) else { throw SignatureError("tag \(tag)") }
            _ = try reader.take(8)
            let handle = handles == 0 ? 0 : try reader.uint32()
            guard hasSessions else { return Answer(handle: handle, reader: reader) }
            let count = Int(try reader.uint32())
            return Answer(handle: handle, reader: TPMReader(try reader.take(count)))
        }
    }
}
