import JSON
import Synchronization
import Testing

@testable import gatepost_lab

@Suite("The emulators of posture providers behave as the vendors do")
struct VendorEmulatorTests {
    static let alice = "4f1d2c3b4a5968778695a4b3c2d1e0f1"
    let lab: VendorLab
    init() throws { lab = try VendorLab() }

    // MARK: CrowdStrike

    @Test("CrowdStrike: a token is answered with 201 and the region, a wrong secret with 403")
    func falconToken() throws {
        let form = [("client_id", Falcon.clientID), ("client_secret", Falcon.clientSecret)]
        let good = try lab.send("POST", "/crowdstrike/oauth2/token", form: form)
        #expect(good.status == 201 && good.fields.contains { $0.name == "x-cs-region" && $0.value == "us-1" })
        #expect(good.fields.contains { $0.name == "x-cs-traceid" })
        #expect(try lab.send("POST", "/crowdstrike/oauth2/token", form: [("client_id", "x")]).status == 403)
        let missing = try lab.json("GET", "/crowdstrike/devices/queries/devices/v1")
        #expect(missing.status == 401 && missing.body["errors"]?.array?.first?["code"] == 401)
    }

    @Test("CrowdStrike: the 16th call with a bad token within a minute is throttled, good ones are not")
    func lockout() throws {
        let path = "/crowdstrike/devices/queries/devices/v1"
        for _ in 0..<15 { #expect(try lab.send("GET", path).status == 401) }
        let locked = try lab.send("GET", path)
        #expect(locked.status == 429 && locked.fields.contains { $0.name == "x-ratelimit-retryafter" })
        #expect(try lab.send("GET", path, fields: lab.falcon()).status == 200)
        lab.clock.setOffset(seconds: 61)
        #expect(try lab.send("GET", path).status == 401)
    }

    @Test("CrowdStrike: 6,000 calls a minute, counted in every answer") func window() throws {
        let bearer = try lab.falcon()
        let first = try lab.send("GET", "/crowdstrike/devices/queries/devices/v1", fields: bearer)
        #expect(first.fields.contains { $0.name == "x-ratelimit-limit" && $0.value == "6000" })
        #expect(first.fields.contains { $0.name == "x-ratelimit-remaining" && $0.value == "5999" })
        let emulator = try #require(lab.site.emulators["crowdstrike"])
        let now = lab.clock.nowSeconds
        emulator.state.withLock { $0.callSeconds = Array(repeating: now, count: 5_999) }
        #expect(try lab.send("GET", "/crowdstrike/devices/queries/devices/v1", fields: bearer).status == 200)
        #expect(try lab.send("GET", "/crowdstrike/devices/queries/devices/v1", fields: bearer).status == 429)
    }

    @Test("CrowdStrike: a scroll's offset ends after two minutes") func scroll() throws {
        let bearer = try lab.falcon()
        let path = "/crowdstrike/devices/queries/devices-scroll/v1?limit=1"
        func offset() throws -> String {
            try #require(
                try lab.json("GET", path, fields: bearer).body["meta"]?["pagination"]?["offset"]?.string)
        }
        let (good, late) = (try offset(), try offset())
        lab.clock.setOffset(seconds: 119)
        #expect(try lab.json("GET", path + "&offset=\(good)", fields: bearer).status == 200)
        lab.clock.setOffset(seconds: 120)
        #expect(try lab.json("GET", path + "&offset=\(late)", fields: bearer).status == 400)
    }

    @Test("CrowdStrike: an unknown id is left out, with an error of its own, and the answer is 200")
    func unknownID() throws {
        let ids = "ids=\(Self.alice)&ids=\(String(repeating: "f", count: 32))"
        let answer = try lab.json(
            "GET", "/crowdstrike/zero-trust-assessment/entities/assessments/v1?\(ids)", fields: lab.falcon())
        #expect(answer.status == 200 && answer.body["resources"]?.array?.count == 1)
        #expect(answer.body["errors"]?.array?.first?["code"] == 404)
        #expect(answer.body["resources"]?.array?.first?["assessment"]?["overall"] == 83)
    }

    @Test(
        "CrowdStrike: limits of pages and ids are enforced",
        arguments: [
            ("devices/queries/devices/v1?limit=5000", 200), ("devices/queries/devices/v1?limit=5001", 400),
            ("devices/queries/devices/v1?limit=0", 400),
            ("devices/queries/devices-scroll/v1?limit=10000", 200),
            ("devices/queries/devices-scroll/v1?limit=10001", 400),
            ("devices/combined/devices/v1?limit=10000", 200),
            ("devices/combined/devices/v1?limit=10001", 400), ("devices/entities/devices/v2", 400),
            ("zero-trust-assessment/queries/assessments/v1?limit=1", 400),
            ("zero-trust-assessment/queries/assessments/v1?filter=score:%3E%3D1&limit=1000", 200),
            ("zero-trust-assessment/queries/assessments/v1?filter=score:%3E%3D1&limit=1001", 400),
            ("devices/queries/devices/v1?filter=nonsense", 400), ("no/such/path", 404),
        ])
    func falconLimits(_ path: String, _ status: Int) throws {
        #expect(try lab.send("GET", "/crowdstrike/\(path)", fields: lab.falcon()).status == status)
    }

    @Test("CrowdStrike: 100 ids in a query, 5,000 in a body, not one more") func falconIDs() throws {
        let bearer = try lab.falcon()
        let path = "/crowdstrike/devices/entities/devices/v2"
        for (count, status) in [(100, 200), (101, 400)] {
            let query = Array(repeating: "ids=a", count: count).joined(separator: "&")
            #expect(try lab.send("GET", "\(path)?\(query)", fields: bearer).status == status)
        }
        for (count, status) in [(5_000, 200), (5_001, 400)] {
            let ids = JSONValue.array(Array(repeating: .string(Self.alice), count: count))
            #expect(try lab.send("POST", path, fields: bearer, json: ["ids": ids]).status == status)
        }
    }

    // MARK: Google

    @Test("Google: the account's certificate is uploaded as PEM, and only there")
    func certificate() throws {
        #expect(try lab.send("POST", "/google/lab/certificate", json: ["not": "PEM"]).status == 400)
        #expect(try lab.send("GET", "/google/lab/certificate").status == 400)
        #expect(try lab.send("POST", "/kolide/lab/certificate", json: [:]).status == 404)
    }

    // MARK: Defender

    private func defender() throws -> [(String, String)] {
        try lab.bearer(
            "/defender/\(Defender.tenant)/oauth2/v2.0/token",
            [
                ("grant_type", "client_credentials"), ("client_id", Defender.clientID),
                ("client_secret", Defender.clientSecret), ("scope", Defender.scope),
            ])
    }

    @Test("Defender: a list of nothing is 404, an unknown filter 400, and times have seven digits")
    func machines() throws {
        let bearer = try defender()
        let list = try lab.json("GET", "/defender/api/machines?$top=1", fields: bearer)
        let seen = list.body["value"]?.array?.first?["lastSeen"]?.string
        #expect(list.status == 200 && seen?.hasSuffix(".7654321Z") == true && seen?.utf8.count == 28)
        #expect(list.body["@odata.nextLink"] == nil, "who asks for fewer goes on by $skip")
        let beyond = try lab.json("GET", "/defender/api/machines?$skip=2", fields: bearer)
        #expect(beyond.status == 404 && beyond.body["error"]?["code"] == "ResourceNotFound")
        let wrong = try lab.json("GET", "/defender/api/machines?$filter=cpu%20eq%20'x'", fields: bearer)
        #expect(wrong.status == 400)
        #expect(try lab.send("GET", "/defender/api/machines?$top=10001", fields: bearer).status == 400)
        #expect(
            String(
                decoding: try lab.send("GET", "/defender/api/machines/$count", fields: bearer).body,
                as: UTF8.self) == "2")
    }

    @Test("Defender: a machine is one of id or name; a null risk is null") func oneMachine() throws {
        let bearer = try defender()
        let found = try lab.json("GET", "/defender/api/machines/bob-laptop.corp.example", fields: bearer)
        #expect(found.body["riskScore"] == .null && found.body["onboardingStatus"] == "Onboarded")
        #expect(try lab.json("GET", "/defender/api/machines/nobody", fields: bearer).status == 404)
    }

    @Test("Defender: a token for another API is refused, and so are another tenant and a wrong secret")
    func tokens() throws {
        for (tenant, secret, scope, number) in [
            (Defender.tenant, Defender.clientSecret, "https://graph.microsoft.com/.default", 70_011),
            ("another", Defender.clientSecret, Defender.scope, 90_002),
            (Defender.tenant, "wrong", Defender.scope, 7_000_215),
        ] as [(String, String, String, Int64)] {
            let answer = try lab.send(
                "POST", "/defender/\(tenant)/oauth2/v2.0/token",
                form: [
                    ("grant_type", "client_credentials"), ("client_id", Defender.clientID),
                    ("client_secret", secret), ("scope", scope),
                ])
            #expect(answer.status == (number == 7_000_215 ? 401 : 400))
            #expect(try JSONValue(parsing: answer.body)["error_codes"] == [.integer(number)])
        }
    }

    // MARK: Tanium

    private func query(_ text: String, _ variables: JSONValue = [:], token: String = Tanium.apiToken) throws
        -> (status: Int, body: JSONValue)
    {
        try lab.json(
            "POST", "/tanium/plugin/products/gateway/graphql", fields: [("session", token)],
            json: ["query": .string(text), "variables": variables])
    }

    @Test("Tanium: exactly the fields that were asked for, and the token in the session field")
    func projection() throws {
        let answer = try query("{endpoints(first:1){totalRecords edges{node{name risk{riskLevel}}}}}")
        #expect(
            answer.body == [
                "data": [
                    "endpoints": [
                        "totalRecords": 2,
                        "edges": [["node": ["name": "alice-laptop", "risk": ["riskLevel": "Low"]]]],
                    ]
                ]
            ])
        #expect(try query("{endpoints{totalRecords edges{node{id}}}}", token: "another").status == 401)
    }

    @Test(
        "Tanium: what is wrong with a query comes with status 200 and no data",
        arguments: [
            ("{endpoints{edges{node{colour}}}}", "Cannot query field \"colour\" on type \"Endpoint\"."),
            ("{machines{id}}", "Cannot query field \"machines\" on type \"Query\"."),
            ("{endpoints{edges{node{id}}}", "Syntax Error: expected Name, found <EOF>."),
            ("query($first:Int!){endpoints(first:$first){edges{node{id}}}}", "was not provided"),
            ("{endpoints(first:0){edges{node{id}}}}", "first must be between"),
            ("{endpoints(after:\"gone\"){edges{node{id}}}}", "Cursor has expired"), ("", "Syntax Error"),
            ("{endpoints{edges{node{id}}}} x", "Syntax Error: unexpected x."),
            ("{endpoints(filter:{path:\"id\",op:LIKE,value:\"a\"}){edges{node{id}}}}", "invalid filter"),
        ])
    func refusals(_ text: String, _ message: String) throws {
        let answer = try query(text)
        #expect(answer.status == 200 && answer.body["data"] == .null)
        #expect(answer.body["errors"]?.array?.first?["message"]?.string?.contains(message) == true)
    }

    @Test("GraphQL: a query cut anywhere is refused and never believed") func everyPrefix() throws {
        let text =
            "query($first:Int!){endpoints(first:$first,filter:{path:\"id\",op:EQ,value:\"a\"}){edges{node{id}}}}"
        for end in text.indices {
            #expect(throws: GraphQLQuery.Refusal.self) {
                try GraphQLQuery(String(text[..<end]), variables: ["first": 1])
            }
        }
        #expect(try GraphQLQuery(text, variables: ["first": 1]).fields[0].arguments["first"] == 1)
    }

    // MARK: Workspace ONE

    private func workspace(_ fields: [(String, String)] = []) throws -> [(String, String)] {
        try lab.bearer(
            "/workspace-one/emea/connect/token",
            [
                ("grant_type", "client_credentials"), ("client_id", WorkspaceOne.clientID),
                ("client_secret", WorkspaceOne.clientSecret),
            ]) + fields
    }

    @Test("Workspace ONE: versions are chosen by Accept, and each has its own names of options")
    func versions() throws {
        let search = "/workspace-one/API/mdm/devices/search"
        for (version, option, count) in [
            (1, "compliantstatus=Compliant", 1), (2, "compliance_status=NonCompliant", 1),
            (2, "compliantstatus=Compliant", 2),
        ] {
            let bearer = try workspace([("Accept", "application/json;version=\(version)")])
            let answer = try lab.json("GET", "\(search)?\(option)", fields: bearer)
            #expect(answer.body["Total"]?.integer == Int64(count), "\(version) \(option)")
        }
        let future = try lab.json(
            "GET", search, fields: try workspace([("Accept", "application/json;version=9")]))
        #expect(future.status == 406)
    }

    @Test("Workspace ONE: no hit is 204, times have no zone, a wrong API key is 401 with 1005") func traps()
        throws
    {
        let bearer = try workspace()
        let none = try lab.send(
            "GET", "/workspace-one/API/mdm/devices/search?compliantstatus=Pending", fields: bearer)
        #expect(none.status == 204 && none.body.isEmpty)
        let list = try lab.json("GET", "/workspace-one/API/mdm/devices/search", fields: bearer)
        let seen = list.body["Devices"]?.array?.first?["LastSeen"]?.string
        #expect(seen?.hasSuffix(".120") == true && seen?.contains("Z") == false)
        let wrong = try lab.json(
            "GET", "/workspace-one/API/mdm/devices/search", fields: bearer + [("aw-tenant-code", "x")])
        #expect(wrong.status == 401 && wrong.body["errorCode"] == 1_005)
    }
}
