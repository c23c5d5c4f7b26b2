import Foundation
import JSON

/// `platform`, `os_name`, `os_version` from /etc/os-release, `kernel_version` from the kernel.
struct OperatingSystemFact: FactProbe {
    let names = ["platform", "os_name", "os_version", "kernel_version"]

    func read(_ root: HostRoot, nowSeconds: Int64) -> [(String, JSONValue)] {
        var facts: [(String, JSONValue)] = [("platform", "linux")]
        let release = Self.assignments(root.text("/etc/os-release") ?? root.text("/usr/lib/os-release") ?? "")
        if let name = release["ID"] { facts.append(("os_name", .string(name))) }
        if let version = release["VERSION_ID"] { facts.append(("os_version", .string(version))) }
        if let kernel = root.line("/proc/sys/kernel/osrelease") {
            facts.append(("kernel_version", .string(kernel)))
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
