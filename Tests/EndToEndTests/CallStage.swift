import Foundation
import Testing

/// An application with a public page and a protected interface, and the page of another origin that may call it.
struct CallStage {
    static let calls = "https://calls.corp.test"
    static let auth = "https://auth.corp.test"
    static let lobby = "https://lobby.corp.test"

    /// Adds both to the running gateway, and takes them away again.
    static func with(_ stack: Stack, _ body: () throws -> Void) throws {
        try FurtherFile(name: "calls.yaml", text: configuration, sign: (lobby + "/answer", 200)).with(
            stack, body)
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
