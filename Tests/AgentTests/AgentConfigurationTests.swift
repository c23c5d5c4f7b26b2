import Foundation
import Glibc
import JSON
import Testing

@testable import gatepost_agent

@Suite("The administrator's file: strict, and a mistake never widens what is said")
struct AgentConfigurationTests {
    static func read(_ text: String) -> Result<AgentConfiguration, AgentConfiguration.Problem> {
        do throws(AgentConfiguration.Problem) {
            return .success(
                try AgentConfiguration(bytes: Array(text.utf8)) { ["ada": 1000, "bob": 1001][$0] })
        } catch {
            return .failure(error)
        }
    }

    static let facts = JSONObject([
        ("os_name", "debian"), ("secure_boot", true), ("hostname", "desk-7"),
        ("device_ids", ["serial": "S1", "falcon_aid": "F1"]),
        ("device_id_sources", ["serial": "dmi", "falcon_aid": "administrator-file"]),
    ])

    @Test("ports, permissions and users are read; one that is not named beside them learns nothing")
    func whole() throws {
        let configuration = try Self.read(
            """
            {"ports": [17473, 1024], "gateways": {"https://auth.corp.example:8443":
             {"permit": ["os-name", "serial"], "users": ["bob", "ada"]}}}
            """
        ).get()
        #expect(configuration.ports == [17_473, 1024])
        let rules = configuration["https://auth.corp.example:8443"]
        #expect(rules.users == [1001, 1000])
        #expect(rules.permitted == .only(["os-name", "serial"]))
        #expect(configuration["https://auth.corp.example"].permitted == .only([]))
        #expect(try Self.read("{}").get().ports.isEmpty)
    }

    static let broken: [(String, String)] = [
        ("", "JSON"), ("[]", "JSON"), ("{\"ports\":[],\"ports\":[1024]}", "twice"), ("{\"port\":1}", "port"),
        ("{\"ports\":17473}", "ports"), ("{\"ports\":[1023]}", "ports"), ("{\"ports\":[65536]}", "ports"),
        ("{\"ports\":[1024,1024]}", "ports"), ("{\"ports\":[1024,\"1025\"]}", "ports"),
        ("{\"ports\":[1024,1025,1026,1027,1028,1029,1030,1031,1032]}", "ports"),
        ("{\"gateways\":[]}", "gateways"), ("{\"gateways\":{\"http://a\":{}}}", "http://a"),
        ("{\"gateways\":{\"https://A\":{}}}", "https://A"),
        ("{\"gateways\":{\"https://a\":[]}}", "https://a"),
        ("{\"gateways\":{\"https://a\":{\"permits\":[]}}}", "permits"),
        ("{\"gateways\":{\"https://a\":{\"permit\":\"os-name\"}}}", "permit"),
        ("{\"gateways\":{\"https://a\":{\"permit\":[1]}}}", "permit"),
        ("{\"gateways\":{\"https://a\":{\"permit\":[\"os_name\"]}}}", "os_name"),
        ("{\"gateways\":{\"https://a\":{\"permit\":[\"serial-number\"]}}}", "serial-number"),
        ("{\"gateways\":{\"https://a\":{\"users\":[\"eve\"]}}}", "eve"),
        ("{\"gateways\":{\"https://a\":{\"users\":[]}}}", "nobody"),
    ]

    @Test("whatever is unknown, doubled or of another shape is an error that names it", arguments: broken)
    func refused(_ text: String, _ named: String) {
        guard case .failure(let problem) = Self.read(text) else {
            Issue.record("\(text) was taken")
            return
        }
        #expect(problem.what.contains(named), "\(problem.what)")
    }

    @Test("a file that others can change is refused, and a named file must be there") func file() throws {
        let folder = try TemporaryFolder()
        try folder.put("/agent.json", "{\"ports\":[17473]}")
        let path = folder.path + "/agent.json"
        chmod(path, 0o644)
        #expect(try AgentConfiguration(path: path).ports == [17_473])
        chmod(path, 0o664)
        #expect(throws: AgentError.self) { try AgentConfiguration(path: path) }
        #expect(throws: AgentError.self) { try AgentConfiguration(path: folder.path + "/other.json") }
        #expect(throws: AgentError.self) { try AgentConfiguration(path: folder.path) }
    }

    @Test("sent is what was asked for and permitted, id by id") func disclosed() {
        let facts = Self.facts
        let all = PermittedClaims.all
        #expect(all.disclosed(of: facts) == facts)
        #expect(all.disclosed(of: facts, requested: ["os-name"]) == JSONObject([("os_name", "debian")]))
        #expect(all.disclosed(of: facts, requested: []).isEmpty)
        let none = PermittedClaims.only([])
        #expect(none.disclosed(of: facts).isEmpty)
        let serial = PermittedClaims.only(["serial", "secure-boot"])
        let sent = serial.disclosed(of: facts, requested: ["device-ids", "secure-boot", "hostname"])
        #expect(sent == JSONObject([("secure_boot", true), ("device_ids", ["serial": "S1"])]))
        #expect(serial.disclosed(of: facts)["device_id_sources"] == ["serial": "dmi"])
        #expect(serial.disclosed(of: facts, requested: ["secure-boot"])["device_ids"] == nil, "not asked for")
        #expect(
            PermittedClaims.only(["device-ids"]).disclosed(of: facts)["device_ids"] == facts["device_ids"])
    }

    @Test("the privacy view says to whom, what was asked, what is sent and what is kept back") func view()
        throws
    {
        let setting = try AgentSetting()
        let view = PrivacyView(
            enrolment: setting.identity.enrolment, permitted: .only(["os-name", "hostname"]),
            asked: ["os-name", "secure-boot"], facts: Self.facts
        ).object
        #expect(view["device"] == "device-1" && view["asked"] == ["os-name", "secure-boot"])
        #expect(view["sent"] == ["os_name": "debian"])
        #expect(view["not_sent"] == ["device-id-sources", "device-ids", "hostname", "secure-boot"])
    }

    @Test("no two gateways are told the same id of the machine, and a collector knows none") func machineID()
        throws
    {
        let folder = try TemporaryFolder()
        try folder.put("/etc/machine-id", "0123456789abcdef0123456789abcdef\n")
        let root = HostRoot(folder.path)
        let ids = ["https://a.example", "https://b.example"].map {
            FactProbes.ofOneGateway($0, root, rulesPath: "/none")["machine_id"]
        }
        #expect(ids[0] != nil && ids[1] != nil && ids[0] != ids[1])
        let names = FactProbes.ofEveryGateway(deviceIDsPath: "/none", rulesPath: "/none").flatMap(\.names)
        #expect(!names.contains("machine_id") && names.contains("hostname"))
    }

    @Test("an answer discloses nothing that is not permitted, also not beside the facts") func assertion()
        throws
    {
        let setting = try AgentSetting()
        let folder = setting.folder
        try folder.put("/machine/sys/firmware/x", "")
        let maker = AssertionMaker(
            identity: setting.identity,
            collector: FactCollector(
                root: HostRoot(folder.path + "/machine"),
                probes: FactProbes.all(deviceIDsPath: "/none", machineIDKey: [1])),
            counter: try StatementCounter(folder: setting.identity.folder),
            permitted: .only(["os-name"]), asked: AskedClaims(folder: setting.identity.folder))
        let gate = AttestGate(
            identity: setting.identity, maker: maker, users: [1000], peerUser: { _ in 1000 })
        let challenge = setting.challenge(payload: { $0["req"] = ["os-name", "secure-boot", "platform"] })
        let body = JSONValue.object(JSONObject([("challenge", .string(challenge))])).serialized()
        let answer = gate.attest(
            AgentSetting.post(), body: body, peer: AgentSetting.peer, nowSeconds: AgentSetting.now,
            nowMilliseconds: 0)
        let payload = try AgentSetting.payload(answer)
        #expect(payload["posture"] == ["os_name": "debian"])
        #expect(payload["oemboot"] == nil, "secure_boot under its other name")
        #expect(AskedClaims.read(setting.identity.folder) == ["os-name", "secure-boot", "platform"])
    }
}
