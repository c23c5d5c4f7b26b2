import Foundation
import Glibc
import Testing

@testable import gatepost_agent

@Suite("Commands of probes: no shell, no environment, no input, limits on time and output")
struct CommandRunnerTests {
    let runner = SpawningCommands()

    @Test("a command's status and output") func plain() {
        #expect(
            runner.run(ProbeCommand(path: "/bin/echo", arguments: ["a b", "$HOME;c"])).success
                == Array("a b $HOME;c\n".utf8))
        #expect(runner.run(ProbeCommand(path: "/bin/false")) == .ended(status: 1, output: []))
    }

    @Test("the environment is empty and standard input is at its end") func bare() {
        #expect(runner.run(ProbeCommand(path: "/usr/bin/env")) == .ended(status: 0, output: []))
        #expect(runner.run(ProbeCommand(path: "/bin/cat")) == .ended(status: 0, output: []))
    }

    @Test("no descriptor of ours is open in it") func descriptors() throws {
        let leaked = open("/dev/null", O_RDONLY)
        defer { close(leaked) }
        let output = try #require(
            runner.run(ProbeCommand(path: "/bin/ls", arguments: ["/proc/self/fd"])).success)
        // 0, 1, 2 and the folder that ls reads.
        #expect(String(decoding: output, as: UTF8.self).split(separator: "\n").count <= 4)
    }

    @Test("what takes too long is killed with all that it started") func slow() {
        let began = AgentClock.system.nowMilliseconds()
        var command = ProbeCommand(path: "/bin/sh", arguments: ["-c", "sleep 600 & sleep 600"])
        command.timeoutMilliseconds = 50
        #expect(runner.run(command) == .timedOut)
        #expect(AgentClock.system.nowMilliseconds() - began < 30_000)
    }

    @Test("exactly as much output as allowed, and one byte more") func output() {
        var command = ProbeCommand(path: "/usr/bin/head", arguments: ["-c", "1000", "/dev/zero"])
        command.outputBytesMax = 1_000
        #expect(runner.run(command).success?.count == 1_000)
        command.outputBytesMax = 999
        #expect(runner.run(command) == .tooMuchOutput)
        #expect(runner.run(ProbeCommand(path: "/usr/bin/yes", timeoutMilliseconds: 20_000)) == .tooMuchOutput)
    }

    @Test("a program that somebody else could have changed, is no file or has no absolute path is not run")
    func untrusted() throws {
        let folder = try TemporaryFolder()
        try folder.put("/tool", "#!/bin/sh\necho owned\n")
        chmod(folder.path + "/tool", 0o755)
        // The folders of tests lie in /tmp, where everybody may write.
        #expect(runner.run(ProbeCommand(path: folder.path + "/tool")) == .notRun)
        for path in ["echo", "bin/echo", "/nonexistent", "/bin", "", "/etc/passwd"] {
            #expect(runner.run(ProbeCommand(path: path)) == .notRun, "\(path)")
        }
    }

    @Test("a command that ends by a signal says nothing") func signalled() {
        #expect(runner.run(ProbeCommand(path: "/bin/sh", arguments: ["-c", "kill -9 $$"])) == .failed)
    }
}
