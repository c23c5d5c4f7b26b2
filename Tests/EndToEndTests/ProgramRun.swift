import Foundation
import Testing

/// One run of this build's `gatepost`, with its two outputs apart.
struct ProgramRun {
    var status: Int32
    var output: String
    var errors: String

    /// - Parameter environment: all that it has beside the names that every child has.
    init(
        _ stack: Stack, _ arguments: [String], environment: [String: String] = [:],
        seconds: Double = patienceSeconds
    ) throws {
        let errors = stack.folder.appending(path: "errors-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: errors) }
        let words = ["-c", #"exec "$@" 2>"$0""#, errors.path, stack.program("gatepost")] + arguments
        let ended = try Child.output(
            of: "/bin/bash", words, environment: environment, seconds: seconds, in: stack.network)
        status = ended.status
        output = ended.text
        self.errors = (try? String(contentsOf: errors, encoding: .utf8)) ?? ""
    }
}

/// A text that is compared whole; UPDATE_GOLDEN=1 writes it anew.
func expectGolden(
    _ name: String, _ text: String, sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let file = Programs.root.appending(path: "Tests/EndToEndTests/Golden/\(name)")
    if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" {
        try text.write(to: file, atomically: true, encoding: .utf8)
    }
    let expected = try String(contentsOf: file, encoding: .utf8)
    #expect(
        text == expected, "\(name): run with UPDATE_GOLDEN=1 and review the difference",
        sourceLocation: sourceLocation)
}
