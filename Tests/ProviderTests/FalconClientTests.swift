import JSON
import Testing

@testable import gatepost_lab

@Suite("CrowdStrike's own client, crowdstrike-falconpy, against the emulator")
struct FalconClientTests {
    @Test("000.18 it signs in, scrolls through the hosts, and reads every score") func reads() throws {
        let fixture = try VendorFixture(.crowdStrike)
        fixture.change(["online": "online"])
        let answer = try VendorClient.run(
            "falcon-client.py", [fixture.emulator.address, Falcon.clientID, Falcon.clientSecret])
        let (alice, bob) = (CrowdStrikeTests.alice, CrowdStrikeTests.bob)
        #expect(answer["token_status"] == 201)
        #expect(answer["scrolled"] == [.string(alice), .string(bob)])
        #expect(answer["combined"] == ["alice-laptop", "bob-laptop"])
        #expect(answer["serials"]?[alice] == "LAB-ALICE-0001" && answer["serials"]?[bob] == "LAB-BOB-0001")
        #expect(answer["by_name"] == [.string(alice)])
        #expect(answer["states"] == ["online", "unknown"])
        for member in ["scores", "overall"] {
            #expect(answer[member]?[alice] == 83 && answer[member]?[bob] == 41, "\(member)")
        }
        #expect(answer["assessed"] == 2 && answer["unknown"] == [404])
        #expect(answer["limit"] == "6000" && answer["revoked"] == 200)
    }

    @Test("it says what the vendor would say to a wrong secret") func refused() throws {
        let fixture = try VendorFixture(.crowdStrike)
        #expect(throws: VendorClient.Failure.self) {
            try VendorClient.run("falcon-client.py", [fixture.emulator.address, Falcon.clientID, "wrong"])
        }
    }
}
