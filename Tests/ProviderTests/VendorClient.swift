import Foundation
import Glibc
import JSON

/// A vendor's own client, in the Python environment that `scripts/bootstrap clients` makes, as a program of its own.
enum VendorClient {
    struct Failure: Error, CustomStringConvertible {
        var description: String
        var status: Int32 = -1
    }

    /// Runs a script of scripts/lib and reads the JSON that it prints. A missing client is a failure, never a skip.
    static func run(_ script: String, _ arguments: [String]) throws -> JSONValue {
        let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().path
        let folder =
            ProcessInfo.processInfo.environment["GATEPOST_VENDOR_CLIENTS"] ?? "\(root)/.build/vendor-clients"
        let python = "\(folder)/bin/python"
        guard FileManager.default.isExecutableFile(atPath: python) else {
            throw Failure(description: "no vendors' clients in \(folder); next: scripts/bootstrap clients")
        }
        let (status, output) = try spawn(
            ["/usr/bin/timeout", "120", python, "\(root)/scripts/lib/\(script)"] + arguments)
        guard status == 0 else {
            throw Failure(description: "\(script) ended with \(status)", status: status)
        }
        return try JSONValue(parsing: output)
    }

    /// Not Foundation's `Process`: it looks through all open descriptors, which other tests open and close meanwhile.
    private static func spawn(_ command: [String]) throws -> (status: Int32, output: [UInt8]) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw Failure(description: "pipe: \(errno)") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(ends[0]) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        let environment = ["PYTHONDONTWRITEBYTECODE=1", "NO_PROXY=*", "PATH=/usr/bin:/bin"]
        var words = command.map { strdup($0) } + [nil]
        var settings = environment.map { strdup($0) } + [nil]
        defer { for text in words + settings { free(text) } }
        var child: pid_t = 0
        let refused = posix_spawn(&child, command[0], &actions, nil, &words, &settings)
        close(ends[1])
        guard refused == 0 else { throw Failure(description: "\(command[0]): \(refused)") }
        var output: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(ends[0], &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            output += piece[..<count]
        }
        var state: Int32 = 0
        while waitpid(child, &state, 0) < 0, errno == EINTR {}
        return (state & 0x7f == 0 ? (state >> 8) & 0xff : -1, output)
    }
}
