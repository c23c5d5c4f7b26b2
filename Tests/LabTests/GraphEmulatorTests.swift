import JSON
import Synchronization
import Testing

@testable import gatepost_lab

@Suite("The Graph emulator with 2 demo devices and 23 more")
struct GraphEmulatorTests {
    static let devices = "/v1.0/deviceManagement/managedDevices"
    static let alice = "5c1d9b7e-0a0e-4d51-9a0f-8d7b7a0d1c11"
    let fixture: LabFixture
    init() throws { fixture = try LabFixture(fillers: 23) }

    private func ids(_ pages: [JSONValue]) -> [String] {
        pages.flatMap { $0["value"]?.array ?? [] }.compactMap { $0["id"]?.string }
    }

    @Test("following next links finds every device exactly once", arguments: [1, 7, 24, 25, 26, 1000])
    func completePaging(_ top: Int) throws {
        let pages = try fixture.pages("\(Self.devices)?$top=\(top)&$count=true", bearer: try fixture.bearer())
        #expect(pages.count == (25 + top - 1) / top)
        #expect(ids(pages).count == 25)
        #expect(Set(ids(pages)).count == 25)
        #expect(pages.allSatisfy { $0["@odata.count"] == 25 })
    }

    @Test("without a good token there is nothing", arguments: ["", "Bearer invented", "Basic x"])
    func noToken(_ value: String) throws {
        let answer = try fixture.graph.send("GET", Self.devices, fields: [("Authorization", value)])
        #expect(answer.status == 401)
        #expect(fixture.graphCode(answer) == "InvalidAuthenticationToken")
    }

    @Test("a token lives 3599 seconds", arguments: [3598, 3599])
    func tokenAge(_ seconds: Int64) throws {
        let bearer = try fixture.bearer()
        fixture.clock.setOffset(seconds: seconds)
        #expect(try fixture.get(Self.devices, bearer: bearer).status == (seconds < 3599 ? 200 : 401))
    }

    @Test(
        "the token endpoint refuses as Entra does",
        arguments: [
            ("client_secret", "wrong", 7_000_215, 401), ("client_id", "nobody", 700016, 400),
            ("scope", "https://graph.microsoft.us/.default", 70011, 400),
            ("grant_type", "password", 70003, 400),
        ])
    func refusedToken(_ name: String, _ value: String, _ code: Int64, _ status: Int) throws {
        let answer = try fixture.graphToken([name: value])
        #expect(answer.status == status)
        let body = try JSONValue(parsing: answer.body)
        #expect(body["error_codes"] == [.integer(code)])
        #expect(body["error_description"]?.string?.hasPrefix("AADSTS\(code): ") == true)
    }

    @Test("an unknown tenant is refused")
    func unknownTenant() throws {
        let body = try JSONValue(parsing: try fixture.graphToken(tenant: "other").body)
        #expect(body["error_codes"] == [90002])
    }

    @Test(
        "filters find what Intune would",
        arguments: [
            ("serialNumber eq 'LAB-ALICE-0001'", 1),
            ("azureADDeviceId eq '9D3E2C10-7F6A-4F0E-8F30-2B9B8A7C6D5E'", 1),
            ("operatingSystem eq 'Windows'", 12), ("deviceName eq 'nobody''s'", 0),
            ("operatingSystem eq 'Windows' and complianceState eq 'compliant'", 2),
            ("serialNumber eq 'FILL-1' or serialNumber eq 'FILL-2'", 2),
            ("lastSyncDateTime ge 2020-01-01T00:00:00Z", 25),
        ])
    func filters(_ filter: String, _ count: Int) throws {
        let path = "\(Self.devices)?$filter=\(Parameters.encode(filter))"
        #expect(ids(try fixture.pages(path, bearer: try fixture.bearer())).count == count)
    }

    @Test(
        "what Intune does not understand is a 400",
        arguments: [
            "$top=0", "$top=1001", "$top=x", "$orderby=id", "$filter=isEncrypted%20eq%20true",
            "$skiptoken=invented",
            "$filter=serialNumber%20eq%20'open", "$filter=serialNumber%20ne%20'a'",
            "$filter=serialNumber%20eq", "$select=",
            "$top=5&$top=6",
            "$filter=serialNumber%20eq%20'a'%20or%20serialNumber%20eq%20'b'%20and%20deviceName%20eq%20'c'",
        ])
    func refusedQuery(_ query: String) throws {
        let answer = try fixture.get("\(Self.devices)?\(query)", bearer: try fixture.bearer())
        #expect(answer.status == 400)
        #expect(fixture.graphCode(answer) == "BadRequest")
    }

    @Test("$select leaves only what was asked for")
    func selected() throws {
        let path = "\(Self.devices)/\(Self.alice)?$select=complianceState"
        let body = try JSONValue(parsing: try fixture.get(path, bearer: try fixture.bearer()).body)
        #expect(body.object?.names == ["@odata.context", "id", "complianceState"])
    }

    @Test("a user's devices are found by name, others are not")
    func userDevices() throws {
        let bearer = try fixture.bearer()
        let pages = try fixture.pages("/v1.0/users/alice@corp.example/managedDevices", bearer: bearer)
        #expect(ids(pages) == [Self.alice])
        let foreign = "/v1.0/users/bob@corp.example/managedDevices/\(Self.alice)"
        #expect(try fixture.get(foreign, bearer: bearer).status == 404)
    }

    @Test("every answer carries a request id and ours back")
    func requestIDs() throws {
        let fields = [("client-request-id", "ours-1")]
        for path in [Self.devices, "\(Self.devices)/none"] {
            let answer = try fixture.get(path, bearer: try fixture.bearer(), fields: fields)
            #expect(answer.fields.contains { $0.name == "client-request-id" && $0.value == "ours-1" })
            #expect(answer.fields.contains { $0.name == "request-id" })
            #expect(answer.fields.contains { $0.name == "date" })
        }
    }

    @Test("the window of 20 seconds throttles one past its limit, and a throttled request still counts")
    func throttledByCount() throws {
        let bearer = try fixture.bearer()
        fixture.lab.graph.state.withLock { $0.requestsMax = 3 }
        for _ in 0..<3 { #expect(try fixture.get(Self.devices, bearer: bearer).status == 200) }
        let answer = try fixture.get(Self.devices, bearer: bearer)
        #expect(answer.status == 429)
        #expect(answer.fields.contains { $0.name == "retry-after" && $0.value == "20" })
        fixture.clock.setOffset(seconds: 20)
        #expect(try fixture.get(Self.devices, bearer: bearer).status == 200)
    }

    @Test("a flipped device is non-compliant at the next question, and back again")
    func flip() throws {
        let bearer = try fixture.bearer()
        for state in ["noncompliant", "compliant"] {
            let body = Array("{\"complianceState\":\"\(state)\"}".utf8)
            #expect(try fixture.graph.send("POST", "/lab/devices/\(Self.alice)", body: body).status == 200)
            let device = try JSONValue(
                parsing: try fixture.get("\(Self.devices)/\(Self.alice)", bearer: bearer).body)
            #expect(device["complianceState"]?.string == state)
        }
        let nonsense = Array("{\"complianceState\":\"fine\"}".utf8)
        #expect(try fixture.graph.send("POST", "/lab/devices/\(Self.alice)", body: nonsense).status == 400)
        #expect(try fixture.graph.send("POST", "/lab/devices/nobody", body: Array("{}".utf8)).status == 404)
    }

    /// The parts of a batch's answer by id; nil: it was refused as a whole.
    private func batch(_ requests: [JSONValue]) throws -> (order: [String], parts: [String: JSONValue])? {
        let body = JSONValue.object(["requests": .array(requests)]).serialized()
        let fields = [("Authorization", "Bearer \(try fixture.bearer())")]
        let answer = try fixture.graph.send("POST", "/v1.0/$batch", fields: fields, body: body)
        guard answer.status == 200 else {
            #expect(answer.status == 400)
            return nil
        }
        let parts = try #require(try JSONValue(parsing: answer.body)["responses"]?.array)
        let ids = parts.compactMap { $0["id"]?.string }
        return (ids, Dictionary(uniqueKeysWithValues: zip(ids, parts)))
    }

    private func part(
        _ id: String, device: String = "none", method: String = "GET", dependsOn: [String]? = nil
    ) -> JSONValue {
        var part: JSONObject = [
            "id": .string(id), "method": .string(method),
            "url": .string("/deviceManagement/managedDevices/\(device)"),
        ]
        if let dependsOn { part["dependsOn"] = .array(dependsOn.map { .string($0) }) }
        return .object(part)
    }

    @Test("a batch answers each request on its own, in no order to rely on, and 21 are too many")
    func batch() throws {
        func ask(_ count: Int) throws -> (order: [String], parts: [String: JSONValue])? {
            try batch((0..<count).map { part("\($0)", device: $0 == 0 ? Self.alice : "none") })
        }
        let full = try #require(try ask(20))
        #expect(full.parts["0"]?["status"] == 200 && full.parts["0"]?["body"]?["id"] == .string(Self.alice))
        #expect((1..<20).allSatisfy { full.parts["\($0)"]?["status"] == 404 })
        #expect(full.order != (0..<20).map(String.init))
        #expect(try ask(21) == nil)
        #expect(try ask(0) == nil)
    }

    @Test("a batch with a doubled, an empty or no id is refused as a whole")
    func batchIDs() throws {
        #expect(try batch([part("a"), part("b")]) != nil)
        #expect(try batch([part("a"), part("a")]) == nil)
        #expect(try batch([part("a"), part("")]) == nil)
        #expect(try batch([part("a"), ["method": "GET", "url": "/devices"]]) == nil)
        #expect(try batch([part("a"), ["id": 7, "method": "GET", "url": "/devices"]]) == nil)
    }

    @Test("each request of a batch is throttled by itself, with its own hint, and counts like any other")
    func batchThrottling() throws {
        let throttled = "/v1.0/deviceManagement/managedDevices/slow"
        fixture.lab.graph.faults.activate(.throttle, times: 1, retryAfterSeconds: 17, path: throttled)
        let both = [part("a", device: Self.alice), part("b", device: "slow")]
        let parts = try #require(try batch(both)).parts
        #expect(parts["a"]?["status"] == 200)
        #expect(parts["b"]?["status"] == 429 && parts["b"]?["headers"]?["Retry-After"] == "17")
        #expect(parts["b"]?["body"]?["error"]?["code"] == "TooManyRequests")
        fixture.lab.graph.state.withLock { $0.requestsMax = 6 }
        let rest = try #require(try batch((0..<4).map { part("\($0)", device: Self.alice) }))
        #expect(rest.parts.values.count { $0["status"] == 429 } == 2, "3 before, and the batch itself")
    }

    @Test("a request whose dependency failed is answered with 424; a ring or a stranger is refused")
    func batchDependencies() throws {
        let parts = try #require(
            try batch([
                part("a", dependsOn: ["b"]), part("b"), part("c", device: Self.alice, dependsOn: ["d"]),
                part("d", device: Self.alice), part("e", device: Self.alice, method: "PATCH"),
            ])
        ).parts
        #expect(parts["b"]?["status"] == 404 && parts["a"]?["status"] == 424)
        #expect(parts["c"]?["status"] == 200 && parts["d"]?["status"] == 200)
        #expect(parts["e"]?["status"] == 400)
        #expect(try batch([part("a", dependsOn: ["b"]), part("b", dependsOn: ["a"])]) == nil)
        #expect(try batch([part("a", dependsOn: ["z"])]) == nil)
    }
}
