import JSON
import Testing

@testable import gatepost_lab

@Suite("The Graph emulator, told to misbehave")
struct GraphFaultTests {
    static let devices = "/v1.0/deviceManagement/managedDevices"
    let fixture: LabFixture
    let bearer: String
    init() throws {
        fixture = try LabFixture(fillers: 8)
        bearer = try fixture.bearer()
    }

    private func ids(_ page: JSONValue) -> [String] {
        (page["value"]?.array ?? []).compactMap { $0["id"]?.string }
    }

    @Test(
        "429 comes with seconds, with a date, or with no hint",
        arguments: [("throttle", true), ("throttle-http-date", true), ("throttle-no-hint", false)])
    func throttle(_ fault: String, _ hasHint: Bool) throws {
        try fixture.fault(fixture.graph, fault, count: 1)
        let answer = try fixture.get(Self.devices, bearer: bearer)
        #expect(answer.status == 429)
        #expect(answer.fields.contains { $0.name == "retry-after" } == hasHint)
        #expect(try fixture.get(Self.devices, bearer: bearer).status == 200)
    }

    @Test("paging can run in circles of one page, of two, or through fresh links to the same devices")
    func circles() throws {
        for (fault, links) in [("loop", 1), ("two-cycle", 2), ("same-ids", 10)] {
            try fixture.fault(fixture.graph, fault)
            let pages = try fixture.pages("\(Self.devices)?$top=4", bearer: bearer, pagesMax: 10)
            #expect(pages.count == 10, "\(fault)")
            #expect(Set(pages.compactMap { $0["@odata.nextLink"]?.string }).count == links, "\(fault)")
            #expect(Set(pages.map { ids($0) }).count == 1, "\(fault)")
            try fixture.fault(fixture.graph, "none")
        }
    }

    @Test("an empty page in between loses nothing")
    func emptyPage() throws {
        try fixture.fault(fixture.graph, "empty-page", count: 1)
        let pages = try fixture.pages("\(Self.devices)?$top=5", bearer: bearer)
        #expect(pages.map { ids($0).count } == [0, 5, 5])
    }

    @Test("a partial page silently lacks a device, and a missing device is absent from a complete list")
    func missing() throws {
        try fixture.fault(fixture.graph, "partial-page", count: 1)
        #expect(try fixture.pages(Self.devices, bearer: bearer).flatMap { ids($0) }.count == 9)
        try fixture.fault(fixture.graph, "device-missing", count: 1)
        #expect(try fixture.pages(Self.devices, bearer: bearer).flatMap { ids($0) }.count == 9)
    }

    @Test("a next link can point to another host")
    func crossHost() throws {
        try fixture.fault(fixture.graph, "cross-host-next", count: 1)
        let page = try JSONValue(parsing: try fixture.get("\(Self.devices)?$top=1", bearer: bearer).body)
        #expect(page["@odata.nextLink"]?.string?.hasPrefix("http://graph.evil.example/") == true)
    }

    @Test("only the first branch of an or finds anything when the vendor's defect is on")
    func firstBranch() throws {
        try fixture.fault(fixture.graph, "filter-first-branch")
        let filter = Parameters.encode("serialNumber eq 'FILL-1' or serialNumber eq 'FILL-2'")
        let pages = try fixture.pages("\(Self.devices)?$filter=\(filter)", bearer: bearer)
        #expect(pages.flatMap { ids($0) }.count == 1)
    }

    @Test(
        "malformed, truncated and HTML answers with 200 are no JSON",
        arguments: ["malformed", "truncated", "html-200"])
    func broken(_ fault: String) throws {
        try fixture.fault(fixture.graph, fault, count: 1)
        let answer = try fixture.get(Self.devices, bearer: bearer)
        #expect(answer.status == 200)
        #expect(throws: JSONError.self) { try JSONValue(parsing: answer.body) }
    }

    @Test("half a body ends before its promised length")
    func halfBody() throws {
        try fixture.fault(fixture.graph, "half-body", count: 1)
        let answer = try fixture.get(Self.devices, bearer: bearer)
        let length = answer.fields.first { $0.name == "content-length" }.flatMap { Int($0.value) }
        #expect(answer.body.count < (try #require(length)))
    }

    @Test("credentials can be revoked, expire, or lack a permission")
    func credentials() throws {
        try fixture.fault(fixture.graph, "revoked-secret", count: 1)
        #expect(try JSONValue(parsing: try fixture.graphToken().body)["error_codes"] == [7_000_215])
        try fixture.fault(fixture.graph, "expired-secret", count: 1)
        #expect(try JSONValue(parsing: try fixture.graphToken().body)["error_codes"] == [7_000_222])
        try fixture.fault(fixture.graph, "missing-scope", count: 1)
        let forbidden = try fixture.get(Self.devices, bearer: bearer)
        #expect(forbidden.status == 403)
        #expect(fixture.graphCode(forbidden) == "Forbidden")
        try fixture.fault(fixture.graph, "expire-tokens")
        #expect(try fixture.get(Self.devices, bearer: bearer).status == 401)
    }

    @Test(
        "503 carries its hint, 502 is a page of something in between",
        arguments: [("unavailable", 503), ("bad-gateway", 502)])
    func outages(_ fault: String, _ status: Int) throws {
        try fixture.fault(fixture.graph, fault, count: 1)
        #expect(try fixture.get(Self.devices, bearer: bearer).status == status)
    }

    @Test("a single device can come wrapped in value")
    func wrapped() throws {
        try fixture.fault(fixture.graph, "wrapped-single", count: 1)
        let path = "\(Self.devices)/\(GraphEmulatorTests.alice)"
        let body = try JSONValue(parsing: try fixture.get(path, bearer: bearer).body)
        #expect(body["value"]?["id"]?.string == GraphEmulatorTests.alice)
    }

    @Test("device records can be null, unknown, in the future, or doubled")
    func records() throws {
        try fixture.fault(fixture.graph, "null-fields", count: 1)
        try fixture.fault(fixture.graph, "duplicate-serial", count: 1)
        let page = try JSONValue(parsing: try fixture.get(Self.devices, bearer: bearer).body)
        #expect(page["value"]?.array?.count == 11)
        try fixture.fault(fixture.graph, "unknown-enum", count: 1)
        let next = try JSONValue(parsing: try fixture.get(Self.devices, bearer: bearer).body)
        #expect(next["value"]?.array?.first?["complianceState"] == "unknownFutureValue")
    }
}
