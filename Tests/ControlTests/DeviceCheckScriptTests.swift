import Access
import ChildPrograms
import Foundation
import JSON
import Testing

@testable import Control

@Suite("The script of the device-check page, in a browser in miniature (browsers.md 2, 4, 6)")
struct DeviceCheckScriptTests {
    /// Plays the rows in node. A row stands alone: their order is another one with each seed.
    private static func play(_ rows: [ScriptRow], seed: UInt64) throws -> [String: JSONValue] {
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "device-check-\(UUID().uuidString)", directoryHint: .isDirectory)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let script = folder.appending(path: "script.js"), file = folder.appending(path: "rows.json")
        try Data(Scripts.deviceCheck.utf8).write(to: script)
        var random = Seeded(state: seed)
        let mixed = rows.shuffled(using: &random).map { row -> JSONValue in
            guard var object = row.json.object else { return .null }
            object["states"] = DeviceStates.json
            object["agentWords"] = DeviceStates.agentJSON
            return .object(object)
        }
        try Data(JSONValue.array(mixed).serialized()).write(to: file)
        let play = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Browser/play.js")
        let node = try ChildProgram(
            "/usr/bin/node", [play.path, script.path, file.path], output: .kept, errors: .shown
        ).outcome()
        #expect(node.status == 0)
        var outcomes: [String: JSONValue] = [:]
        for line in node.output.split(separator: 0x0a) {
            let outcome = try JSONValue(parsing: Array(line))
            outcomes[outcome["name"]?.string ?? ""] = outcome
        }
        return outcomes
    }

    private struct Seeded: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ state >> 29
        }
    }

    private static func texts(_ value: JSONValue?) -> [String] { (value?.array ?? []).compactMap(\.string) }

    @Test("004.5 every row of engines and agents ends in its own state, and none in a wait without end")
    func rows() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        let outcomes = try Self.play(ScriptRow.all, seed: seed)
        #expect(outcomes.count == ScriptRow.all.count, "names are unique; seed \(seed)")
        for row in ScriptRow.all {
            let note = "\(row.name): \(outcomes[row.name]?.serializedText() ?? "nothing"); seed \(seed)"
            guard let outcome = outcomes[row.name], outcome["error"] == nil else {
                Issue.record("\(note)")
                continue
            }
            #expect(outcome["state"]?.string == row.state, "\(note)")
            #expect(Self.texts(outcome["ways"]) == row.ways, "\(note)")
            #expect(Self.texts(outcome["told"]) == row.told, "\(note)")
            #expect(Self.texts(outcome["opened"]) == row.opened, "\(note)")
            let went = Self.texts(outcome["went"]).map { String($0.prefix { $0 != "?" }) }
            #expect(went == row.went, "\(note)")
            // Either the application is open, or the page says what is the matter and turns nothing any more.
            let isOver = Self.texts(outcome["replaced"]).count == 1
            #expect(isOver == row.state.isEmpty, "\(note)")
            #expect(isOver || outcome["isSpinning"] == false, "\(note)")
            #expect(isOver || outcome["focus"] == "title", "\(note)")
            #expect(isOver || outcome["word"]?.string == row.state, "\(note)")
            #expect((outcome["challenges"]?.integer ?? 0) <= 14, "\(note)")
        }
    }

    @Test("an agent is looked for again four times at most, and never where the browser would ask about it")
    func looksAgain() throws {
        var row = ScriptRow(
            name: "a", engine: .chromium, browser: ["permission": "granted"], agents: ["closed"], state: "")
        let gone = try #require(try Self.play([row], seed: 1)["a"])
        #expect(gone["state"] == "agent-not-running" && gone["isSpinning"] == false)
        #expect(gone["challenges"] == 5, "one for the check and one for each look")
        row.agents = ["starting"]
        row.browser = [:]
        let asking = try #require(try Self.play([row], seed: 1)["a"])
        #expect(asking["state"] == "agent-not-running" && asking["challenges"] == 1)
        #expect(asking["isAsking"] == false)
        // Whoever does something meanwhile is not disturbed by a look.
        row.browser = ["permission": "denied", "clicks": ["visit"]]
        row.agents = ["closed"]
        let busy = try #require(try Self.play([row], seed: 1)["a"])
        #expect(Self.texts(busy["went"]).count == 1 && Self.texts(busy["replaced"]).isEmpty)
    }

    @Test("while the browser asks, the page shows its question, from 400 ms on") func question() throws {
        var row = ScriptRow(name: "asks", engine: .firefox, state: "")
        row.browser = ["seconds": 1]
        let late = try #require(try Self.play([row], seed: 1)["asks"])
        #expect(late["isAsking"] == true && late["isSpinning"] == true)
        #expect(late["state"] == "permission-prompt-pending")
        row.browser = ["seconds": 0.4]
        let early = try #require(try Self.play([row], seed: 1)["asks"])
        #expect(early["isAsking"] == false, "the gateway's answer takes 30 ms of these 400")
    }

    @Test("WebKit repeats a proof ahead of its end by going there by itself, and tells nobody of anything")
    func ahead() throws {
        let back = "https://wiki.corp.example/x", visit = "http://127.0.0.1:17472/v1/nav?c=challenge-2"
        var row = ScriptRow(name: "a", engine: .webkit, state: "")
        row.browser = ["back": .string(back), "seconds": 2]
        let there = try #require(try Self.play([row], seed: 1)["a"])
        #expect(Self.texts(there["replaced"]) == [visit], "the detour is no step of the history")
        #expect(Self.texts(there["went"]).isEmpty && there["unasked"] == 1)
        #expect(there["state"] == "" && Self.texts(there["told"]).isEmpty)
        row.browser = ["back": .string(back)]
        let stuck = try #require(try Self.play([row], seed: 1)["a"])
        #expect(Self.texts(stuck["replaced"]) == [visit, back], "an agent that takes long keeps nobody")
        row.agents = ["closed"]
        let gone = try #require(try Self.play([row], seed: 1)["a"])
        #expect(Self.texts(gone["replaced"]) == [back] && gone["unasked"] == 0)
        // Back with a refusal: of this check ahead of time, and of another one.
        for (check, isBack) in [("tx-1", true), ("tx-0", false)] {
            row.agents = ["good"]
            row.browser = ["failed": "clock-skew", "storage": ["gatepost-ahead": .string(check)]]
            let refused = try #require(try Self.play([row], seed: 1)["a"])
            #expect(Self.texts(refused["replaced"]) == (isBack ? [back] : []))
            #expect(refused["state"]?.string == (isBack ? "" : "clock-skew"))
        }
    }

    @Test("only a visit without a click is called one")
    func clicked() throws {
        var row = ScriptRow(name: "a", engine: .chromium, state: "")
        row.browser = ["permission": "denied", "clicks": ["visit"]]
        let clicked = try #require(try Self.play([row], seed: 1)["a"])
        #expect(clicked["unasked"] == 0 && Self.texts(clicked["went"]).count == 1)
        row = ScriptRow(name: "a", engine: .webkit, state: "")
        let unasked = try #require(try Self.play([row], seed: 1)["a"])
        #expect(unasked["unasked"] == 1 && Self.texts(unasked["went"]).count == 1)
    }

    @Test("the fragment of the wanted page goes along on every way") func fragment() throws {
        let silent = ScriptRow(
            name: "a", engine: .chromium, browser: ["permission": "granted", "hash": "#part"], state: "")
        let visit = ScriptRow(
            name: "b", engine: .chromium,
            browser: ["permission": "denied", "hash": "#part", "clicks": ["visit"]], state: "")
        let outcomes = try Self.play([silent, visit], seed: 1)
        #expect(Self.texts(outcomes["a"]?["replaced"]) == ["https://wiki.corp.example/x#part"])
        #expect(Self.texts(outcomes["b"]?["went"]).allSatisfy { $0.hasSuffix("#part") })
    }

    @Test("numbers that help are said: minutes of the clock, days of the management") func numbers() throws {
        let clock = ScriptRow(
            name: "a", engine: .chromium, browser: ["permission": "granted"], agents: ["slow-clock"],
            state: "")
        let seen = ScriptRow(
            name: "b", engine: .chromium,
            browser: ["permission": "granted", "refusals": ["last-seen-stale"]], state: "")
        let outcomes = try Self.play([clock, seen], seed: 1)
        #expect(outcomes["a"]?["said"] == "The clock of this device is about 6 minutes behind.")
        #expect(outcomes["b"]?["said"] == "The device was last seen by its management 9 days ago.")
    }

    @Test("004.5 each state of the handshake has a title of its own, words and a remedy")
    func states() {
        let titles = DeviceStates.titles.values
        #expect(Set(titles).count == titles.count)
        for (reason, title) in DeviceStates.titles {
            let text = ReasonTexts.text(of: reason)
            #expect(!title.isEmpty && !text.happened.isEmpty && !text.remedy.isEmpty, "\(reason)")
            #expect(text.happened != title + ".", "\(reason) says one thing twice")
        }
        let happened = DeviceStates.titles.keys.map { ReasonTexts.text(of: $0).happened }
        #expect(Set(happened).count == happened.count, "no state has another's words")
        // handshake.md 4.5, in this product's spelling.
        let words: [Reason] = [
            .agentNotRunning, .permissionPromptPending, .permissionDenied, .browserUnsupported, .notOurAgent,
            .originMismatch, .gatewayNotTrusted, .challengeExpired, .clockSkew, .rateLimited, .wrongUser,
            .signatureInvalid, .nonceUnknown, .nonceUsed, .nonceExpired, .sessionMismatch, .audienceMismatch,
            .certificateUntrusted, .certificateExpired, .certificateRevoked, .deviceUnknown,
            .deviceNotManaged,
            .lastSeenStale, .deviceOwnerMismatch, .statementExpired, .challengeNotUnderstood, .answerTooLarge,
            .clickRequired, .agentNotConfigured,
        ]
        for word in words { #expect(DeviceStates.titles[word] != nil, "\(word)") }
        // These are about a request, or about an application's rule.
        for word in [Reason.requestMalformed, .requestTooLarge, .originNotAllowed, .deviceRequired] {
            #expect(DeviceStates.titles[word] == nil, "\(word)")
        }
        #expect(DeviceStates.pageWords.allSatisfy { DeviceStates.titles[$0] != nil })
    }

    @Test("the script stands in the page as it is: nothing in it could end it") func embedding() {
        #expect(!Scripts.deviceCheck.contains("</") && !Scripts.deviceCheck.contains("<!--"))
        #expect(!Scripts.deviceCheck.contains("innerHTML") && !Scripts.deviceCheck.contains("eval"))
    }
}
