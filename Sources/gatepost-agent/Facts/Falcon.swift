import JSON

/// `falcon_cid` and `falcon_reduced` (reduced functionality mode: the sensor sees next to nothing) of the
/// CrowdStrike sensor's own tool, which answers root only.
struct FalconFact: FactProbe {
    static let tool = "/opt/CrowdStrike/falconctl"
    let names = ["falcon_cid", "falcon_reduced"]
    let patienceMilliseconds: Int64 = 3_000

    func read(_ machine: Machine) -> [Fact] {
        var facts: [Fact] = []
        if let id = Self.answer("cid", machine).flatMap(Self.identifier) {
            facts.append(Fact(name: "falcon_cid", value: .string(id), source: Self.tool))
        }
        switch Self.answer("rfm-state", machine) {
        case "true": facts.append(Fact(name: "falcon_reduced", value: true, source: Self.tool))
        case "false": facts.append(Fact(name: "falcon_reduced", value: false, source: Self.tool))
        default: break
        }
        return facts
    }

    static func agentID(_ machine: Machine) -> String? { answer("aid", machine).flatMap(identifier) }

    /// One question each: the answer to an unset one hides all the others of the same call.
    private static func answer(_ name: String, _ machine: Machine) -> String? {
        guard machine.root.exists(tool) else { return nil }
        let command = ProbeCommand(path: tool, arguments: ["-g", "--" + name], outputBytesMax: 4 << 10)
        return machine.commands.run(command).success.flatMap { value(name, in: $0) }
    }

    /// `aid="0123…".`, `rfm-state=false.`; "aid is not set." is no value.
    static func value(_ name: String, in output: [UInt8]) -> String? {
        guard let text = String(validating: output, as: UTF8.self) else { return nil }
        var found: String?
        for line in text.split(whereSeparator: { $0 == "\n" || $0 == "," }) {
            let pair = line.split(separator: "=", maxSplits: 1).map { $0.filter { $0 != " " } }
            guard pair.count == 2, pair[0] == name else { continue }
            guard found == nil else { return nil }
            let value = pair[1].hasSuffix(".") ? String(pair[1].dropLast()) : pair[1]
            let isQuoted = value.count >= 2 && value.hasPrefix("\"") && value.hasSuffix("\"")
            found = isQuoted ? String(value.dropFirst().dropLast()) : value
        }
        return found
    }

    private static func identifier(_ text: String) -> String? {
        let lower = text.lowercased()
        return lower.utf8.count == 32 && lower.allSatisfy(\.isHexDigit) ? lower : nil
    }
}

/// The device id of the Microsoft identity broker's own tool. Where Intune keeps its id on Linux is not
/// documented: an administrator's file has to say it.
enum DirectoryRegistration {
    static let command = ProbeCommand(
        path: "/usr/bin/dsreg", arguments: ["--status"], outputBytesMax: 64 << 10)

    static func deviceID(_ machine: Machine) -> String? {
        guard machine.root.exists(command.path) else { return nil }
        return machine.commands.run(command).success.flatMap(deviceID(in:))
    }

    /// The GUID of lines labelled as a device id; two different ones (two tenants) are nobody's.
    static func deviceID(in output: [UInt8]) -> String? {
        guard let text = String(validating: output, as: UTF8.self) else { return nil }
        var found: Set<String> = []
        for line in text.split(separator: "\n") {
            let pair = line.split(separator: ":", maxSplits: 1)
            guard pair.count == 2 else { continue }
            let label = pair[0].lowercased().filter { $0.isLetter }
            guard label == "deviceid" else { continue }
            let value = pair[1].lowercased().filter { $0 != " " && $0 != "\r" && $0 != "\t" }
            let parts = value.split(separator: "-", omittingEmptySubsequences: false)
            let isGUID =
                parts.map(\.utf8.count) == [8, 4, 4, 4, 12]
                && parts.allSatisfy { $0.utf8.allSatisfy { Character(UnicodeScalar($0)).isHexDigit } }
            if isGUID { found.insert(value) }
        }
        return found.count == 1 ? found.first : nil
    }
}
