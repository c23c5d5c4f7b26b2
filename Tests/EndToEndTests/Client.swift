import Foundation
import Testing

/// What a server answered to curl.
struct Answer: CustomTestStringConvertible {
    var status: Int
    /// Name in lower case and value, in the order of arrival.
    var fields: [(name: String, value: String)]
    var body: String

    func field(_ name: String) -> String? { fields.first { $0.name == name }?.value }
    var location: String? { field("location") }
    /// Short enough for a failure's message.
    var testDescription: String { "\(status) \(field("gatepost-reason") ?? "") \(body.suffix(200))" }

    func says(_ text: String) -> Bool { body.contains(text) }

    /// The value of a form's input.
    func input(_ name: String) -> String? {
        guard let at = body.range(of: "name=\"\(name)\" value=\"") else { return nil }
        return String(body[at.upperBound...].prefix { $0 != "\"" })
    }
}

/// A person without a browser: curl with a cookie jar, one request at a time, no redirect followed unasked.
struct Client {
    private let network: PrivateNetwork
    private let folder: URL
    let jar: String

    /// - Parameter folder: holds certs/dev-ca.pem, and the jar.
    init(network: PrivateNetwork, folder: URL) {
        self.network = network
        self.folder = folder
        jar = folder.appending(path: "jar-\(UUID().uuidString)").path
    }

    init(_ stack: Stack) { self.init(network: stack.network, folder: stack.folder) }

    /// Another browser that holds the same cookies.
    func copy() throws -> Client {
        let other = Client(network: network, folder: folder)
        try FileManager.default.copyItem(atPath: jar, toPath: other.jar)
        return other
    }

    /// Rewrites the jar's lines; nil removes one.
    func changeCookies(_ change: (_ line: String) -> String?) throws {
        let text = try String(contentsOfFile: jar, encoding: .utf8)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).compactMap {
            change(String($0))
        }
        try lines.joined(separator: "\n").write(toFile: jar, atomically: true, encoding: .utf8)
    }

    /// A navigation.
    func get(_ url: String, _ options: [String] = []) throws -> Answer {
        try send(["-H", "Accept: text/html", "-H", "Sec-Fetch-Mode: navigate"] + options + [url])
    }

    /// What a script or a program does.
    func fetch(_ url: String, _ options: [String] = []) throws -> Answer {
        try send(["-H", "Accept: application/json"] + options + [url])
    }

    func post(_ url: String, form: [(String, String)], origin: String) throws -> Answer {
        // An empty form is still a POST.
        let fields = ["--data", ""] + form.flatMap { ["--data-urlencode", "\($0.0)=\($0.1)"] }
        return try send(["-H", "Accept: text/html", "-H", "Origin: \(origin)"] + fields + [url])
    }

    /// Follows redirects one by one, at most ten, and returns the last answer with the addresses on the way.
    func follow(_ answer: Answer) throws -> (answer: Answer, visited: [String]) {
        var answer = answer
        var visited: [String] = []
        while let next = answer.location, visited.count < 10 {
            visited.append(next)
            answer = try get(next)
        }
        return (answer, visited)
    }

    /// Signs in at the lab's provider, beginning at an application that accepts it.
    ///
    /// - Returns: the answer to the form, which leads to the gateway's callback.
    func answerForm(of application: String, user: String = "alice") throws -> Answer {
        let page = try follow(try get("https://\(application).corp.test/")).answer
        return try answer(page, user: user)
    }

    func answer(
        _ page: Answer, user: String = "alice", provider: String = "http://127.0.0.1:\(Stack.openidPort)"
    ) throws -> Answer {
        guard let transaction = page.input("transaction") else {
            throw Failure(description: "no sign-in form: \(page.status) \(page.body.prefix(300))")
        }
        return try post(
            provider + "/sign-in",
            form: [("transaction", transaction), ("user", user), ("password", "\(user)-demo")],
            origin: provider)
    }

    private func send(_ arguments: [String]) throws -> Answer {
        let authority = folder.appending(path: "certs/dev-ca.pem").path
        let standard = ["-sS", "-i", "--max-time", "20", "--cacert", authority, "-c", jar, "-b", jar]
        let (status, text) = try Child.output(of: "/usr/bin/curl", standard + arguments, in: network)
        guard status == 0, text.hasPrefix("HTTP/") else {
            return Answer(status: 0, fields: [], body: text)
        }
        let halves = text.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
        let lines = halves[0].split(separator: "\r\n")
        let fields = lines.dropFirst().map { line -> (name: String, value: String) in
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            return (
                parts[0].lowercased(), parts.count == 2 ? parts[1].trimmingCharacters(in: .whitespaces) : ""
            )
        }
        let code = lines[0].split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return Answer(status: code, fields: fields, body: halves.count == 2 ? String(halves[1]) : "")
    }
}
