import ChildPrograms
import Foundation
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
        let (python, path) = ("\(folder)/bin/python", "\(root)/scripts/lib/\(script)")
        let outcome = try ChildProgram(
            python, [path] + arguments,
            environment: ["PYTHONDONTWRITEBYTECODE": "1", "NO_PROXY": "*", "PATH": "/usr/bin:/bin"],
            output: .kept, errors: .shown
        ).outcome()
        guard outcome.status == 0 else {
            throw Failure(description: "\(script) ended with \(outcome.status)", status: outcome.status)
        }
        return try JSONValue(parsing: outcome.output)
    }
}
