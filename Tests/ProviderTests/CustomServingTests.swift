import Access
import JSON
import Signatures
import Store
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("Others ask for our verdicts in the same contract; Alice's device is compliant at Jamf")
struct CustomServingTests {
    static let audience = "urn:corp:posture"
    static let pair = Result { try GraphLab.certificate() }
    let fixture: VendorFixture
    let service: PostureService
    let key: SigningKey

    init() async throws {
        fixture = try VendorFixture(.jamf)
        let pair = try Self.pair.get()
        key = try SigningKey(pem: pair.key)
        let connection = ProviderConnection(
            integration: "asker", provider: "custom", texts: ["caller-audience": Self.audience],
            files: ["caller-certificate": pair.chain])
        let store = try GraphLab.store()
        try await store.upsert(
            StoredDevice(
                id: "device-1", ownerIssuer: "https://issuer.example", ownerSubject: "alice",
                platform: .macos,
                keyThumbprint: "thumbprint", certificateSerial: "01", enrolledAtSeconds: TestClock.start,
                certificateNotAfterSeconds: TestClock.start + 864_000,
                pinnedIDs: ["serial": VendorFixture.serial]))
        let caller = try #require(try EvaluationCaller(connection))
        service = PostureService(
            agents: [], connectors: [try fixture.connector()], evaluationCallers: [caller],
            ring: .ephemeral(),
            store: store, clock: fixture.clock.posture, random: { 0.5 })
        try await service.load()
        await service.refreshDue()
    }

    private func assertion(_ replaced: JSONObject = [:], by key: SigningKey? = nil) -> String {
        let now = fixture.clock.now
        var claims: JSONObject = [
            "aud": [.string(Self.audience)], "iat": .integer(now), "nbf": .integer(now),
            "exp": .integer(now + 300),
        ]
        // Null stands for: not there at all.
        for member in replaced.members { claims[member.name] = member.value }
        claims = JSONObject(claims.members.filter { $0.value != .null }.map { ($0.name, $0.value) })
        return JWS.sign(header: [:], payload: claims, with: key ?? self.key)
    }

    private func ask(_ devices: JSONValue, _ assertion: String?) async -> EvaluationReply {
        await service.evaluate(
            assertion: assertion, body: JSONValue.object(["devices": devices]).serialized())
    }

    private func entry(_ device: JSONObject) async -> JSONValue? {
        await ask([.object(device)], assertion()).document["result"]?[device["device_id"]?.string ?? ""]
    }

    @Test("001.23 by our id or by a pinned serial number; the answer says how long it holds") func found()
        async
    {
        for device in [
            ["device_id": "device-1"], ["device_id": "theirs", "serial_number": "lab-alice-0001"],
        ] as [JSONObject] {
            #expect(
                await entry(device)
                    == ["s2s_id": "device-1", "score": 100, "state": "compliant", "expires_in": 3_600])
        }
    }

    @Test("every id that was asked for is answered, an unknown one with 0") func unknown() async {
        let reply = await ask(
            [["device_id": "a"], ["device_id": "device-1"], ["device_id": "b"]], assertion())
        #expect(reply.status == 200 && reply.document["result"]?.object?.members.count == 3)
        #expect(reply.document["result"]?["a"] == ["s2s_id": "", "score": 0])
    }

    @Test("a worse verdict is worse here, too, and one that has ended is worth nothing") func worse() async {
        fixture.change(["compliance": "NON_COMPLIANT"])
        await service.priorityFetch(deviceID: "device-1")
        #expect(await entry(["device_id": "device-1"])?["score"] == 0)
        #expect(await entry(["device_id": "device-1"])?["state"] == "noncompliant")
        fixture.clock.now += 86_400
        #expect(await entry(["device_id": "device-1"])?["state"] == "unknown")
        #expect(await entry(["device_id": "device-1"])?["expires_in"] == 0)
    }

    @Test(
        "exactly at its end the verdict is worth nothing",
        arguments: [(3_599, 100), (3_600, 0)] as [(Int64, Int64)])
    func ends(_ seconds: Int64, _ score: Int64) async {
        fixture.clock.now += seconds
        #expect(await entry(["device_id": "device-1"])?["score"] == .integer(score))
    }

    static let refusals: [JSONObject] = [
        ["aud": "urn:other"], ["aud": ["urn:corp"]], ["aud": .null], ["exp": .null], ["exp": "soon"],
        ["exp": .integer(TestClock.start)], ["exp": .integer(TestClock.start + 3_661)],
        ["exp": .integer(.max)], ["nbf": .integer(TestClock.start + 61)],
        ["iat": .integer(TestClock.start + 61)],
        ["iat": "now"],
    ]

    @Test("an assertion for another audience, too old, too new or too long is 403", arguments: refusals)
    func refused(_ claims: JSONObject) async {
        let reply = await ask([], assertion(claims))
        #expect(reply.status == 403 && reply.document["success"] == false)
        #expect(reply.document["error"]?.string?.isEmpty == false)
    }

    @Test("the bounds are inclusive where they say so") func accepted() async {
        let now = TestClock.start
        for claims in [
            ["aud": .string(Self.audience)], ["exp": .integer(now + 1)], ["exp": .integer(now + 3_660)],
            ["nbf": .integer(now + 60)], ["iat": .null, "nbf": .null],
        ] as [JSONObject] {
            #expect(await ask([], assertion(claims)).status == 200, "\(claims)")
        }
    }

    @Test("without an assertion, with nonsense, or signed by somebody else: 403") func strangers()
        async throws
    {
        for text in [nil, "", "a.b.c", assertion() + "x", assertion(by: .generateP256())] {
            #expect(await ask([], text).status == 403)
        }
    }

    @Test("what is no request of the contract is 400; exactly 1,000 devices are one, 1,001 are none")
    func malformed() async {
        for devices in ["x", [1], [["email": "a"]], [["device_id": ""]], [["device_id": 5]]] as [JSONValue] {
            #expect(await ask(devices, assertion()).status == 400)
        }
        #expect(await service.evaluate(assertion: assertion(), body: Array("{".utf8)).status == 400)
        for (count, status) in [(1_000, 200), (1_001, 400)] {
            let devices = (0..<count).map { JSONValue.object(["device_id": .string("d\($0)")]) }
            #expect(await ask(.array(devices), assertion()).status == status)
        }
    }

    @Test("a certificate that is none is no configuration; without one nobody may ask") func configuration()
        throws
    {
        var connection = ProviderConnection(integration: "asker", provider: "custom")
        #expect(try EvaluationCaller(connection) == nil)
        connection.files["caller-certificate"] = Array("x".utf8)
        #expect(throws: ConnectorFailure.self) { try EvaluationCaller(connection) }
        connection.texts["caller-audience"] = "a"
        #expect(throws: ConnectorFailure.self) { try EvaluationCaller(connection) }
    }
}
