import ChildPrograms
import Foundation
import Glibc
import Testing

/// Each in a process of its own, so that no other test meets the limit of descriptors.
@Suite("Programs that tests run, from a process with more than a thousand open descriptors")
struct ChildProgramTests {
    private static func occupy() throws {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        for _ in 0..<1_500 { try #require(open("/dev/null", O_RDONLY) >= 0, "raise ulimit -Hn: \(errno)") }
    }

    private static func shell(
        _ script: String, output: ChildProgram.Output = .kept, errors: ChildProgram.Output = .kept,
        secondsMax: Int = 300
    ) throws -> ChildProgram {
        try ChildProgram("/bin/sh", ["-c", script], output: output, errors: errors, secondsMax: secondsMax)
    }

    @Test("what it says and ends with is told; what is not kept is not") func outcomes() async {
        await #expect(processExitsWith: .success) {
            try Self.occupy()
            let script = "echo one; echo two >&2; exit 7"
            for (output, errors, text) in [
                (ChildProgram.Output.kept, ChildProgram.Output.kept, "one\ntwo\n"),
                (.kept, .discarded, "one\n"), (.discarded, .kept, "two\n"), (.discarded, .discarded, ""),
            ] {
                let shell = try Self.shell(script, output: output, errors: errors)
                let outcome = await shell.outcome()
                #expect(outcome.status == 7 && outcome.text == text)
            }
            #expect(try Self.shell("true").wait() == 0)
        }
    }

    @Test("it reads what it is given, also more than a pipe holds, and without anything finds the end")
    func input() async {
        await #expect(processExitsWith: .success) {
            try Self.occupy()
            let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }
            let whole = try await ChildProgram("/bin/cat", input: .bytes(bytes), output: .kept).outcome()
            #expect(whole.status == 0 && whole.output == bytes)
            let none = try await ChildProgram("/bin/cat", output: .kept).outcome()
            #expect(none.status == 0 && none.output.isEmpty)
        }
    }

    @Test("lines go to and fro while it runs, and one without an end is the last") func conversation() async {
        await #expect(processExitsWith: .success) {
            try Self.occupy()
            let script = "while read line && [ \"$line\" != end ]; do echo \"<$line>\"; done; printf 'x\\ny'"
            let shell = try ChildProgram("/bin/sh", ["-c", script], input: .told, output: .kept)
            for word in ["a", "b"] {
                shell.tell(word)
                #expect(shell.line() == "<\(word)>")
            }
            #expect(shell.isRunning)
            shell.tell("end")
            #expect(shell.line() == "x" && shell.line() == "y" && shell.line() == nil)
            #expect(shell.wait() == 0 && !shell.isRunning)
            // Nobody hears it, and nobody gets a signal for that.
            shell.tell("anything")
        }
    }

    @Test("a program that is missing, is none, or is a folder is refused by its name") func refused() async {
        await #expect(processExitsWith: .success) {
            try Self.occupy()
            for path in ["/usr/bin/no-such-program", "/etc/passwd", "/tmp"] {
                let refusal = #expect(throws: Refusal.self) { try ChildProgram(path) }
                #expect(refusal?.description.hasPrefix(path) == true, "\(refusal?.description ?? "")")
            }
        }
    }

    @Test("a signal is told from a status, and arrives though the thread that started it blocks it")
    func signals() async {
        await #expect(processExitsWith: .success) {
            try Self.occupy()
            #expect(try Self.shell("kill -HUP $$").wait() == -SIGHUP)
            var (blocked, before) = (sigset_t(), sigset_t())
            sigfillset(&blocked)
            pthread_sigmask(SIG_BLOCK, &blocked, &before)
            signal(SIGINT, SIG_IGN)
            let started = [SIGTERM, SIGINT].map { number in
                (number, Result { try ChildProgram("/bin/sleep", ["600"], secondsMax: 60) })
            }
            pthread_sigmask(SIG_SETMASK, &before, nil)
            for (number, sleeper) in started {
                try sleeper.get().signal(number)
                #expect(try sleeper.get().wait() == -number)
            }
        }
    }

    @Test("it has three descriptors, and the environment that it was given") func inherited() async {
        await #expect(processExitsWith: .success) {
            try Self.occupy()
            // The fourth is that of the folder that is listed.
            let list = try await ChildProgram("/bin/ls", ["/proc/self/fd"], output: .kept).outcome()
            #expect(list.text == "0\n1\n2\n3\n")
            setenv("GATEPOST_OF_THE_TESTS", "1", 1)
            let own = try await ChildProgram("/usr/bin/env", environment: ["A": "b c"], output: .kept)
                .outcome()
            #expect(own.text == "A=b c\n")
            let inherited = try await ChildProgram("/usr/bin/env", output: .kept).outcome()
            #expect(inherited.text.contains("GATEPOST_OF_THE_TESTS=1\n"))
        }
    }

    @Test("it is gone when nobody holds it, and when it has had its time") func ends() async {
        await #expect(processExitsWith: .success) {
            try Self.occupy()
            var held: ChildProgram? = try Self.shell("echo $$; exec sleep 600")
            let pid = try #require(held?.line().flatMap { pid_t($0) })
            #expect(kill(pid, 0) == 0)
            held = nil
            #expect(kill(pid, 0) == -1 && errno == ESRCH)
            let late = try await Self.shell("exec sleep 600", secondsMax: 0).outcome()
            #expect(late.status == -SIGKILL && late.output.isEmpty)
            #expect(try Self.shell("exec sleep 600", secondsMax: 0).line() == nil)
        }
    }
}
