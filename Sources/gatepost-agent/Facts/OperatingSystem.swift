import Foundation
import JSON

/// `platform`, `os_name`, `os_version` from /etc/os-release, `kernel_version` from the kernel.
struct OperatingSystemFact: FactProbe {
    let names = ["platform", "os_name", "os_version", "kernel_version"]

    func read(_ machine: Machine) -> [Fact] {
        let root = machine.root
        var facts = [Fact(name: "platform", value: "linux", source: "this program")]
        let paths = ["/etc/os-release", "/usr/lib/os-release"]
        let path = paths.first { root.text($0, bytesMax: 64 << 10) != nil } ?? paths[0]
        let release = Self.assignments(root.text(path, bytesMax: 64 << 10) ?? "")
        for (name, member) in [("os_name", "ID"), ("os_version", "VERSION_ID")] {
            guard let value = release[member] else { continue }
            facts.append(Fact(name: name, value: .string(value), source: path))
        }
        let kernel = "/proc/sys/kernel/osrelease"
        if let version = root.line(kernel), version.utf8.count <= 128 {
            facts.append(Fact(name: "kernel_version", value: .string(version), source: kernel))
        }
        return facts
    }

    /// os-release(5): shell-like assignments, quotes optional, no expansion.
    static func assignments(_ text: String) -> [String: String] {
        var values: [String: String] = [:]
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let pair = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2 else { continue }
            var value = pair[1].trimmingCharacters(in: .whitespaces)
            for quote in ["\"", "'"]
            where value.count >= 2 && value.hasPrefix(quote) && value.hasSuffix(quote) {
                value = String(value.dropFirst().dropLast())
            }
            if !value.isEmpty, value.utf8.count <= 128 { values[String(pair[0])] = value }
        }
        return values
    }
}
