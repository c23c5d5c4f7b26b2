import Foundation

/// One more file in the folder of the running gateway's configuration.
struct FurtherFile {
    let name: String
    let text: String
    /// An address of the file's own applications, and what it answers while the file is there; 421 without it.
    let sign: (url: String, status: Int)

    /// Adds the file, and takes it away again after `body`.
    func with(_ stack: Stack, _ body: () throws -> Void) throws {
        defer { try? remove(from: stack) }
        try add(to: stack)
        try body()
    }

    func add(to stack: Stack) throws {
        try text.write(toFile: stack.path(name), atomically: true, encoding: .utf8)
        try reload(stack, until: sign.status)
    }

    func remove(from stack: Stack) throws {
        try? FileManager.default.removeItem(atPath: stack.path(name))
        try reload(stack, until: 421)
    }

    private func reload(_ stack: Stack, until status: Int) throws {
        try stack.child("gateway").signal(SIGHUP)
        try poll("the gateway to read its configuration") {
            (try Client(stack).fetch(sign.url).status == status).whenTrue
        }
    }
}
