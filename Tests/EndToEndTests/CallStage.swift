import Foundation
import Testing

/// An application with a public page and a protected interface, and the page of another origin that may call it.
struct CallStage {
    static let calls = "https://calls.corp.test"
    static let lobby = "https://lobby.corp.test"

    /// Adds both to the running gateway, and takes them away again.
    static func with(_ stack: Stack, _ body: () throws -> Void) throws {
        let file = stack.path("calls.yaml")
        try configuration.write(toFile: file, atomically: true, encoding: .utf8)
        defer {
            try? FileManager.default.removeItem(atPath: file)
            try? reload(stack, isThere: false)
        }
        try reload(stack, isThere: true)
        try body()
    }

    private static func reload(_ stack: Stack, isThere: Bool) throws {
        try stack.child("gateway").signal(SIGHUP)
        try poll("the gateway to read its configuration", seconds: 15) {
            (try Client(stack).fetch(lobby + "/answer").status == (isThere ? 200 : 421)).whenTrue
        }
    }

    private static let configuration = """
        version: 1
        applications:
          calls:
            host: calls.corp.test
            upstreams: [ "http://127.0.0.1:\(Stack.echoPort)" ]
            identity-providers: [ hr-staff ]
            fields: { X-Remote-User: email }
            keep-form: true
            cors:
              origins: [ "\(lobby)" ]
              methods: [ PUT ]
              request-fields: [ Content-Type ]
              response-fields: [ X-Total ]
              credentials: true
            policies:
              - { name: pages, action: bypass, include: [ everyone: true ],
                  require: [ { path: { prefixes: [ /answer ] } } ] }
              - { name: staff, action: allow, include: [ { group: staff } ] }
          lobby:
            host: lobby.corp.test
            upstreams: [ "http://127.0.0.1:\(Stack.echoPort)" ]
            identity-providers: [ hr-staff ]
            policies:
              - { name: pages, action: bypass, include: [ everyone: true ] }

        """

    /// A page of the application's that says what it should.
    static func page(_ origin: String, _ html: String, _ fields: [String: String] = [:]) -> String {
        var all = fields
        all["body"] = html
        all["Content-Type"] = "text/html"
        let query = all.sorted { $0.key < $1.key }.map { "\(encode($0.key))=\(encode($0.value))" }
        return "\(origin)/answer?\(query.joined(separator: "&"))"
    }

    static func encode(_ text: String) -> String {
        text.utf8.map { byte in
            let isPlain = UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20 || 0x30...0x39 ~= byte
            return isPlain ? String(UnicodeScalar(byte)) : String(format: "%%%02X", byte)
        }.joined()
    }
}
