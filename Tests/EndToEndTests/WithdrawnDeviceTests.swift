import Foundation
import Testing

extension EndToEnd {
    @Suite("A device is withdrawn while somebody works at it")
    struct WithdrawnDeviceTests {
        enum Way: String, CaseIterable, CustomTestStringConvertible, Sendable {
            case command, serial, list
            var testDescription: String { rawValue }

            /// From the administrator's act to the end of what is open. A list is looked at once a second.
            var secondsMax: Double { self == .list ? 3 : 2 }
        }

        @Test(
            "what it has open ends at once, and the next device check says why",
            arguments: Way.allCases)
        func withdrawn(_ way: Way) async throws {
            let stack = try Stack.current()
            let list = try AuthorityList(stack)
            try list.publish(revoking: [])
            try await BriefStage.with(stack, agents: "revocation-lists: [ device.crl ], ", isAuthority: true)
            {
                let state = "withdrawn-\(way)"
                try BriefStage.enrol(stack, state)
                try BriefStage.startAgent(stack, state)
                defer {
                    try? stack.child("agent").stop()
                    try? stack.startAgent()
                }
                let browser = try Chromium(stack)
                defer { browser.quit() }
                try BriefStage.enter(browser)
                try browser.waitForApplication(BriefStage.application)
                try PageStreams.open(browser)
                let (device, serial) = (try stack.deviceID(state: state), try list.serial(of: state))
                let begun = Date().timeIntervalSince1970
                switch way {
                case .command: _ = try stack.gatepost("device", "revoke", device)
                case .serial:
                    let said = try stack.gatepost("device", "revoke", "--serial", serial)
                    #expect(said.contains(device), "\(said)")
                case .list: try list.publish(revoking: [serial])
                }
                let end = try PageStreams.waitForEnd(browser)
                print("measured: withdrawn by \(way): streams cut after \(Int((end.at - begun) * 1000)) ms")
                #expect(end.code == 1_008)
                #expect(end.at - begun <= way.secondsMax)
                if way == .list {
                    // The sign-in lives: nobody is asked who she is.
                    try browser.open(BriefStage.origin + "/after-list")
                } else {
                    try BriefStage.enter(browser, path: "/after-\(way)")
                }
                let page = try CheckPage.wait(browser, for: "certificate-revoked")
                #expect(page.text.contains("The device was revoked"), "\(page)")
                #expect(try !stack.hasReachedUpstream("/after-\(way)"))
                let lines = try stack.child("gateway").output.split(separator: "\n").filter {
                    $0.contains("\"event\":\"device-check-refused\"")
                }
                #expect(lines.last?.contains("\"reason\":\"certificate-revoked\"") == true, "\(lines)")
                #expect(try stack.gatepost("status").contains("certificate-revoked"))
            }
        }
    }
}

/// The revocation list of the demo's enrolment authority, as its administrator makes it.
private struct AuthorityList {
    let stack: Stack
    private let folder: URL

    init(_ stack: Stack) throws {
        self.stack = stack
        folder = stack.folder.appending(path: "authority")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let settings = """
            [ca]
            default_ca = devices
            [devices]
            database = \(folder.path)/index.txt
            crlnumber = \(folder.path)/number
            default_md = sha256

            """
        try settings.write(to: folder.appending(path: "ca.conf"), atomically: true, encoding: .utf8)
        if !FileManager.default.fileExists(atPath: folder.appending(path: "number").path) {
            try "01\n".write(to: folder.appending(path: "number"), atomically: true, encoding: .utf8)
        }
    }

    /// Puts a new list in the place of the old one, in one step.
    func publish(revoking serials: [String]) throws {
        let rows = serials.map { "R\t300101000000Z\t260101000000Z\t\($0)\tunknown\t/CN=device\n" }
        try rows.joined().write(to: folder.appending(path: "index.txt"), atomically: true, encoding: .utf8)
        let new = folder.appending(path: "new.crl").path
        try stack.run(
            "/usr/bin/openssl",
            [
                "ca", "-gencrl", "-config", folder.appending(path: "ca.conf").path, "-cert",
                stack.path("certs/device-ca.pem"), "-keyfile", stack.path("certs/device-ca.key"), "-crldays",
                "1", "-out", new,
            ])
        try stack.run("/bin/mv", [new, stack.path("device.crl")])
    }

    /// Of a device's certificate, in hexadecimal digits.
    func serial(of state: String) throws -> String {
        let data = try Data(contentsOf: stack.agentFile(state, "enrolment.json"))
        let enrolment = try JSONSerialization.jsonObject(with: data) as? [String: Any]
        let leaf = try #require(
            (enrolment?["certificates"] as? [String])?.first.flatMap { Data(base64Encoded: $0) })
        let file = folder.appending(path: "leaf.der")
        try leaf.write(to: file)
        let said = try stack.run(
            "/usr/bin/openssl", ["x509", "-inform", "der", "-noout", "-serial", "-in", file.path])
        return try #require(said.split(separator: "=").last).trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
