import Foundation
import Glibc

/// The whole product on loopback: gateway, agent and lab as `make run` starts them, in a folder of its own.
final class Stack {
    let folder: URL
    let port: Int
    private let process = Process()
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// Starts everything and returns when it is ready.
    init() throws {
        folder = URL(filePath: NSTemporaryDirectory()).appending(path: "gatepost-e2e-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let ports = try Self.freePorts(3)
        port = ports[0]
        process.executableURL = URL(filePath: "/bin/bash")
        process.arguments = [Self.root.appending(path: "scripts/run").path]
        var environment = ProcessInfo.processInfo.environment
        environment["GATEPOST_RUN"] = folder.path
        environment["GATEPOST_BIN"] = try Self.programs().path
        environment["GATEPOST_PORT"] = String(ports[0])
        environment["GATEPOST_AGENT_PORT"] = String(ports[1])
        environment["GATEPOST_LAB_PORT"] = String(ports[2])
        process.environment = environment
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        process.standardInput = FileHandle.nullDevice
        try Self.withSignalsOpen { try process.run() }
        var text = ""
        while !text.contains("Stop    Ctrl-C") {
            let chunk = output.fileHandleForReading.availableData
            guard !chunk.isEmpty else { throw Failure(description: "the stack did not start:\n\(text)") }
            text += String(decoding: chunk, as: UTF8.self)
        }
    }

    /// Threads of the task pool block signals, and children inherit that: the stack could then not be stopped.
    private static func withSignalsOpen(_ body: () throws -> Void) rethrows {
        var none = sigset_t()
        var before = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try body()
    }

    deinit { stop() }

    func stop() {
        guard process.isRunning else { return }
        process.terminate()
        process.waitUntilExit()
        try? FileManager.default.removeItem(at: folder)
    }

    /// Runs a program of the product and returns what it printed.
    @discardableResult
    func run(_ program: String, _ arguments: [String]) throws -> String {
        try Self.output(of: Self.programs().appending(path: program).path, arguments)
    }

    static func output(of path: String, _ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: path)
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: data, as: UTF8.self)
    }

    /// The test runner stands beside the programs that the same build made.
    private static func programs() throws -> URL {
        var folder = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
        for _ in 0..<4 {
            if FileManager.default.isExecutableFile(atPath: folder.appending(path: "gatepost").path) {
                return folder
            }
            folder = folder.deletingLastPathComponent()
        }
        let debug = root.appending(path: ".build/debug")
        guard FileManager.default.isExecutableFile(atPath: debug.appending(path: "gatepost").path) else {
            throw Failure(description: "the programs are not built; next: swift build")
        }
        return debug
    }

    /// Ports that are free together with the two above each (the lab takes three in a row).
    private static func freePorts(_ count: Int) throws -> [Int] {
        var found: [Int] = []
        var candidate = Int.random(in: 20_000..<28_000)
        while found.count < count {
            if (candidate..<candidate + 3).allSatisfy(isFree) { found.append(candidate) }
            candidate += 7
            guard candidate < 32_000 else { throw Failure(description: "no free ports") }
        }
        return found
    }

    private static func isFree(_ port: Int) -> Bool {
        let probe = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(probe) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(probe, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        } == 0
    }
}
