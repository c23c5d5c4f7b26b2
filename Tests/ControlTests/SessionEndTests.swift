import Access
import Border
import Config
import Fetch
import Identity
import JSON
import Signatures
import Store
import Testing

@testable import Control

@Suite("gatepost session end")
struct SessionEndTests {
    private func ask(_ house: EndingHouse, _ members: JSONObject) async -> JSONValue {
        var members = members
        members["command"] = "session-end"
        return await house.house.control.execute(.object(members), uid: 1_000)
    }

    @Test(
        "a dry run tells what the real one then does, and changes nothing",
        arguments: [
            (["person": "ada@corp.example"], 1, 1, 1), (["device": "device-of-ada"], 1, 1, 1),
            (["provider": "corp"], 1, 1, 1), (["provider": "corp", "subject": "ada"], 1, 1, 1),
            (["application": "wiki"], 0, 2, 2), (["application": "vault"], 0, 0, 0),
            (["person": "nobody@corp.example"], 0, 0, 0), (["provider": "corp", "subject": "x"], 0, 0, 0),
        ] as [(JSONObject, Int64, Int64, Int64)])
    func dryRun(_ named: JSONObject, _ signIns: Int64, _ sessions: Int64, _ people: Int64) async throws {
        let house = try await EndingHouse()
        var dry = named
        dry["dry_run"] = true
        let planned = await ask(house, dry)
        #expect(planned["sign_ins"]?.integer == signIns, "\(planned.serializedText())")
        #expect(planned["sessions"]?.integer == sessions)
        #expect(planned["people"]?.integer == people)
        #expect(planned["text"]?.string?.contains("would end") == true)
        #expect(house.house.reactors.revocations.isEmpty)
        #expect(try await house.house.store.audit(limit: 9).allSatisfy { $0.kind != "sessions-ended" })
        let done = await ask(house, named)
        #expect(done["sign_ins"] == planned["sign_ins"])
        #expect(done["sessions"] == planned["sessions"])
        #expect(done["people"] == planned["people"])
        #expect(done["dry_run"] == false)
        let after = await ask(house, dry)
        #expect(after["sessions"] == 0)
        let record = try #require(try await house.house.store.audit(limit: 1).first)
        #expect(record.kind == "sessions-ended")
        #expect(record.json.contains("\"uid\":1000"))
        #expect(!record.json.contains("ada@corp"))
    }

    @Test(
        "what names nothing, or two things, is an error and ends nothing",
        arguments: [
            ([:], "name one of"), (["person": "a@b", "device": "d"], "name one of"),
            (["session": "s"], "no session s"), (["provider": "nope"], "no identity provider nope"),
            (["provider": "nope", "subject": "x"], "no identity provider nope"),
            (["subject": "ada"], "name one of"), (["device": "d", "subject": "ada"], "name one of"),
            (["application": "nope"], "no application nope; there are: wiki, vault"),
        ] as [(JSONObject, String)])
    func refused(_ named: JSONObject, _ words: String) async throws {
        let house = try await EndingHouse()
        let answer = await ask(house, named)
        #expect(answer["error"]?.string?.contains(words) == true, "\(answer.serializedText())")
        #expect(house.house.reactors.revocations.isEmpty)
    }

    @Test("a person's sessions under an address that has changed are counted and ended with the others")
    func changedAddress() async throws {
        let house = try await EndingHouse()
        let sessions = Sessions(store: house.house.store, ring: house.house.control.ring)
        _ = try await sessions.createGlobal(
            person: PersonFacts(
                issuer: "https://login.corp.example", subject: "ada", email: "ada.old@corp.example"),
            provider: "corp", host: "auth.corp.example", idToken: nil, nowSeconds: house.house.now,
            lifetimeSeconds: 60)
        let planned = await ask(house, ["person": "ada@corp.example", "dry_run": true])
        #expect(planned["sign_ins"] == 2)
        #expect(planned["people"] == 1)
        #expect(await ask(house, ["person": "ada@corp.example"])["sign_ins"] == 2)
    }

    @Test("sessions of a provider that is no longer configured can be ended by its name")
    func forgotten() async throws {
        let house = try await EndingHouse()
        let sessions = Sessions(store: house.house.store, ring: house.house.control.ring)
        _ = try await sessions.createGlobal(
            person: PersonFacts(issuer: "https://old.example", subject: "ada"), provider: "old",
            host: "auth.corp.example", idToken: nil, nowSeconds: house.house.now, lifetimeSeconds: 60)
        #expect(await ask(house, ["provider": "old"])["sign_ins"] == 1)
    }
}
