import Foundation
import Testing

extension EndToEnd {
    @Suite("A client certificate that is valid, of a device that nobody knows")
    struct UnknownCertificateTests {
        private static let device = "0b0e7c1e-0000-4000-8000-0000000000aa"

        private static let configuration = """
            version: 1
            applications:
              robots:
                host: robots.corp.test
                upstreams: [ "http://127.0.0.1:\(Stack.echoPort)" ]
                identity-providers: [ hr-staff ]
                device-proofs: certificate
                policies:
                  - { name: staff, action: allow, include: [ { email-domain: corp.example } ],
                      require: [ { device: compliant } ] }

            """

        private func number() -> String {
            String(UInt32.random(in: 0x1000_0000...0x7fff_ffff), radix: 16)
        }

        @Test("page and JSON say which certificate it is and whom to ask; without one they say that, too")
        func answers() throws {
            try MachineStage.with(try Stack.current(), file: Self.configuration) { stage in
                let serial = number()
                let unknown = try stage.certificate(
                    serial: serial, subject: "visitor-laptop", names: "DNS:\(Self.device)")
                let nameless = try stage.certificate(serial: "7f" + serial, subject: "printer")
                let client = Client(stage.stack)
                let first = try client.follow(try client.answerForm(of: "robots")).answer
                #expect(first.status == 403, "\(first)")
                #expect(first.field("gatepost-reason") == "device-certificate-required")
                #expect(first.says("your browser showed none") && !first.says("serial number"))

                let page = try client.get(MachineStage.page, unknown)
                #expect(page.status == 403, "\(page)")
                #expect(page.field("gatepost-reason") == "device-certificate-unknown")
                for text in [
                    "no provider knows the device that it names", "<code>visitor-laptop</code>", Self.device,
                    "<code>\(serial)</code>", "Tell that to whoever manages",
                ] { #expect(page.says(text), "\(text): \(page.body.suffix(800))") }

                let program = try client.fetch(MachineStage.page, unknown)
                let json = try JSONSerialization.jsonObject(with: Data(program.body.utf8)) as? [String: Any]
                #expect(program.status == 403 && json?["reason"] as? String == "device-certificate-unknown")
                let shown = json?["certificate"] as? [String: String]
                #expect(shown == ["serial": serial, "subject": "visitor-laptop"], "\(program.body)")
                #expect(json?["request_id"] as? String == program.field("gatepost-request-id"))

                let other = try client.get(MachineStage.page, nameless)
                #expect(other.field("gatepost-reason") == "device-certificate-required", "\(other)")
                #expect(other.says("a certificate that names no device") && other.says("printer"))
                // It signs nobody in.
                #expect(try Client(stage.stack).fetch(MachineStage.page, unknown).status == 401)
            }
        }

        @Test("Chromium shows it by managed policy without a question, and the page names it")
        func chromium() throws {
            try MachineStage.with(try Stack.current(), file: Self.configuration) { stage in
                let (stack, serial) = (stage.stack, number())
                _ = try stage.certificate(
                    serial: serial, subject: "visitor-laptop", names: "DNS:\(Self.device)")
                let (name, bundle) = (stack.path("robot-\(serial)"), stack.path("robot-\(serial).p12"))
                try stage.openssl(
                    [
                        "pkcs12", "-export", "-in", name + ".pem", "-inkey", name + ".key", "-name", serial,
                        "-passout", "pass:once", "-out", bundle,
                    ])
                let database = "sql:" + stack.path("home/.pki/nssdb")
                try stack.run("/usr/bin/pk12util", ["-d", database, "-K", "", "-W", "once", "-i", bundle])
                defer { _ = try? stack.run("/usr/bin/certutil", ["-d", database, "-F", "-n", serial]) }
                let policy = """
                    {"AutoSelectCertificateForUrls":
                      ["{\\"pattern\\":\\"https://robots.corp.test\\",\\"filter\\":{}}"]}
                    """
                try stack.network.withChromiumPolicy(policy, in: stack.folder) {
                    let browser = try Chromium(stack, permission: nil)
                    try browser.open(MachineStage.page)
                    try browser.signInAtLab("alice")
                    try browser.wait(for: "the page about the certificate", seconds: 60) {
                        try browser.text.contains("Reason device-certificate-unknown")
                    }
                    let text = try browser.text
                    for part in ["visitor-laptop", serial, "Tell that to whoever manages"] {
                        #expect(text.contains(part), "\(part): \(text)")
                    }
                    try stack.photograph(browser, "unknown-certificate")
                }
            }
        }
    }
}
