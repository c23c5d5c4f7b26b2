import Foundation
import Testing

extension EndToEnd {
    @Suite("How long what is open outlives each ending")
    struct EndingTimeTests {
        /// From the ending's arrival at the gateway to the last stream's end, as the gateway counts it: what half of
        /// the rounds keep to, and a bound for each of them. Other programs run on this machine as well, so there are
        /// up to six series of rounds, of which one as a whole has to keep the promise.
        static let microsecondsMax = 50_000
        static let microsecondsBound = 1_000_000
        static let rounds = 3
        static let seriesMax = 6

        /// The auth host's own people, at an application that is told their session's name at the provider and that a
        /// machine may use, and at one that asks for their device.
        static let application = FurtherFile(
            name: "archive.yaml",
            text: """
                version: 1
                applications:
                  archive:
                    host: archive.corp.test
                    upstreams: [ "http://127.0.0.1:\(Stack.echoPort)" ]
                    identity-providers: [ hr-staff ]
                    fields: { X-Provider-Session: sid }
                    policies:
                      - { name: robots, action: service, include: [ { service: [ archivist ] } ] }
                      - { name: staff, action: allow, include: [ { group: staff } ] }
                  bureau:
                    host: bureau.corp.test
                    upstreams: [ "http://127.0.0.1:\(Stack.echoPort)" ]
                    identity-providers: [ hr-staff ]
                    agent: agents
                    device-owner: any
                    policies:
                      - { name: known, action: allow, include: [ { group: staff } ], require: [ { device: compliant } ] }
                      # A device that no provider knows.
                      - { name: new, action: allow, include: [ { group: staff } ], require: [ { device: partial } ] }

                """, sign: ("https://archive.corp.test/", 401))

        enum Way: String, CaseIterable, CustomTestStringConvertible {
            case logoutToken, frontChannel, signOut, signOutEverywhere
            case bySession, byPerson, bySubject, byProvider, byApplication
            case byDevice, deviceRevoked, machineBySession, tokenRevoked
            var testDescription: String { rawValue }

            var isOfDevice: Bool { self == .byDevice || self == .deviceRevoked }
            var isOfMachine: Bool { self == .machineBySession || self == .tokenRevoked }
        }

        @Test("004.18 what is open is cut within 50 ms, and lets nobody in", arguments: Way.allCases)
        func cut(_ way: Way) throws {
            let stack = try Stack.current()
            try Self.application.with(stack) {
                defer { if way == .deviceRevoked { Self.restoreAgent(stack) } }
                defer {
                    if way.isOfMachine { _ = try? stack.gatepost("service-token", "revoke", "archivist") }
                }
                let bystander = try Client.signedIn(stack, application: "people", user: "bob")
                var halves: [Int] = []
                while halves.count < Self.seriesMax, halves.min() ?? .max > Self.microsecondsMax {
                    let series = try (0..<Self.rounds).map { _ in try Self.round(way, stack) }
                    print(
                        "measured: \(way): cut \(series.map { Double($0) / 1_000 }) ms after it (promise 50)")
                    #expect(series.allSatisfy { $0 <= Self.microsecondsBound }, "\(series)")
                    halves.append(series.sorted()[Self.rounds / 2])
                }
                #expect(halves.min() ?? .max <= Self.microsecondsMax, "\(halves)")
                if way != .byProvider {
                    #expect(try bystander.fetch("https://people.corp.test/").status == 200)
                }
            }
        }

        /// Somebody comes, opens two streams, and is ended.
        ///
        /// - Returns: microseconds from the ending to the last cut.
        private static func round(_ way: Way, _ stack: Stack) throws -> Int {
            let somebody = try Somebody(way, stack)
            let streams = try somebody.open(stack)
            let before = try cuts(stack).count
            try end(way, somebody, stack)
            let ended = Date()
            let outcomes = try streams.map { try $0.finish() }
            #expect(outcomes.allSatisfy { !$0.isOpen }, "\(outcomes)")
            try poll("the cut's record") {
                try (cuts(stack).dropFirst(before).reduce(0) { $0 + $1.streams } >= 2).whenTrue
            }
            let slowest = try cuts(stack).dropFirst(before).map(\.microseconds).max() ?? .max
            // A machine's session is made anew from its token.
            #expect(try somebody.status() == (way == .machineBySession ? 200 : 401))
            try Stack.waitUntilSecond(after: ended)
            return slowest
        }

        /// Who has something open: a person, a person at a device, or a machine.
        private struct Somebody {
            let client: Client
            let application: String
            /// The state folder of the agent that proved the device.
            var device = "agent"
            var token: String?

            init(_ way: Way, _ stack: Stack) throws {
                application = way.isOfDevice ? "bureau" : "archive"
                if way.isOfDevice {
                    if way == .deviceRevoked {
                        device = "ended-\(UUID().uuidString.prefix(8))"
                        try BriefStage.enrol(stack, device)
                        try BriefStage.startAgent(stack, device)
                    }
                    let check = try ScriptedCheck(stack, application: application, user: "alice")
                    let answer = try check.send(try check.assertion(for: try check.challenge()))
                    try #require(answer.status == 200, "\(answer)")
                    client = check.client
                    _ = try client.follow(try client.get("https://\(application).corp.test/"))
                } else if way.isOfMachine {
                    client = Client(stack)
                    // Of the round before.
                    _ = try? stack.gatepost("service-token", "revoke", "archivist")
                    let said = try stack.gatepost("service-token", "create", "archivist", "--days", "1")
                    let line = said.split(separator: "\n").first { $0.hasPrefix("gps_") }
                    token = String(try #require(line))
                } else {
                    client = try Client.signedIn(stack, application: application)
                }
                try #require(try status() == 200)
            }

            func status() throws -> Int {
                let proof = token.map { ["-H", "Gatepost-Service-Token: \($0)"] } ?? []
                return try client.fetch("https://\(application).corp.test/", proof).status
            }

            /// An event stream and a WebSocket, when both have reached the application.
            func open(_ stack: Stack) throws -> [Held] {
                let before = try EndingTimeTests.forwarded(stack)
                let streams = try ["events", "websocket"].map { kind in
                    if let token {
                        try Held(
                            kind, application, field: "Gatepost-Service-Token: \(token)", stack, seconds: 25)
                    } else {
                        try Held(kind, application, client, stack, seconds: 25)
                    }
                }
                try poll("two open streams") { try (EndingTimeTests.forwarded(stack) >= before + 2).whenTrue }
                return streams
            }
        }

        /// The agent of the other tests.
        private static func restoreAgent(_ stack: Stack) {
            try? stack.child("agent").stop()
            try? stack.startAgent()
        }

        /// Requests that went to an application until now.
        private static func forwarded(_ stack: Stack) throws -> Int {
            let text = try stack.gatepost("status", "--json")
            let all = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
            let counters = (all?["data_plane"] as? [String: Any])?["counters"] as? [String: Any] ?? [:]
            return ["upstream_connects", "upstream_reuses"].reduce(0) { $0 + (counters[$1] as? Int ?? 0) }
        }

        private static func end(_ way: Way, _ somebody: Somebody, _ stack: Stack) throws {
            let client = somebody.client
            switch way {
            case .logoutToken:
                let answer = try stack.logout(#"{"client":"gatepost-hr","sub":"lab-0001"}"#)
                try #require(answer.contains("\"status\":200"), "\(answer)")
            case .frontChannel:
                let answer = try client.get(frame(try providerSession(client)))
                try #require(answer.status == 200)
            case .signOut, .signOutEverywhere:
                let host = "https://archive.corp.test"
                let query = way == .signOut ? "" : "?everywhere=yes"
                let answer = try client.post("\(host)/.gatepost/sign-out\(query)", form: [], origin: host)
                try #require(answer.status == 303 || answer.status == 200, "\(answer)")
            case .bySession: try end(stack, "--session=\(try signIn(stack))")
            case .byPerson: try end(stack, "--person", "alice@corp.example")
            case .bySubject: try end(stack, "--provider", "hr-staff", "--subject", "lab-0001")
            case .byProvider: try end(stack, "--provider", "hr-staff")
            case .byApplication: try end(stack, "--application", "archive")
            case .byDevice: try end(stack, "--device", try stack.deviceID(state: somebody.device))
            case .deviceRevoked:
                _ = try stack.gatepost("device", "revoke", try stack.deviceID(state: somebody.device))
            case .machineBySession: try end(stack, "--session=\(try record(stack))")
            case .tokenRevoked: _ = try stack.gatepost("service-token", "revoke", "archivist")
            }
        }

        private static func end(_ stack: Stack, _ selector: String...) throws {
            _ = try stack.gatepost(["session", "end"] + selector)
        }

        /// Alice's newest session at the application.
        private static func signIn(_ stack: Stack) throws -> String {
            let text = try stack.gatepost("session", "list", "--user", "alice@corp.example", "--json")
            let all = try JSONSerialization.jsonObject(with: Data(text.utf8))
            let rows =
                all as? [[String: Any]] ?? (all as? [String: Any])?["sessions"] as? [[String: Any]] ?? []
            let own = rows.filter { $0["application"] as? String == "archive" }
            let newest = own.max { ($0["expires_at"] as? Int ?? 0) < ($1["expires_at"] as? Int ?? 0) }
            return try #require(newest?["id"] as? String, "\(text)")
        }

        /// The only record of the machine, as an administrator finds it.
        private static func record(_ stack: Stack) throws -> String {
            let text = try stack.gatepost("service-token", "list", "--json")
            let all = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
            let rows = all?["machines"] as? [[String: Any]] ?? []
            let own = rows.filter { $0["application"] as? String == "archive" }
            return try #require(own.last?["record"] as? String, "\(text)")
        }

        /// What the provider calls the session of this browser.
        private static func providerSession(_ client: Client) throws -> String {
            let answer = try client.fetch("https://archive.corp.test/api")
            let object = try JSONSerialization.jsonObject(with: Data(answer.body.utf8)) as? [String: Any]
            let rows = object?["fields"] as? [[String: String]] ?? []
            let row = rows.first { $0["name"]?.lowercased() == "x-provider-session" }
            return try #require(row?["value"], "\(answer.body)")
        }

        private static func frame(_ sid: String) -> String {
            "https://auth.corp.test/.gatepost/frontchannel-logout/hr-staff"
                + "?iss=http%3A%2F%2F127.0.0.1%3A\(Stack.openidPort)&sid=\(sid)"
        }

        private static func cuts(_ stack: Stack) throws -> [(streams: Int, microseconds: Int)] {
            try stack.child("gateway").output.split(separator: "\n").compactMap { line in
                guard line.contains("streams-cut"),
                    let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any],
                    let streams = object["streams"] as? Int, let time = object["microseconds"] as? Int
                else { return nil }
                return (streams, time)
            }
        }

        @Test("a frame signs a browser out where its page is of our site, and from another site nobody")
        func frames() throws {
            let stack = try Stack.current()
            try Self.application.with(stack) {
                let browser = try Chromium(stack)
                try browser.open("https://archive.corp.test/")
                try browser.signInAtLab("alice")
                try browser.waitForApplication("archive")
                let sid = try #require(try browser.receivedFields()["x-provider-session"])
                let insert = """
                    const frame = document.createElement('iframe');
                    frame.onload = () => { window.framed = 1; };
                    frame.src = arguments[0];
                    document.body.append(frame);
                    """
                // The provider of this stack is another site than the auth host: browsers keep the cookie back.
                try browser.open("http://127.0.0.1:\(Stack.openidPort)/.well-known/openid-configuration")
                _ = try browser.script(insert, [Self.frame(sid)])
                try browser.wait(for: "the frame") { try browser.number("window.framed") == 1 }
                try browser.open("https://archive.corp.test/still")
                try browser.waitForApplication("archive")
                #expect(try browser.url == "https://archive.corp.test/still")
                _ = try browser.script(insert, [Self.frame(sid)])
                try browser.wait(for: "the frame") { try browser.number("window.framed") == 1 }
                let status = try browser.script("return fetch('/api').then(r => r.status)")
                #expect(status as? Int == 401)
            }
        }
    }
}
