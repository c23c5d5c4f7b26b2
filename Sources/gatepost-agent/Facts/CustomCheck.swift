import Glibc
import JSON
import Signatures

/// One check as the machine's administrator defined it. A definition with anything unknown in it is refused
/// as a whole: a misspelled condition would otherwise be one that always holds.
enum CustomCheck: Sendable, Hashable {
    case file(FileCheck)
    case process(name: String, path: String?)
    case package(name: String, minimumVersion: String?)
    case command(ProbeCommand, exitStatus: Int32, output: String?)

    struct FileCheck: Sendable, Hashable {
        var path: String
        var exists = true
        var owner: UInt32?
        /// No other permission bits than these.
        var modeMax: UInt32?
        /// Lower-case hex.
        var sha256: String?
    }

    static let fileBytesMax = 32 << 20
    static let argumentsMax = 32

    init?(_ value: JSONValue) {
        guard let members = value.object else { return nil }
        let kinds = ["file", "process", "package", "command"].filter { members[$0] != nil }
        guard kinds.count == 1, let check = Self.read(kinds[0], members) else { return nil }
        self = check
    }

    private static func read(_ kind: String, _ members: JSONObject) -> CustomCheck? {
        func has(only names: Set<String>) -> Bool { Set(members.names).isSubset(of: names) }
        /// false: there, but of another kind.
        func isText(_ name: String) -> Bool {
            members[name] == nil || members[name]?.string?.isEmpty == false
        }
        switch kind {
        case "file": return fileCheck(members).map(CustomCheck.file)
        case "process":
            guard has(only: ["process", "path"]), isText("path"), let name = members["process"]?.string,
                (1...15).contains(name.utf8.count), members["path"]?.string?.hasPrefix("/") ?? true
            else { return nil }
            return .process(name: name, path: members["path"]?.string)
        case "package":
            guard has(only: ["package", "minimum_version"]), isText("minimum_version"),
                let name = members["package"]?.string, PackageDatabase.isName(name)
            else { return nil }
            return .package(name: name, minimumVersion: members["minimum_version"]?.string)
        case "command":
            guard has(only: ["command", "exit_status", "output", "timeout_ms"]), isText("output"),
                var command = members["command"].flatMap(command)
            else { return nil }
            let status = members["exit_status"] == nil ? 0 : members["exit_status"]?.integer
            let timeout =
                members["timeout_ms"] == nil ? command.timeoutMilliseconds : members["timeout_ms"]?.integer
            guard let status, (0...255).contains(status), let timeout, (10...10_000).contains(timeout) else {
                return nil
            }
            command.timeoutMilliseconds = timeout
            return .command(command, exitStatus: Int32(status), output: members["output"]?.string)
        default: return nil
        }
    }

    private static func fileCheck(_ members: JSONObject) -> FileCheck? {
        let known: Set<String> = ["file", "exists", "owner", "mode_max", "sha256"]
        guard Set(members.names).isSubset(of: known), let path = members["file"]?.string, path.hasPrefix("/"),
            !path.utf8.contains(0)
        else { return nil }
        var check = FileCheck(path: path)
        if let value = members["exists"] {
            guard let flag = value.bool else { return nil }
            check.exists = flag
        }
        if let value = members["owner"] {
            guard let id = value.integer, let owner = UInt32(exactly: id) else { return nil }
            check.owner = owner
        }
        if let value = members["mode_max"] {
            guard let text = value.string, let mode = UInt32(text, radix: 8), mode <= 0o7777 else {
                return nil
            }
            check.modeMax = mode
        }
        if let value = members["sha256"] {
            guard let text = value.string?.lowercased(), text.utf8.count == 64, text.allSatisfy(\.isHexDigit)
            else { return nil }
            check.sha256 = text
        }
        let asksMore = check.owner != nil || check.modeMax != nil || check.sha256 != nil
        return check.exists || !asksMore ? check : nil
    }

    /// A list of texts that begins with an absolute path.
    static func command(_ value: JSONValue) -> ProbeCommand? {
        guard let words = value.array, (1...argumentsMax).contains(words.count) else { return nil }
        let texts = words.compactMap(\.string).filter { !$0.utf8.contains(0) && $0.utf8.count <= 1_024 }
        guard texts.count == words.count, texts[0].hasPrefix("/") else { return nil }
        return ProbeCommand(
            path: texts[0], arguments: Array(texts.dropFirst()), outputBytesMax: 64 << 10)
    }

    // Answers

    /// nil: it could not be found out.
    func holds(on machine: Machine) -> Bool? {
        switch self {
        case .file(let check): check.holds(machine.root)
        case .process(let name, let path): ProcessTable(machine.root)?.runs(name, path: path)
        case .package(let name, let minimum): PackageDatabase(machine).has(name, minimumVersion: minimum)
        case .command(let command, let status, let output):
            Self.holds(machine.commands.run(command), status, output)
        }
    }

    private static func holds(_ outcome: CommandOutcome, _ wanted: Int32, _ text: String?) -> Bool? {
        guard case .ended(let status, let output) = outcome else { return nil }
        guard status == wanted else { return false }
        guard let text else { return true }
        var bytes = output[...]
        while bytes.last == 0x0a || bytes.last == 0x0d || bytes.last == 0x20 { bytes = bytes.dropLast() }
        return bytes.elementsEqual(text.utf8)
    }
}

extension CustomCheck.FileCheck {
    /// Links are followed: what counts is what a program that opens the path would get.
    fileprivate func holds(_ root: HostRoot) -> Bool? {
        guard let info = root.status(path) else {
            return root.presence(path) == .absent ? !exists : nil
        }
        guard exists else { return false }
        if let owner, info.st_uid != owner { return false }
        if let modeMax, info.st_mode & 0o7777 & ~modeMax != 0 { return false }
        guard let sha256 else { return true }
        guard let bytes = root.bytes(path, bytesMax: CustomCheck.fileBytesMax) else { return nil }
        let digits = Digest.sha256(bytes).map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
        return digits.joined() == sha256
    }
}
