import Foundation
import Testing

extension EndToEnd {
    @Suite("Times of the stages, as the command line shows them")
    struct StageTimesTests {
        @Test(
            "one person who signs in, reads and is cut off leaves a time in every stage, over two processes")
        func everyStage() throws {
            let stack = try Stack.current()
            // The counts begin with the processes.
            try stack.child("gateway").stop(seconds: 15)
            try stack.startGateway()
            let client = try Client.signedIn(stack, application: "people")
            let stream = try Child(
                "stream", "/usr/bin/curl",
                [
                    "-sSN", "--max-time", "60", "--cacert", stack.path("certs/dev-ca.pem"), "-b", client.jar,
                    "https://people.corp.test/sse",
                ], log: stack.folder.appending(path: "stream-\(UUID().uuidString).log"), in: stack.network)
            defer { stream.stop() }
            try poll("the stream to begin") { stream.output.contains("data:").whenTrue }
            #expect(try Self.counts(stack)["cut"] == 0, "nothing was cut yet")
            let revoked = try stack.gatepost("session", "revoke", "--user", "alice@corp.example")
            #expect(revoked.contains("ended"))
            try poll("the stream to be cut") { stream.status }
            let names = ["handshake", "walk", "park", "upstream_head", "request", "cut"]
            let counts = try poll("the cut to be counted") {
                let counts = try Self.counts(stack)
                return counts["cut"] ?? 0 > 0 ? counts : nil
            }
            #expect(Set(counts.keys) == Set(names))
            for name in names { #expect(counts[name] ?? 0 > 0, "\(name): \(counts)") }
            let table = try stack.gatepost("status")
            for name in names {
                #expect(table.contains("\n\(name) "), "\(name) is not in the table:\n\(table)")
            }
        }

        /// How many times each stage has.
        private static func counts(_ stack: Stack) throws -> [String: Int] {
            let stages = try stack.dataPlane()["stages"] as? [String: [String: Any]] ?? [:]
            return stages.mapValues { $0["count"] as? Int ?? -1 }
        }
    }
}
