import ArgumentParser
import Foundation
import Identity
import Signatures
import Store

/// `gatepost-lab sessions`: many sessions for a load test, made from one that somebody signed in for.
struct SessionsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sessions",
        abstract: "Copy one session of a stopped gateway many times, each under a cookie of its own.",
        discussion: """
            For load tests of gateways that may be thrown away: whoever can read the file of cookies is signed in. \
            The gateway must not run meanwhile.
            """)

    /// Commits are shared by whoever writes at the same time.
    private static let writersMax = 512

    @Option(help: ArgumentHelp("The gateway's store.", valueName: "folder"))
    var store: String

    @Option(help: ArgumentHelp("The gateway's keys; default: below the store.", valueName: "folder"))
    var keys: String?

    @Option(help: ArgumentHelp("File whose first line is the Cookie field to copy.", valueName: "file"))
    var like: String

    @Option(help: "How many sessions to make.")
    var count: Int

    @Option(help: ArgumentHelp("File for the new Cookie fields, one a line.", valueName: "file"))
    var cookies: String

    func validate() throws {
        guard (1...1_000_000).contains(count) else {
            throw ValidationError("--count is \(count); 1 to 1000000 can be made")
        }
    }

    func run() async throws {
        let ring = try KeyRing(folder: keys ?? "\(store)/keys")
        let field = try String(contentsOfFile: like, encoding: .utf8).split(separator: "\n").first.map(
            String.init)
        guard let field, let old = SessionCookie.of(cookieField: [field], ring: ring) else {
            throw CommandFailure(description: "\(like): no session cookie under these keys in its first line")
        }
        let opened = try SQLiteStore(folder: store)
        let now = Int64(Date().timeIntervalSince1970)
        guard let session = try await opened.session(tokenDigest: old.tokenDigest, nowSeconds: now),
            session.kind == .application
        else {
            throw CommandFailure(description: "\(like): its application session is not in \(store)")
        }
        let lines = try await copies(of: session, field: field, value: old.value, ring: ring, into: opened)
        await opened.close()
        try Data((lines.joined(separator: "\n") + "\n").utf8).write(
            to: URL(filePath: cookies), options: .atomic)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: cookies)
        print("\(lines.count) sessions like \(session.id); their cookies are in \(cookies)")
    }

    private func copies(
        of session: StoredSession, field: String, value: String, ring: KeyRing, into store: SQLiteStore
    ) async throws -> [String] {
        var lines: [String] = []
        while lines.count < count {
            try await withThrowingTaskGroup { group in
                for _ in 0..<min(Self.writersMax, count - lines.count) {
                    let cookie = SessionCookie.mint(ring: ring)
                    var copy = session
                    copy.id = UUID().uuidString.lowercased()
                    copy.tokenDigest = cookie.tokenDigest
                    copy.previousTokenDigest = nil
                    copy.previousUntilSeconds = nil
                    lines.append(field.replacing(value, with: cookie.value))
                    group.addTask { [copy] in try await store.insert(copy) }
                }
                try await group.waitForAll()
            }
        }
        return lines
    }
}
