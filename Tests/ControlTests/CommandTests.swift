import Access
import Border
import Config
import Foundation
import Identity
import JSON
import Posture
import Signatures
import Store
import Testing

@testable import Control

@Suite("The command line's questions to the running gateway")
struct CommandTests {
    @Test(
        "a question that makes no sense is answered with what to do",
        arguments: [
            ([:], "unknown command"), (["command": "x"], "unknown command x"),
            (["command": "explain"], "explain needs"),
            (["command": "explain", "user": "a@b", "application": "nope"], "there are: wiki, vault"),
            (
                ["command": "explain", "user": "a@b", "application": "wiki", "device": "d"],
                "no enrolled device d"
            ),
            (
                ["command": "explain", "user": "a@b", "application": "wiki"],
                "nobody with the address a@b is signed in"
            ),
            (["command": "explain", "application": "wiki", "path": "/"], "needs a path and the client"),
            (
                ["command": "explain", "application": "wiki", "path": "/", "client": "10.1"],
                "10.1 is not a numeric address"
            ),
            (
                ["command": "explain", "application": "wiki", "path": "/a/../b", "client": "10.0.0.1"],
                "not a path as the access log has it"
            ),
            (["command": "session-revoke"], "name a session"),
            (["command": "session-revoke", "session": "s"], "no session s"),
            (["command": "enroll-token"], "needs email"),
            (["command": "enroll-token", "email": "a@b"], "has not signed in yet"),
            (
                ["command": "enroll-token", "email": "a@b", "identity_provider": "nope", "subject": "s"],
                "no identity provider"
            ),
            (["command": "device-revoke"], "name a device"),
            (["command": "device-revoke", "device": "d"], "no enrolled device d"),
        ] as [(JSONValue, String)])
    func refused(_ command: JSONValue, _ what: String) async throws {
        let house = try Gatehouse()
        let answer = await house.control.execute(command)
        #expect(answer["error"]?.string?.contains(what) == true, "\(answer.serializedText())")
    }

    @Test func `sessions are listed and ended`() async throws {
        let house = try Gatehouse()
        let (_, session, cookie) = try await house.signIn()
        let (_, other, _) = try await house.signIn("bob@corp.example")
        let list = await house.control.execute(["command": "session-list"])
        #expect(list["sessions"]?.array?.count == 4)
        #expect(list["text"]?.string?.contains("ada@corp.example") == true)
        let answer = await house.control.execute(["command": "session-revoke", "user": "ADA@corp.example"])
        #expect(answer["text"] == "2 sessions ended")
        #expect(house.reactors.revocations.map(\.effect) == [.endSession(session.id)])
        #expect(await house.pulled(cookie.tokenDigest) == nil)
        #expect(try await house.store.session(id: other.id) != nil)
        #expect(try await house.store.audit(limit: 10).first?.kind == "sessions-revoked")
    }

    @Test func `an address that two providers vouch for owns nothing until somebody says which`() async throws
    {
        let house = try Gatehouse()
        _ = try await house.signIn()
        let command: JSONValue = ["command": "enroll-token", "email": "ada@corp.example"]
        #expect(await house.control.execute(command)["token"]?.string != nil)
        _ = try await house.signIn(issuer: "https://lax.example")
        let answer = await house.control.execute(command)
        #expect(answer["error"]?.string?.contains("is known as 2 identities") == true)
        let named: JSONValue = [
            "command": "enroll-token", "email": "ada@corp.example", "identity_provider": "corp",
        ]
        let token = try #require(await house.control.execute(named)["token"]?.string)
        let redeemed = try await house.store.redeem(
            enrollmentTokenDigest: Digest.sha256(Array(token.utf8)), nowSeconds: house.now)
        #expect(redeemed == nil || redeemed?.issuer == "https://login.corp.example")
    }

    @Test func `ending somebody's sessions leaves none, however many there are`() async throws {
        let house = try Gatehouse()
        let (global, _, _) = try await house.signIn()
        for number in 0..<30 {
            var session = global
            session.id = "extra-\(number)"
            session.tokenDigest = [UInt8](repeating: UInt8(number + 1), count: 32)
            session.createdAtSeconds = house.now + Int64(number)
            try await house.store.insert(session)
        }
        let removed = try await house.control.endAll(.email("ada@corp.example"))
        #expect(removed.count == 32)
        #expect(try await house.store.sessions(.all, limit: 10).isEmpty)
    }

    @Test func `001.26 what providers say about a device is shown with both of its ages`() throws {
        let verdict = Verdict(
            id: "v", integration: "falcon", provider: "crowdstrike", nativeID: "n", state: .compliant,
            score: Verdict.Score(value: 83, minimum: 1, maximum: 100, higherIsBetter: true),
            labels: ["tag:vip"],
            observedAtSeconds: 1_000, fetchedAtSeconds: 1_600, expiresAtSeconds: 5_200, matchKey: "serial",
            matchStrength: .strong, rawState: "normal")
        let device = DeviceFacts(id: "d", platform: .windows, verdicts: [verdict])
        let fresh = VerdictsText(device: device, nowSeconds: 1_720).text.split(separator: "\n").last
        let cells = fresh?.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
        #expect(
            cells
                == "falcon crowdstrike compliant (normal) 83 of 100 tag:vip 12 min ago 2 min ago 58 min serial, strong"
        )
        #expect(VerdictsText(device: device, nowSeconds: 5_200).text.contains(" stale "))
        let silent = DeviceFacts(id: "d", platform: .windows, verdicts: [])
        #expect(VerdictsText(device: silent, nowSeconds: 0).text == "no provider says anything about d yet")
    }

    @Test func `a device or an integration that does not exist is said so`() async throws {
        let house = try Gatehouse()
        let verdicts = await house.control.execute(["command": "verdicts", "device": "none"])
        #expect(verdicts["error"]?.string?.contains("no enrolled device none") == true)
        let reconnect = await house.control.execute(["command": "reconnect", "integration": "none"])
        #expect(reconnect["error"]?.string == "no provider integration none; there are: agents")
    }

    @Test func `a cell cannot command the terminal`() {
        let text = Table(header: ["a"], rows: [["x\u{1b}[2J\u{9b}y"]]).text
        #expect(text == "a\nx\u{fffd}[2J\u{fffd}y")
        // What turns the direction of reading shows columns in another order than they have.
        for scalar in "\u{202a}\u{202e}\u{2066}\u{2069}\u{200f}\u{61c}\u{2028}".unicodeScalars {
            #expect(Table(header: ["a"], rows: [["x\(scalar)y"]]).text == "a\nx\u{fffd}y")
        }
    }

    @Test func `an answer cannot command the terminal outside of its tables either`() async throws {
        let house = try Gatehouse()
        let answer = await house.control.execute([
            "command": "explain", "application": "wiki", "path": "/", "client": "10.0.0.1",
            "method": "GET\u{1b}[2J\nX",
        ])
        #expect(answer["text"]?.string?.contains("GET\u{fffd}[2J\nX / from 10.0.0.1") == true)
        let refusal = await house.control.execute(["command": "explain", "application": "\u{9b}2J"])
        #expect(refusal["error"]?.string?.hasPrefix("no application \u{fffd}2J") == true)
    }

    @Test("keys are rotated by purpose, and reactors get the ones that are theirs")
    func keys() async throws {
        let house = try Gatehouse()
        let (_, _, cookie) = try await house.signIn()
        let before = house.control.snapshot
        for purpose in KeyRing.Purpose.allCases {
            let answer = await house.control.execute(
                ["command": "keys-rotate", "purpose": .string(purpose.rawValue)])
            #expect(answer["error"] == nil, "\(answer.serializedText())")
        }
        let after = house.control.snapshot
        #expect(after.ticketKeys.first != before.ticketKeys.first)
        #expect(after.cookieKeys.first != before.cookieKeys.first)
        #expect(after.cookieKeys.contains(before.cookieKeys[0]))
        #expect(house.reactors.snapshots.count == 2)
        #expect(await house.pulled(cookie.tokenDigest) != nil)
        let unknown = await house.control.execute(["command": "keys-rotate", "purpose": "x"])
        #expect(unknown["error"]?.string?.hasPrefix("name a purpose: assertion") == true)
    }

    @Test func `a lost device is ended with everything it has open`() async throws {
        let house = try Gatehouse()
        try await house.enroll("laptop")
        let (_, session, _) = try await house.signIn(at: "vault", device: "laptop")
        let list = await house.control.execute(["command": "device-list"])
        #expect(list["devices"]?.array?.first?["revoked"] == .bool(false))
        let answer = await house.control.execute(["command": "device-revoke", "device": "laptop"])
        #expect(answer["text"] == "device laptop revoked; 2 of its sessions ended")
        #expect(house.reactors.revocations.map(\.effect).contains(.endSession(session.id)))
        let after = await house.control.execute(["command": "device-list"])
        #expect(after["devices"]?.array?.first?["revoked"] == .bool(true))
    }

    @Test func `status names the integrations and what the reactors measured`() async throws {
        let house = try Gatehouse()
        let answer = await house.control.execute(["command": "status"])
        #expect(
            answer["text"]?.string == """
                running; policy \(house.control.services.config.policy.identity.prefix(12)), configuration 1

                integration  provider        state       devices  last success  last failure
                agents       endpoint-agent  configured  0        -             -

                application  endpoint     state    why
                wiki         127.0.0.1:9  healthy  -
                vault        127.0.0.1:9  healthy  -

                counter   since the start
                requests  12

                stage    count  p50 ≤  p99 ≤   p99.9 ≤
                request  12     90 µs  400 µs  -
                """)
        #expect(answer["data_plane"]?["reactors"] == .integer(2))
    }

    @Test func `a question is explained for somebody who is not signed in, too`() async throws {
        let house = try Gatehouse()
        let answer = await house.control.execute(["command": "explain", "application": "wiki"])
        #expect(answer["outcome"] == "sign-in")
        #expect(answer["reason"] == "sign-in-required")
    }

    @Test func `a signed-in person without a device learns what is missing`() async throws {
        let house = try Gatehouse()
        _ = try await house.signIn(at: "vault")
        let answer = await house.control.execute(
            ["command": "explain", "user": "ada@corp.example", "application": "vault"])
        #expect(answer["outcome"] == "refuse")
        #expect(answer["reason"] == "device-required")
        #expect(answer["text"]?.string?.contains("To change it:") == true)
    }

    @Test("columns stand under their headings, and a long cell widens its column")
    func table() {
        let text = Table(header: ["a", "b"], rows: [["long", "x"], ["y", "z"]]).text
        #expect(text == "a     b\nlong  x\ny     z")
    }

    @Test(
        "ages are told in the unit people think in",
        arguments: [
            (0, "0 s"), (119, "119 s"), (120, "2 min"), (7_199, "119 min"), (7_200, "2 h"), (172_799, "47 h"),
            (172_800, "2 d"),
        ] as [(Int64, String)])
    func ages(_ seconds: Int64, _ text: String) { #expect("\(Age(seconds: seconds))" == text) }
}

@Suite("The administration socket")
struct CommandSocketTests {
    @Test func `one line in, one line out`() async throws {
        let house = try Gatehouse()
        try FileManager.default.createDirectory(
            at: house.folder.appending(path: "state"), withIntermediateDirectories: true)
        try house.control.serveCommands()
        defer { house.control.stop() }
        let path = house.control.services.config.gateway.adminSocket
        // It waits on a thread of its own: one of the pool's might be the one that the answer needs.
        let answer = await withCheckedContinuation { waiter in
            Thread.detachNewThread {
                // Beside other suites the answer may take longer than anybody would wait for it.
                var answer: JSONValue?
                for _ in 0..<20 where answer == nil {
                    answer = CommandClient.ask(["command": "status"], socket: path)
                }
                waiter.resume(returning: answer)
            }
        }
        #expect(answer?["revision"] == .integer(1))
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
    }

    @Test func `a second gateway does not take the socket of a living one`() async throws {
        let house = try Gatehouse()
        try house.control.serveCommands()
        defer { house.control.stop() }
        #expect(throws: ControlFailure.self) { try house.control.serveCommands() }
    }

    @Test func `nobody at the socket is no answer`() {
        #expect(CommandClient.ask(["command": "status"], socket: "/nonexistent/gatepost.sock") == nil)
    }

    @Test func `a path too long for a socket is refused with what to do`() {
        #expect {
            _ = try CommandSocket(path: "/" + String(repeating: "a", count: 200)) { _, _ in .null }
        } throws: { error in
            (error as? CommandSocket.Failure)?.what.contains("choose a shorter path") == true
        }
    }
}
