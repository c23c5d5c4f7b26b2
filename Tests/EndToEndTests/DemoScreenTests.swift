import Foundation
import Testing

extension Demo {
    /// A command of the screenful as somebody copies it.
    ///
    /// - Parameter mark: stands before it in its first line.
    func printed(after mark: String) throws -> String {
        var lines = child.output.split(separator: "\n").drop { !$0.contains(mark) }
        guard let first = lines.popFirst(), let at = first.range(of: mark) else {
            throw Failure(description: "nothing is printed after \(mark): \(child.output)")
        }
        var command = first[at.upperBound...].trimmingCharacters(in: .whitespaces)
        while command.hasSuffix("\\"), let next = lines.popFirst() {
            command = command.dropLast() + next.trimmingCharacters(in: .whitespaces)
        }
        // What stands behind it in parentheses is for the reader.
        return command.components(separatedBy: "    (")[0]
    }

    /// Runs it where the screenful is printed.
    func run(_ command: String, home: String? = nil) throws -> (status: Int32, text: String) {
        try Child.output(
            of: "/bin/bash", ["-c", "cd '\(Programs.root.path)' && \(command)"],
            environment: ["HOME": home ?? folder.path], in: network)
    }
}

extension EndToEnd {
    @Suite("What make run prints is true")
    struct DemoScreenTests {
        private static let wiki = "https://wiki.localhost:8443/"

        @Test(
            "the printed commands work as they stand, and a browser goes the whole printed way",
            .timeLimit(.minutes(5)))
        func wholeWay() throws {
            let stack = try Stack.current()
            let demo = try Demo()
            defer { demo.stop() }
            try Self.trust(demo, stack)
            let browser = try Chromium(stack, permission: nil)
            try browser.open(Self.wiki)
            try Self.signIn(browser)
            try Self.waitForWiki(browser)
            try Self.explain(demo, "forward")

            let broken = try demo.run(try demo.printed(after: "Break   "))
            #expect(broken.status == 0, "\(broken.text)")
            try browser.wait(for: "the wiki to be closed") {
                try browser.open(Self.wiki)
                return try browser.title == "Access to wiki is blocked"
            }
            #expect(try browser.text.contains("Intune reports that this device breaks a compliance rule"))
            try Self.explain(demo, "refuse")

            let mended = try demo.run(try Self.line(demo, endingWith: "--set compliant"))
            #expect(mended.status == 0, "\(mended.text)")
            // By itself: nobody opens or reloads anything.
            try Self.waitForWiki(browser)
            try browser.open("https://handbook.localhost:8443/")
            try browser.wait(for: "the handbook") {
                try browser.text.contains("This page comes from the protected application")
            }
        }

        /// curl as it is printed, and Chromium's authorities: in a home that has none yet, and in the browser's.
        private static func trust(_ demo: Demo, _ stack: Stack) throws {
            let curl = try demo.run(try demo.printed(after: "Trust   curl "))
            #expect(curl.status == 0 && curl.text.contains("sign-in-required"), "\(curl)")
            let certutil = try demo.printed(after: "Chromium  ")
            let newHome = demo.folder.appending(path: "new-home").path
            try FileManager.default.createDirectory(atPath: newHome, withIntermediateDirectories: true)
            for home in [newHome, stack.path("home")] {
                let (status, text) = try demo.run("{ \(certutil); } </dev/null", home: home)
                #expect(status == 0, "\(certutil): \(text)")
            }
            let listed = try demo.run("certutil -L -d sql:$HOME/.pki/nssdb", home: newHome)
            #expect(listed.text.contains("gatepost-dev"), "\(listed.text)")
        }

        /// The printed person and password.
        private static func signIn(_ browser: Chromium) throws {
            try browser.wait(for: "the sign-in") { try browser.url.hasPrefix(Demo.provider + "/") }
            try browser.type("alice", into: "#user")
            try browser.type("alice-demo", into: "#password")
            try browser.click("button[type=submit]")
        }

        private static func waitForWiki(_ browser: Chromium) throws {
            try browser.wait(for: "the wiki") {
                try browser.url.hasPrefix(wiki)
                    && browser.text.contains("This page comes from the protected application")
            }
        }

        private static func explain(_ demo: Demo, _ outcome: String) throws {
            let command = try demo.printed(after: "Look    ")
            let said = try demo.run(command)
            #expect(said.status == 0, "\(said.text)")
            #expect(said.text.contains("alice@corp.example at wiki: \(outcome) ("), "\(said.text)")
        }

        private static func line(_ demo: Demo, endingWith end: String) throws -> String {
            let line = demo.child.output.split(separator: "\n").first { $0.hasSuffix(end) }
            return try #require(line).trimmingCharacters(in: .whitespaces)
        }
    }
}
