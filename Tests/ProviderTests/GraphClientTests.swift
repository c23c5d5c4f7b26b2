import JSON
import Testing

@testable import gatepost_lab

@Suite("Microsoft's own client, msgraph-sdk, against the lab's Graph")
struct GraphClientTests {
    @Test("002.8 002.10 002.11 it reads managed devices, the directory and its changes, page by page")
    func reads() throws {
        let lab = try GraphLab()
        let answer = try VendorClient.run(
            "graph-client.py",
            [
                lab.lab.graphAddress, GraphEmulator.tenant, GraphEmulator.clientID,
                GraphEmulator.clientSecret,
            ])
        let managed = try #require(answer["managed"]?.object)
        #expect(managed.members.count == 5)
        #expect(managed["alice-laptop"] == "compliant" && managed["bob-laptop"] == "noncompliant")
        #expect(answer["synced"] == true, "times are read as times")
        #expect(answer["directory"]?["alice-laptop"] == true && answer["directory"]?["bob-laptop"] == false)
        #expect(answer["trust"] == ["AzureAd"] && answer["one"]?.string?.isEmpty == false)
        #expect(
            answer["changes"] == 5 && answer["later"] == 0,
            "a delta begins with everything and goes on with nothing")
        #expect(answer["unknown"] == "Request_ResourceNotFound")
    }

    @Test("it gets no token with a wrong secret") func refused() throws {
        let lab = try GraphLab()
        let failure = #expect(throws: VendorClient.Failure.self) {
            try VendorClient.run(
                "graph-client.py",
                [lab.lab.graphAddress, GraphEmulator.tenant, GraphEmulator.clientID, "wrong"])
        }
        #expect(failure?.status == 3)
    }
}
