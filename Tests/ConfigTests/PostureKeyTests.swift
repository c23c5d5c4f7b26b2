import Access
import Testing

@testable import Config

@Suite("What an application asks of the handshake is configured")
struct PostureKeyTests {
    let folder: ConfigFolder
    init() throws { folder = try ConfigFolder() }

    /// The sample's application, with or without a policy about devices; its agent integration may have an age.
    private func text(_ posture: String, agentAge: String = "", asksForDevice: Bool = true) -> String {
        let text = Sample.text
            .replacing("{ provider: endpoint-agent", with: "{ provider: endpoint-agent\(agentAge)")
            .replacing("identity-providers: [ corp ]", with: "identity-providers: [ corp ]\n    \(posture)")
        return asksForDevice ? text : text.replacing(", require: [ { device: compliant } ]", with: "")
    }

    private func demand(_ posture: String, agentAge: String = "") throws -> PostureDemand? {
        try folder.write("gatepost.yaml", text(posture, agentAge: agentAge))
        return try folder.load().policy.applications[0].posture
    }

    @Test("004.6 every key reaches the policy")
    func read() throws {
        let all =
            "posture: { max-age: 5m, modes: [x5c], transports: [popup, fetch], minimum-version: \"1.2\" }"
        #expect(
            try demand(all)
                == PostureDemand(
                    modes: [.x5c], transports: [.popup, .fetch], ageSecondsMax: 300, minimumVersion: "1.2"))
    }

    @Test("15 minutes are the standard, and never more than the integration's max-age")
    func standard() throws {
        #expect(try demand("posture: { modes: [x5c] }")?.ageSecondsMax == 900)
        #expect(try demand("posture: { modes: [x5c] }", agentAge: ", max-age: 5m")?.ageSecondsMax == 300)
        #expect(try demand("posture: { modes: [x5c] }", agentAge: ", max-age: 2h")?.ageSecondsMax == 900)
        #expect(try demand("posture: { max-age: 2h }", agentAge: ", max-age: 2h")?.ageSecondsMax == 7_200)
        let standard = try demand("posture: { max-age: 1m }")
        #expect(standard?.modes == [.x5c, .statement] && standard?.transports == HandshakeTransport.allCases)
    }

    @Test(
        "without the key a proof ages all the same, however it came about, at an agent's or a provider's word",
        arguments: [("", 900), (", max-age: 5m", 300), (", max-age: 2h", 900)] as [(String, Int64)])
    func unwritten(_ agentAge: String, _ seconds: Int64) throws {
        let standard = try #require(try demand("tags: [internal]", agentAge: agentAge))
        #expect(standard == .aging(ageSecondsMax: seconds))
        #expect(standard.modes == HandshakeMode.allCases, "of its kind nothing is asked that nobody wrote")
        #expect(standard.transports == HandshakeTransport.allCases && standard.minimumVersion == nil)
    }

    @Test("nothing is asked where no device is")
    func none() throws {
        try folder.write("gatepost.yaml", text("tags: [internal]", asksForDevice: false))
        #expect(try folder.load().policy.applications[0].posture == nil)
    }

    @Test("off, and nothing else, lets a proof count as long as the sign-in")
    func off() throws {
        let demand = try #require(try demand("posture: { max-age: off }", agentAge: ", max-age: 5m"))
        #expect(demand.ageSecondsMax == nil && demand.modes == [.x5c, .statement])
        let problems = try folder.problems(text("posture: { max-age: never }"))
        #expect(problems.contains { $0.contains("posture.max-age") && $0.contains("never") }, "\(problems)")
    }

    @Test(
        "what has no effect or is unsafe is refused with the key named",
        arguments: [
            ("posture: { max-age: 901s }", "max-age", "beyond the 900s"),
            ("posture: { max-age: 59s }", "max-age", ""), ("posture: { modes: [static] }", "modes", "static"),
            ("posture: { modes: [x5c, static] }", "modes", "static"),
            ("posture: { modes: [] }", "modes", "empty"), ("posture: { modes: [tpm] }", "modes", "tpm"),
            ("posture: { transports: [carrier-pigeon] }", "transports", "carrier-pigeon"),
            ("posture: { transports: [fetch, fetch] }", "transports", "twice"),
            ("posture: { minimum-version: \"1.x\" }", "minimum-version", "1.x"),
            ("posture: { max-ages: 5m }", "max-ages", "max-age"),
        ])
    func refused(_ posture: String, _ key: String, _ word: String) throws {
        let problems = try folder.problems(text(posture))
        #expect(problems.contains { $0.contains("posture.\(key)") && $0.contains(word) }, "\(problems)")
    }

    @Test("it has no effect where no policy asks for a device")
    func ineffective() throws {
        let problems = try folder.problems(text("posture: { max-age: 5m }", asksForDevice: false))
        #expect(problems.contains { $0.contains("no policy asks for a device") }, "\(problems)")
    }
}
