import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("Bodies of one gigabyte through the real gateway")
    struct BigBodyTests {
        struct Way: CustomTestStringConvertible, Sendable {
            var version: String
            var isUpload: Bool
            var testDescription: String { "HTTP/\(version), \(isUpload ? "up" : "down")" }
        }

        static let ways = [
            Way(version: "1.1", isUpload: true), Way(version: "1.1", isUpload: false),
            Way(version: "2", isUpload: true), Way(version: "2", isUpload: false),
        ]
        /// What the process that has the reactors may grow by while a body of any size passes, in KiB: what one
        /// connection may hold.
        static let growthMax = 8_192

        @Test(
            "every byte arrives, and the process that has the reactors does not grow with them",
            arguments: ways)
        func gigabyte(_ way: Way) throws {
            let stack = try Stack.current()
            let client = try Client.signedIn(stack, application: "people")
            let pid = try stack.processID("data")
            // Whatever is made once is there.
            try Self.send(50_000_000, way, client, stack)
            let before = try Self.kibibytes("VmRSS", of: pid)
            // The high-water mark begins anew (proc_pid_clear_refs(5)).
            try "5".write(toFile: "/proc/\(pid)/clear_refs", atomically: false, encoding: .utf8)
            let began = Date()
            try Self.send(1_000_000_000, way, client, stack)
            let seconds = Date().timeIntervalSince(began)
            let grown = try Self.kibibytes("VmHWM", of: pid) - before
            print(
                "measured: 1 GB by \(way.testDescription): \(Int(seconds * 10) / 10) s, grown by \(grown) KiB"
            )
            #expect(try stack.processID("data") == pid)
            #expect(grown <= Self.growthMax)
        }

        /// Sends or fetches so many bytes and counts them at the other end.
        private static func send(_ bytes: Int, _ way: Way, _ client: Client, _ stack: Stack) throws {
            let curl =
                "curl -sS --fail --max-time 100 --http\(way.version) --cacert '\(stack.path("certs/dev-ca.pem"))' "
                + "-b '\(client.jar)' -H 'Origin: https://people.corp.test' -w ' %{http_version}' "
            let command =
                way.isUpload
                ? "head -c \(bytes) /dev/zero | \(curl) -H 'Content-Length: \(bytes)' -H 'Transfer-Encoding:' "
                    + "-X PUT -T - https://people.corp.test/upload"
                : "\(curl) https://people.corp.test/bytes/\(bytes) | { head -c \(bytes) | wc -c; cat; }"
            let said = try stack.run("/bin/bash", ["-c", "set -o pipefail; " + command], seconds: 110)
            let words = said.split { $0 == " " || $0 == "\n" }
            #expect(words == [way.isUpload ? "{\"bytes\":\(bytes)}" : "\(bytes)", Substring(way.version)])
        }

        private static func kibibytes(_ field: String, of pid: pid_t) throws -> Int {
            let text = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
            let line = text.split(separator: "\n").first { $0.hasPrefix(field + ":") }
            return try #require(line?.split { $0 == " " || $0 == "\t" }.dropFirst().first.flatMap { Int($0) })
        }
    }
}
