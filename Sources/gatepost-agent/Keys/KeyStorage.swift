import ArgumentParser
import Foundation
import JSON
import Signatures

/// Where `enroll` puts the new key.
enum KeyStorage: String, CaseIterable, ExpressibleByArgument {
    /// In the security chip when one works, else in a file.
    case auto
    case tpm
    case file
}

/// Options about the device key.
struct KeyOptions: ParsableArguments {
    @Option(
        name: .customLong("tpm"),
        help: ArgumentHelp(
            "The security chip: a device, or the Unix socket of an emulator.",
            discussion: "Default: \(TPMTransport.defaultPath), later the one that was enrolled with.",
            valueName: "path"))
    var path: String?

    @Option(
        name: .customLong("key-storage"),
        help: ArgumentHelp(
            "Where the device key lies: auto, tpm or file.",
            discussion: """
                tpm: in the security chip, from which it cannot be copied. file: in the state folder. auto: in \
                the chip when there is one that works.
                """))
    var storage = KeyStorage.auto
}

/// A key that is about to be enrolled.
struct FreshKey: Sendable {
    var signer: any DeviceSigner
    /// The chip's proof for the gateway, when there is one.
    var attestation: JSONValue?

    static func inFile() -> FreshKey { FreshKey(signer: SigningKey.generateP256()) }
}

extension KeyOptions {
    /// Makes the key where it is wanted.
    ///
    /// - Parameters:
    ///   - open: sends the first step to the gateway and gives its answer.
    ///   - note: tells the person at the machine what was not possible.
    func makeKey(
        open: (JSONValue) async throws(AgentError) -> JSONValue, note: (String) -> Void
    ) async throws(AgentError) -> FreshKey {
        let chip = path ?? TPMTransport.defaultPath
        if storage == .file { return .inFile() }
        do throws(TPMError) {
            // Cheap, and says at once whether there is anything to talk to.
            try TPMTransport(path: chip).close()
        } catch {
            if storage == .tpm || path != nil {
                throw Self.failed(chip, error)
            }
            if FileManager.default.fileExists(atPath: chip) {
                note("the key goes into a file: \(error); to use the chip add this user to group tss")
            }
            return .inFile()
        }
        return try await makeKey(in: chip, open: open, note: note)
    }

    private func makeKey(
        in chip: String, open: (JSONValue) async throws(AgentError) -> JSONValue, note: (String) -> Void
    ) async throws(AgentError) -> FreshKey {
        let enrolment: TPMEnrolment
        do throws(TPMError) {
            enrolment = try TPMEnrolment(path: chip)
        } catch {
            return try unprovenKey(in: chip, because: error, note: note)
        }
        defer { enrolment.close() }
        // The gateway's refusal, or its absence, is no reason to use a weaker key unasked.
        let answer = try await open(enrolment.opening)
        do throws(TPMError) {
            let (key, proof) = try enrolment.finish(answer)
            return FreshKey(signer: try Self.signer(key, chip, isAttested: true), attestation: proof)
        } catch {
            throw Self.failed(chip, error)
        }
    }

    /// A chip whose endorsement key is barred can still keep a key.
    private func unprovenKey(
        in chip: String, because problem: TPMError, note: (String) -> Void
    ) throws(AgentError) -> FreshKey {
        do throws(TPMError) {
            let signer = try Self.signer(try TPMEnrolment.unprovenKey(path: chip), chip, isAttested: false)
            note("the chip cannot vouch for the key in it: \(problem)")
            return FreshKey(signer: signer)
        } catch {
            guard storage == .auto, path == nil else { throw Self.failed(chip, error) }
            note("the key goes into a file: \(error)")
            return .inFile()
        }
    }

    private static func signer(
        _ key: TPMDevice.WrappedKey, _ chip: String, isAttested: Bool
    ) throws(TPMError) -> TPMKey {
        do throws(SignatureError) {
            return try TPMKey(key, path: chip, isAttested: isAttested)
        } catch {
            throw .malformed(error.what)
        }
    }

    private static func failed(_ chip: String, _ error: TPMError) -> AgentError {
        AgentError(
            "\(error)",
            remedy: "check \(chip) and that this user is in group tss, or use --key-storage file")
    }
}
