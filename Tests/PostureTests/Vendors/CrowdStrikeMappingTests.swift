import Access
import JSON
import Testing

@testable import Posture

@Suite("A Falcon host and its assessment become a verdict")
struct CrowdStrikeMappingTests {
    static let now = Setting.start
    static let id = "4f1d2c3b4a5968778695a4b3c2d1e0f1"
    static let connection = ProviderConnection(integration: "falcon", provider: "crowdstrike")

    static func host(_ replaced: [String: JSONValue?] = [:]) -> JSONValue {
        var host: JSONObject = [
            "device_id": .string(id), "serial_number": "PF3ABCDE", "mac_address": "7c-21-4a-0b-1c-2d",
            "connection_mac_address": "7c-21-4a-0b-1c-2d", "status": "normal",
            "reduced_functionality_mode": "no",
            "last_seen": .string(GraphFake.date(now - 60)), "tags": ["vip", 7],
        ]
        for (name, value) in replaced { host[name] = value }
        return .object(host)
    }

    static func assessment(_ overall: JSONValue?, modified: Int64? = now - 600) -> JSONValue {
        var scores: JSONObject = ["os": 77, "sensor_config": 91]
        scores["overall"] = overall
        var assessment: JSONObject = ["aid": .string(id), "assessment": .object(scores)]
        assessment["modified_time"] = modified.map { .string(GraphFake.date($0)) }
        assessment["assessment_items"] = [
            "os_signals": [
                ["signal_name": "Secure Boot", "meets_criteria": "no"],
                ["signal_name": "Disk encryption", "meets_criteria": "yes"],
            ]
        ]
        return .object(assessment)
    }

    static func verdict(
        _ host: JSONValue = host(), _ assessment: JSONValue? = assessment(83), onlineAt: Int64? = nil,
        silence: Int64 = 3_600, from member: String = "overall"
    ) throws -> Verdict {
        let agent = try #require(DeviceKey(.falcon, id))
        return FalconHost(
            host: host, assessment: assessment, agent: agent, onlineAtSeconds: onlineAt,
            sensorSilenceSecondsMax: silence, scoreMember: member
        ).record(of: connection, nowSeconds: now).verdict
    }

    @Test(
        "002.3 an isolated host does not comply, whatever its score; unknown words never comply",
        arguments: [
            ("normal", Verdict.State.compliant, false), ("Normal", .compliant, false),
            ("containment_pending", .noncompliant, true), ("contained", .noncompliant, true),
            ("CONTAINED", .noncompliant, true), ("lift_containment_pending", .noncompliant, false),
            ("quarantined", .unknown, false), ("", .unknown, false),
        ])
    func status(_ word: String, _ state: Verdict.State, _ isContained: Bool) throws {
        let verdict = try Self.verdict(Self.host(["status": .string(word)]))
        #expect(verdict.state == state && verdict.rawState == word)
        #expect(verdict.labels.contains("contained") == isContained)
        #expect(verdict.isSensorRunning == !isContained)
        #expect(!verdict.labels.contains("compliant"), "the label comes from the state alone")
        let other = try Self.verdict(Self.host(["filesystem_containment_status": .string(word)]))
        #expect((other.state == .noncompliant) == isContained)
    }

    @Test("no status at all is unknown") func noStatus() throws {
        #expect(try Self.verdict(Self.host(["status": .null])).state == .unknown)
        #expect(try Self.verdict(Self.host(["status": nil])).state == .unknown)
    }

    static let scores: [(JSONValue?, Int64?)] = [
        (1, 1), (100, 100), (0, nil), (101, nil), (-1, nil), (nil, nil), (.null, nil), ("83", nil),
        (82.5, nil),
    ]

    @Test("000.18 scores are 1 to 100; everything else means: not assessed", arguments: scores)
    func score(_ raw: JSONValue?, _ value: Int64?) throws {
        let verdict = try Self.verdict(Self.host(), Self.assessment(raw))
        #expect(verdict.score?.value == value)
        #expect(verdict.labels.contains("not-assessed") == (value == nil))
    }

    @Test("000.23 the score is the overall one, or the one that the configuration chooses") func member()
        throws
    {
        #expect(try Self.verdict(from: "os").score?.value == 77)
        #expect(try Self.verdict(from: "sensor_config").score?.value == 91)
    }

    @Test("a score counts for a day after it was computed, not a second longer, and never from the future")
    func scoreAge() throws {
        for (age, isThere) in [
            (86_399, true), (86_400, false), (-300, true), (-301, false),
        ] as [(Int64, Bool)] {
            let verdict = try Self.verdict(Self.host(), Self.assessment(83, modified: Self.now - age))
            #expect((verdict.score != nil) == isThere, "\(age)")
        }
        #expect(try Self.verdict(Self.host(), Self.assessment(83, modified: nil)).score == nil)
        let ending = try Self.verdict(Self.host(), Self.assessment(83, modified: Self.now - 86_390))
        #expect(ending.expiresAtSeconds == Self.now + 10)
    }

    @Test("000.24 the sensor runs: seen within the hour, not reduced") func sensor() throws {
        for (age, mode, isRunning) in [
            (3_599, "no", true), (3_600, "no", false), (60, "YES", false), (60, "no", true), (60, "", true),
        ] as [(Int64, String, Bool)] {
            let host = Self.host([
                "last_seen": .string(GraphFake.date(Self.now - age)),
                "reduced_functionality_mode": .string(mode),
            ])
            let verdict = try Self.verdict(host)
            #expect(verdict.isSensorRunning == isRunning, "\(age) \(mode)")
            if isRunning { #expect(verdict.expiresAtSeconds == Self.now - age + 3_600) }
        }
        let silent = Self.host(["last_seen": .string(GraphFake.date(Self.now - 7_200))])
        #expect(try Self.verdict(silent).isSensorRunning == false)
    }

    /// How long ago the host was seen and was online, and for how long from now the sensor counts as running.
    static let connections: [(seen: Int64, online: Int64?, runs: Int64?)] = [
        // The connection alone: five minutes from the moment that was asked about.
        (7_200, 0, 300), (7_200, 299, 1), (7_200, 300, nil), (7_200, nil, nil),
        // Both: whichever lasts longer.
        (3_301, 0, 300), (3_300, 0, 300), (3_299, 0, 301), (60, 0, 3_540),
        // A report that is new enough needs no connection, and one second later it is too old.
        (3_599, nil, 1), (3_600, nil, nil), (3_600, 0, 300),
    ]

    @Test(
        "000.24 a host known by its connection alone runs for five minutes, not a second longer",
        arguments: connections)
    func connection(_ seen: Int64, _ online: Int64?, _ runs: Int64?) throws {
        let host = Self.host(["last_seen": .string(GraphFake.date(Self.now - seen))])
        let verdict = try Self.verdict(host, onlineAt: online.map { Self.now - $0 })
        #expect(verdict.isSensorRunning == (runs != nil))
        if let runs { #expect(verdict.expiresAtSeconds == Self.now + runs) }
        for (name, word) in [("reduced_functionality_mode", "yes"), ("status", "contained")] {
            let worse = Self.host([
                "last_seen": .string(GraphFake.date(Self.now - seen)), name: .string(word),
            ])
            #expect(
                try Self.verdict(worse, onlineAt: Self.now).isSensorRunning == false,
                "a connection makes up for nothing else")
        }
    }

    @Test("a host last seen in the future, or never, says nothing: 300 s are forgiven, 301 are not")
    func future() throws {
        for (seen, isFresh) in [(Self.now + 300, true), (Self.now + 301, false)] {
            let verdict = try Self.verdict(Self.host(["last_seen": .string(GraphFake.date(seen))]))
            #expect(verdict.isFresh(atSeconds: Self.now) == isFresh)
        }
        for value: JSONValue? in [.null, nil, "yesterday", 1_770_000_000] {
            let verdict = try Self.verdict(Self.host(["last_seen": value]))
            #expect(!verdict.isFresh(atSeconds: Self.now) && verdict.isSensorRunning == false)
        }
    }

    @Test("agent id, serial and MAC name the host; randomised addresses and placeholders do not") func keys()
        throws
    {
        #expect(
            try Self.verdict().matchKey == "falcon-aid=\(Self.id);mac=7c214a0b1c2d;serial=PF3ABCDE")
        let odd = Self.host([
            "serial_number": "To Be Filled By O.E.M.", "mac_address": "7e-21-4a-0b-1c-2d",
            "connection_mac_address": .null,
        ])
        #expect(try Self.verdict(odd).matchKey == "falcon-aid=\(Self.id)")
    }

    @Test("what a person can do is said: failed signals, a silent sensor, isolation") func remedies() throws {
        #expect(try Self.verdict().remedies == ["CrowdStrike Falcon asks for: Secure Boot."])
        let contained = try Self.verdict(Self.host(["status": "contained"])).remedies
        #expect(contained.count == 1 && contained[0].contains("isolated this device"))
        let silent = try Self.verdict(Self.host(["last_seen": .null]), nil).remedies
        #expect(silent.count == 1 && silent[0].contains("has not reported"))
    }
}
