import JSON
import Synchronization
import Testing

@testable import gatepost_lab

@Suite("The Graph emulator's directory with 2 demo devices and 23 more")
struct DirectoryTests {
    static let alice = "9d3e2c10-7f6a-4f0e-8f30-2b9b8a7c6d5e"
    let fixture: LabFixture
    let bearer: String

    init() throws {
        fixture = try LabFixture(fillers: 23)
        bearer = try fixture.bearer()
    }

    private func get(_ path: String, _ fields: [(String, String)] = []) throws -> LabFixture.Answer {
        try fixture.get("/v1.0" + path, bearer: bearer, fields: fields)
    }

    private func document(_ path: String) throws -> JSONValue {
        try JSONValue(parsing: try get(path).body, limits: .provider)
    }

    private func ids(_ page: JSONValue) -> [String] {
        (page["value"]?.array ?? []).compactMap { $0["id"]?.string }
    }

    private func path(_ link: JSONValue?) -> String? {
        link?.string.map { String($0.dropFirst((fixture.lab.graphAddress + "/v1.0").count)) }
    }

    /// The delta link at the end of a reading.
    private func read(_ first: String) throws -> (ids: [String], delta: String) {
        var found: [String] = []
        var next = first
        while true {
            let page = try document(next)
            found += ids(page)
            if let delta = path(page["@odata.deltaLink"]) { return (found, delta) }
            next = try #require(path(page["@odata.nextLink"]))
        }
    }

    @Test("002.11 pages of 100, or as asked for; every device once", arguments: [1, 7, 24, 25, 26, 999])
    func paging(_ top: Int) throws {
        let pages = try fixture.pages("/v1.0/devices?$top=\(top)", bearer: bearer)
        #expect(pages.count == (25 + top - 1) / top && Set(pages.flatMap(ids)).count == 25)
    }

    @Test(
        "what the directory does not understand is 400 Request_BadRequest",
        arguments: [
            "/devices?$skip=1", "/devices?$top=0", "/devices?$top=1000", "/devices?$top=x",
            "/devices?$orderby=id",
            "/devices?$filter=model%20eq%20'T14'", "/devices?$filter=deviceId%20ne%20'a'",
            "/devices?$filter=deviceId%20eq%20'a", "/devices?$skiptoken=invented", "/devices?$count=true",
            "/devices/$count", "/devices/delta?$deltatoken=invented",
            "/devices/delta?$filter=deviceId%20eq%20'a'",
        ])
    func refused(_ path: String) throws {
        let answer = try get(path)
        #expect(answer.status == 400 && fixture.graphCode(answer) == "Request_BadRequest")
    }

    @Test("a count needs ConsistencyLevel: eventual") func count() throws {
        let answer = try get("/devices/$count", [("ConsistencyLevel", "eventual")])
        #expect(String(decoding: answer.body, as: UTF8.self) == "25")
    }

    @Test(
        "one device by object id, by key and by filter",
        arguments: [
            "/devices/b7d69b7e-0a0e-4d51-9a0f-8d7b7a0d1c11", "/devices(deviceId='\(alice)')",
            "/devices?$filter=deviceId%20eq%20'\(alice)'",
        ])
    func single(_ path: String) throws {
        let answer = try document(path)
        #expect((answer["value"]?.array?.first ?? answer)["deviceId"] == .string(Self.alice))
    }

    @Test("an object id is no device id, and the other way round") func otherID() throws {
        #expect(try get("/devices/\(Self.alice)").status == 404)
        #expect(try get("/devices(deviceId='b7d69b7e-0a0e-4d51-9a0f-8d7b7a0d1c11')").status == 404)
    }

    @Test("a delta begins with everything and then tells changes and removals once each") func delta() throws
    {
        var (found, link) = try read("/devices/delta?$top=10&$select=deviceId,isCompliant")
        #expect(Set(found).count == 25)
        (found, link) = try read(link)
        #expect(found.isEmpty)
        _ = fixture.lab.graph.directory.withLock { $0.change(Self.alice, ["isCompliant": false]) }
        _ = fixture.lab.graph.directory.withLock { $0.remove("bob-laptop", reason: "deleted") }
        let page = try document(link)
        #expect(page["value"]?.array?.count == 2)
        #expect(
            page["value"]?.array?[0]["isCompliant"] == false && page["value"]?.array?[0]["displayName"] == nil
        )
        #expect(page["value"]?.array?[1]["@removed"] == ["reason": "deleted"])
        #expect(try ids(document(link)) == ids(page), "a replay of the same link says the same")
        #expect(try read(try #require(path(page["@odata.deltaLink"]))).ids.isEmpty)
    }

    @Test("a link is frozen: nothing may be added to it") func frozen() throws {
        let link = try read("/devices/delta").delta
        #expect(try get(link + "&$select=id").status == 400)
    }

    @Test(
        "a link lives seven days, to the second",
        arguments: [(604_799, 200), (604_800, 400)] as [(Int64, Int)])
    func expiry(_ seconds: Int64, _ status: Int) throws {
        let link = try read("/devices/delta").delta
        fixture.clock.setOffset(seconds: seconds)
        let answer = try fixture.get("/v1.0" + link, bearer: try fixture.bearer())
        #expect(answer.status == status)
        #expect(status == 200 || fixture.graphCode(answer) == "syncStateNotFound")
    }

    @Test(
        "resource units: exactly as many as there are, and one more, with the fields that say so",
        arguments: [5, 6])
    func units(_ calls: Int) throws {
        fixture.lab.graph.directory.withLock { $0.unitsMax = 5 }
        let answers = try (0..<calls).map { _ in try get("/devices?$top=1") }
        #expect(answers.filter { $0.status == 200 }.count == 5)
        func field(_ name: String) -> String? { answers.last?.fields.first { $0.name == name }?.value }
        #expect(field("x-ms-resource-unit") == "1")
        #expect((field("x-ms-throttle-information") == "ResourceUnitLimitExceeded") == (calls == 6))
        #expect(
            field("x-ms-throttle-scope")?.hasPrefix("Tenant_Application/ReadWrite/")
                == (calls == 6 ? true : nil))
        fixture.clock.setOffset(seconds: 10)
        #expect(try get("/devices?$top=1").status == 200)
    }

    @Test("Intune's word changes the directory's; an unknown one empties it") func intune() throws {
        for (word, expected) in [("noncompliant", false), ("compliant", true), ("unknown", .null)]
            as [(String, JSONValue)]
        {
            let body = JSONValue.object(["complianceState": .string(word)]).serialized()
            #expect(try fixture.graph.send("POST", "/lab/devices/alice-laptop", body: body).status == 200)
            #expect(try document("/devices(deviceId='\(Self.alice)')")["isCompliant"] == expected)
        }
    }
}
