import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("A file of the store that is damaged")
    struct DamageTests {
        private static let people = "https://people.corp.test/"
        private static let parts = ["sessions.sqlite", "sessions.sqlite-wal", "sessions.sqlite-shm"]

        /// Keeps the sessions' files elsewhere, and puts something that is no database in their place. Their owner must
        /// be stopped.
        private static func damage(_ stack: Stack) throws -> Data {
            try FileManager.default.createDirectory(
                atPath: stack.path("kept"), withIntermediateDirectories: true)
            for part in parts where FileManager.default.fileExists(atPath: stack.path("state/\(part)")) {
                try FileManager.default.moveItem(
                    atPath: stack.path("state/\(part)"), toPath: stack.path("kept/\(part)"))
            }
            let noise = Data((0..<32_768).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ $0 >> 8) })
            try noise.write(to: stack.folder.appending(path: "state/sessions.sqlite"))
            chmod(stack.path("state/sessions.sqlite"), 0o600)
            return noise
        }

        /// What an administrator does who has a backup; once.
        private static func repair(_ stack: Stack) throws {
            guard FileManager.default.fileExists(atPath: stack.path("kept")) else { return }
            for part in parts {
                try? FileManager.default.removeItem(atPath: stack.path("state/\(part)"))
                // The index of the log is made anew from it.
                guard !part.hasSuffix("-shm"),
                    FileManager.default.fileExists(atPath: stack.path("kept/\(part)"))
                else { continue }
                try FileManager.default.copyItem(
                    atPath: stack.path("kept/\(part)"), toPath: stack.path("state/\(part)"))
            }
            try FileManager.default.removeItem(atPath: stack.path("kept"))
        }

        @Test(
            "serve says once which file is damaged and what to do, ends with 1, and leaves the file as it is")
        func start() throws {
            let stack = try Stack.current()
            let known = try Client.signedIn(stack, application: "people")
            try stack.child("gateway").stop(seconds: 15)
            let noise = try Self.damage(stack)
            defer {
                try? Self.repair(stack)
                try? stack.startGateway()
            }
            let run = try ProgramRun(stack, ["serve", "--config", stack.folder.path], seconds: 60)
            #expect(run.status == 1)
            let lines = run.errors.split(separator: "\n").filter { $0.contains("sessions.sqlite") }
            try #require(lines.count == 1, "\(run.errors)")
            #expect(lines[0].contains("/state/sessions.sqlite: is damaged ("))
            #expect(lines[0].hasSuffix("; restore a backup, or move it away to begin with an empty one"))
            #expect(!run.errors.contains("serving on"))
            let left = try Data(contentsOf: stack.folder.appending(path: "state/sessions.sqlite"))
            #expect(left == noise, "the damaged file was written to")

            try Self.repair(stack)
            try stack.startGateway()
            #expect(try known.fetch(Self.people).status == 200, "a session was lost")
        }

        @Test(
            "a control process that starts on a damaged file says why; known sessions go on, newcomers after the repair"
        )
        func underWay() throws {
            let load = try Load(seconds: 30)
            defer { load.stop() }
            let stack = load.stack
            let gateway = try stack.child("gateway")
            let (before, saidBefore) = (try load.pid("control"), gateway.output.utf8.count)
            func said(_ text: String) -> Bool {
                String(decoding: gateway.output.utf8.dropFirst(saidBefore), as: UTF8.self).contains(text)
            }
            // Stopped first: it must not write meanwhile.
            kill(before, SIGSTOP)
            _ = try Self.damage(stack)
            defer { try? Self.repair(stack) }
            kill(before, SIGKILL)
            try poll("the reason") {
                said("sessions.sqlite: is damaged (").whenTrue
            }
            #expect(said("restore a backup, or move it away to begin with an empty one"))
            for _ in 0..<5 { #expect(try load.client.fetch(Self.people).status == 200) }
            // Who is not known waits, and is told that it is not their fault.
            let stranger = try Client(stack).get(Self.people)
            #expect(stranger.status == 503 && stranger.field("retry-after") != nil, "\(stranger)")
            #expect(stranger.field("gatepost-reason") == "control-plane-unavailable")

            try Self.repair(stack)
            try poll("a control process that serves", every: 0.25) {
                (try? load.pid("control")).flatMap { $0 != before ? () : nil }
            }
            #expect(try Client.signedIn(stack, application: "people").fetch(Self.people).status == 200)
            #expect(try load.client.fetch(Self.people).status == 200)
            let counts = try load.finish()
            print("a control process on a damaged file: \(counts)")
            #expect(counts.lost == 0 && counts.answered > 100, "\(counts)")
        }
    }
}
