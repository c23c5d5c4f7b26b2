import Config
import Foundation
import Testing

/// A change to the good sample and the message that it must bring.
struct RefusalCase: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var piece: String
    var other: String
    /// nil: the change is fine.
    var expected: String?

    init(_ name: String, _ piece: String, _ other: String, _ expected: String?) {
        testDescription = name
        self.piece = piece
        self.other = other
        self.expected = expected
    }
}

@Suite("What a configuration is refused for")
struct RefusalTests {
    let folder: ConfigFolder

    init() throws { folder = try ConfigFolder() }

    static let table: [RefusalCase] = [
        .init(
            "a slip in a key", "store:", "sotre:",
            "gateway.sotre: is not a key that is known here; did you mean store?"),
        .init("the longest session", "wiki.corp.example\n", "wiki.corp.example\n    session: 30d\n", nil),
        .init(
            "one second past the longest session", "wiki.corp.example\n",
            "wiki.corp.example\n    session: 2592001s\n",
            "applications.wiki.session: \"2592001s\" is out of range; use 1m to 30d"),
        .init(
            "a host that is the auth host", "host: wiki.corp", "host: auth.corp",
            "auth.corp.example is the auth host"),
        .init(
            "an upstream that is our listener", "127.0.0.1:8080", "127.0.0.1:8443", "is the gateway itself"),
        .init(
            "an upstream that is our listener by name", "127.0.0.1:8080", "localhost:8443",
            "is the gateway itself"),
        .init(
            "an upstream that is our own host", "http://127.0.0.1:8080", "https://auth.corp.example:8443",
            "is the gateway itself"),
        .init(
            "plain HTTP outside loopback", "https://login.corp.example", "http://login.corp.example",
            "which is not loopback; use https://"),
        .init(
            "plain HTTP on loopback", "https://login.corp.example", "http://127.0.0.1:9",
            "set unsafe-allow-http: true"),
        .init(
            "plain HTTP on loopback, said to be unsafe", "issuer: \"https://login.corp.example\"",
            "unsafe-allow-http: true, issuer: \"http://127.0.0.1:9\"", nil),
        .init(
            "unsafe outside loopback all the same", "issuer: \"https://login.corp.example\"",
            "unsafe-allow-http: true, issuer: \"http://10.0.0.1:9\"", "which is not loopback"),
        .init("a secret in plain text", "{ file: secret }", "hunter2", "is a secret in plain text"),
        .init("a secret from the environment", "{ file: secret }", "{ env: SET }", nil),
        .init(
            "a variable that is not set", "{ file: secret }", "{ env: UNSET }",
            "environment variable UNSET is not set"),
        .init("a missing secret", "{ file: secret }", "{ file: none }", "none cannot be opened"),
        .init(
            "a key where a certificate belongs", "chain: chain.pem", "chain: key.pem",
            "key.pem holds no PEM CERTIFICATE"),
        .init(
            "an unknown provider", "identity-providers: [ corp ]", "identity-providers: [ crop ]",
            "did you mean corp?"),
        .init(
            "no provider", "identity-providers: [ corp ]", "identity-providers: []",
            "list is empty; name at least one of corp"),
        .init(
            "host bits in a range", "email-domain: corp.example", "network: 10.1.0.0/8",
            "has host bits; write 10.0.0.0/8"),
        .init(
            "host bits in an IPv6 range", "email-domain: corp.example", "network: \"2001:db8::1/32\"",
            "has host bits"),
        .init(
            "a range", "email-domain: corp.example", "network: [10.0.0.0/8, \"2001:db8::/32\", 192.0.2.1]",
            nil),
        .init(
            "a leading zero in an address", "email-domain: corp.example", "network: 010.0.0.0/8",
            "is not an address range"),
        .init(
            "a pattern as path", "email-domain: corp.example", "path: { prefixes: [ \"/api/.*\" ] }",
            "looks like a pattern"),
        .init(
            "an unknown device class", "device: compliant", "device: healthy",
            "use one of compliant, partial, denied"),
        .init("an alias", "certificate: chain.pem", "certificate: &c chain.pem", nil),
        .init(
            "a merge key", "certificate: chain.pem", "<<: { certificate: chain.pem }",
            "merge keys are not supported"),
        .init("a wildcard host", "host: wiki.corp.example", "host: \"*.corp.example\"", "has a wildcard"),
        .init(
            "a host with a port", "host: wiki.corp.example", "host: \"wiki.corp.example:443\"",
            "has a scheme, port or path"),
        .init("an address as host", "host: wiki.corp.example", "host: 10.0.0.1", "is an address"),
        .init("port 0 outside loopback", "127.0.0.1:8443", "0.0.0.0:0", "port 0 outside loopback"),
        .init(
            "a PostgreSQL store", "sqlite:state", "postgresql://x",
            "PostgreSQL is not available in this version"),
        .init("a flag in another language", "managed: true", "managed: yes", "\"yes\" is not true or false"),
        .init("an unclosed bracket", "[ corp ]", "[ corp", "is not YAML"),
        .init("a rule that asks nothing", ", managed: true", "", "asks nothing"),
    ]

    @Test(arguments: table)
    func `the message names the key, the problem and the remedy`(_ c: RefusalCase) throws {
        let problems = try folder.problems(try Sample.replacing(c.piece, c.other))
        guard let expected = c.expected else {
            #expect(problems == [])
            return
        }
        #expect(problems.contains { $0.contains(expected) }, "\(problems)")
        #expect(problems.allSatisfy { $0.hasPrefix("gatepost.yaml:") || $0.hasPrefix("gatepost.yaml: ") })
        #expect(!problems.joined().contains("hunter2"))
    }

    @Test func `a broken file lists all its problems at once`() throws {
        try folder.write(
            "broken.yaml", try String(contentsOfFile: "\(Repository.golden)/broken.yaml", encoding: .utf8))
        let error = #expect(throws: ConfigFailure.self) { try folder.load("broken.yaml") }
        let text = try #require(error).description.replacing("\(folder.path)/", with: "") + "\n"
        try expectGolden("\(Repository.golden)/broken.txt", text)
        #expect(!text.contains("hunter2"))
    }

    @Test func `a secret that others can read is refused`() throws {
        try folder.write("secret", "s3cret", mode: 0o640)
        #expect(
            try folder.problems(Sample.text).first?.contains("can be read by others (mode 0640); chmod 600")
                == true)
    }

    @Test func `a key with a passphrase is refused`() throws {
        try folder.write("key.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
        #expect(try folder.problems(Sample.text).first?.contains("holds a key with a passphrase") == true)
    }

    @Test func `a secret of several lines is refused`() throws {
        try folder.write("secret", "one\ntwo\n")
        #expect(try folder.problems(Sample.text).first?.contains("does not hold one line of text") == true)
    }

    @Test func `a file of exactly one MiB is read and one byte more is refused`() throws {
        let fill = (1 << 20) - Sample.text.utf8.count - 2
        let exact = Sample.text + "#" + String(repeating: "x", count: fill) + "\n"
        #expect(exact.utf8.count == 1 << 20)
        #expect(try folder.problems(exact) == [])
        #expect(
            try folder.problems(exact + "\n") == [
                "gatepost.yaml: is larger than 1048576 bytes; name a smaller file"
            ])
    }

    @Test func `aliases that multiply are refused instead of filling the memory`() throws {
        var text = "version: 1\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1..<9 {
            let uses = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(uses)]\n"
        }
        #expect(try folder.problems(text).contains { $0.contains("once aliases are expanded") })
        let many =
            "version: 1\na: &a x\nb: [" + Array(repeating: " *a", count: 101).joined(separator: ",") + "]\n"
        #expect(
            try folder.problems(many) == [
                "gatepost.yaml: has more than 100 aliases; write values out or split the file"
            ])
    }

    @Test func `nesting without end is refused`() throws {
        let deep = String(repeating: "[", count: 40) + String(repeating: "]", count: 40)
        #expect(try folder.problems("version: 1\na: \(deep)\n").contains { $0.contains("levels deep") })
        let deeper = String(repeating: "[", count: 500_000)
        #expect(try folder.problems("version: 1\na: \(deeper)\n").count == 1)
    }

    @Test func `what is no configuration at all is refused in a sentence`() throws {
        #expect(try folder.problems("") == ["gatepost.yaml: is empty; begin with version: 1"])
        #expect(
            try folder.problems("[1]\n") == [
                "gatepost.yaml:1: is a list, not a mapping; begin with version: 1"
            ])
        #expect(throws: ConfigFailure.self) { try folder.load("none.yaml") }
        try Data([0x76, 0xFF, 0x0A]).write(to: URL(fileURLWithPath: "\(folder.path)/latin.yaml"))
        let error = #expect(throws: ConfigFailure.self) { try folder.load("latin.yaml") }
        #expect(error?.problems.first?.problem == "is not UTF-8")
    }

    @Test func `no mutilation of the sample crashes the reader`() throws {
        var generator = SeededGenerator(seed: 1)
        let bytes = Array(Sample.text.utf8)
        let noise = Array("{}[]:,-#&*!|>'\"%@`\n \t0a~".utf8)
        for round in 0..<400 {
            var text = bytes
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let at = Int.random(in: 0..<text.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: text[at] = noise[Int.random(in: 0..<noise.count, using: &generator)]
                case 1: text.removeSubrange(at..<min(at + 9, text.count))
                default: text.insert(noise[Int.random(in: 0..<noise.count, using: &generator)], at: at)
                }
            }
            let problems = try folder.problems(String(decoding: text, as: UTF8.self))
            #expect(problems.allSatisfy { $0.contains("; ") }, "seed 1, round \(round)")
        }
    }
}

/// SplitMix64: the same numbers on every machine.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
