// libFuzzer target `configuration`: YAML of an administrator, or of a program that writes it. Built by scripts/fuzz
// together with the files of Sources/Config and of Yams.
import Access
import Glibc

/// A file in memory, written anew for each input: the loader reads paths.
private enum ConfigFile {
    static let path: String = {
        atexit { unlink(ConfigFile.path) }
        return "/dev/shm/gatepost-fuzz-\(getpid()).yaml"
    }()

    static func write(_ bytes: [UInt8]) {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        precondition(file >= 0, "\(path): \(String(cString: strerror(errno)))")
        defer { close(file) }
        precondition(Glibc.write(file, bytes, bytes.count) == bytes.count)
    }
}

private enum ConfigOutcome: Equatable {
    case loaded(policyText: [UInt8], warnings: [String])
    case refused([String])
}

/// Traps when a text is neither a configuration nor refused with its problems named.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzConfiguration(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
    ConfigFile.write(bytes)
    let outcome = load()
    precondition(load() == outcome, "the same text comes to something else the second time")
    return 0
}

private func load() -> ConfigOutcome {
    let context = ReadContext(environment: ["SET": "from-environment"], readsFiles: false)
    do throws(ConfigFailure) {
        let snapshot = try ConfigSnapshot.load(path: ConfigFile.path, context) { "\($0.count)" }
        precondition(snapshot.policy.identity == "\(snapshot.policyText.count)")
        let names = snapshot.applications.map { $0.name }
        precondition(names == snapshot.policy.applications.map { $0.name })
        return .loaded(policyText: snapshot.policyText, warnings: snapshot.warnings.map(\.description))
    } catch {
        precondition(!error.problems.isEmpty, "refused, and nobody says why")
        for problem in error.problems {
            precondition(
                !problem.problem.isEmpty && !problem.remedy.isEmpty && problem.remedy != "report this file")
        }
        return .refused(error.problems.map(\.description))
    }
}
