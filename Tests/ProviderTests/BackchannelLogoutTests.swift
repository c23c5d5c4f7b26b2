import Access
import Fetch
import Foundation
import JSON
import Signatures
import Store
import Testing

@testable import Identity
@testable import gatepost_lab

/// The lab's OpenID Provider and the gateway's relying party, with one clock and the real store; keys travel
/// over loopback HTTP.
private final class LogoutLab: Sendable {
    let clock = TestClock()
    let lab: Lab
    let store: SQLiteStore
    let flow: SignInFlow
    let sessions: Sessions
    let client: Client

    init() throws {
        lab = try Lab(
            ports: (0, 0, 0), clients: Client.demo(origins: ["https://auth.corp.example"]), devices: [],
            clock: clock.lab, log: LabLog(isSilent: true))
        client = lab.provider.clients[0]
        store = try GraphLab.store()
        let ring = KeyRing.ephemeral()
        let fetcher = CurlFetcher()
        var registration = IdentityProviderRegistration(
            name: "staff", issuer: lab.openidAddress, clientID: client.id, clientSecret: client.secret,
            displayName: "Staff")
        registration.allowsPlainHTTP = true
        flow = SignInFlow(
            configuration: IdentityConfiguration(
                authHost: "auth.corp.example", providers: [registration], applications: []),
            store: store, ring: ring, fetcher: fetcher,
            directory: ProviderDirectory(fetcher: fetcher, pause: { _ in }))
        sessions = Sessions(store: store, ring: ring)
    }

    deinit { lab.stop() }

    /// Alice with a session that the lab calls s-1, and with one that it calls s-2.
    func signIn() async throws {
        for sid in ["s-1", "s-2"] {
            _ = try await sessions.createGlobal(
                person: PersonFacts(
                    issuer: lab.openidAddress, subject: "lab-0001", claims: ["sid": .text(sid)]),
                provider: "staff", host: "auth.corp.example", idToken: nil, nowSeconds: clock.now,
                lifetimeSeconds: 3_600)
        }
    }

    func send(_ request: LogoutRequest) async -> BackchannelLogout {
        var step = FlowRequest(
            host: "auth.corp.example", path: "/.gatepost/backchannel-logout/staff", method: "POST",
            nowSeconds: clock.now)
        step.body = request.body
        return await flow.backchannelLogout(
            step, contentType: request.contentType, from: NetworkAddress(v4: 0x7f00_0001))
    }

    func send(_ fault: LogoutFault?, jti: String? = nil) async -> BackchannelLogout {
        await send(
            lab.provider.logoutRequest(
                to: client, subject: "lab-0001", sid: "s-1", tokenID: jti, fault: fault))
    }

    var names: Set<String> {
        get async throws {
            Set(try await store.sessions(.all, limit: 10).compactMap(\.providerSessionID))
        }
    }
}

@Suite("Logout tokens of the lab's provider, right ones and wrong ones")
struct BackchannelLogoutTests {
    @Test(
        "a logout token with a fault ends nothing",
        arguments: LogoutFault.allCases.filter { !$0.isTolerable })
    func refused(_ fault: LogoutFault) async throws {
        let lab = try LogoutLab()
        try await lab.signIn()
        guard case .refused(let what, false) = await lab.send(fault) else {
            Issue.record("\(fault) was taken")
            return
        }
        #expect(!what.isEmpty)
        #expect(try await lab.names == ["s-1", "s-2"])
        // The same without the fault is right: it was the fault, and nothing of it was used up.
        guard case .done(_, let ended) = await lab.send(nil) else {
            Issue.record("the token without the fault was refused")
            return
        }
        #expect(ended.count == 1)
        #expect(try await lab.names == ["s-2"])
    }

    @Test(
        "what real providers send beside the letter of the specification is taken",
        arguments: LogoutFault.allCases.filter(\.isTolerable))
    func tolerated(_ fault: LogoutFault) async throws {
        let lab = try LogoutLab()
        try await lab.signIn()
        guard case .done(_, let ended) = await lab.send(fault) else {
            Issue.record("\(fault) was refused")
            return
        }
        #expect(ended.count == 1)
        #expect(try await lab.names == ["s-2"])
    }

    @Test("a replayed token is refused, one more of the same session is not")
    func replayed() async throws {
        let lab = try LogoutLab()
        try await lab.signIn()
        guard case .done = await lab.send(nil, jti: "once"), case .refused = await lab.send(nil, jti: "once"),
            case .done = await lab.send(nil, jti: "again")
        else {
            Issue.record("replay")
            return
        }
    }

    @Test("two at the same moment: one is taken")
    func parallel() async throws {
        let lab = try LogoutLab()
        try await lab.signIn()
        let request = lab.lab.provider.logoutRequest(to: lab.client, subject: "lab-0001", sid: "s-1")
        let taken = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<16 {
                group.addTask { if case .done = await lab.send(request) { true } else { false } }
            }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(taken == 1)
    }

    @Test("a body of every length up to the whole is no logout, and no crash")
    func everySplit() async throws {
        let lab = try LogoutLab()
        try await lab.signIn()
        let whole = lab.lab.provider.logoutRequest(to: lab.client, subject: nil, sid: "s-1")
        for length in 0..<whole.body.count {
            lab.clock.now += 1
            let part = LogoutRequest(
                contentType: whole.contentType, body: Array(whole.body.prefix(length)))
            if case .done = await lab.send(part) { Issue.record("taken at \(length) bytes") }
            if length % 100 == 0 { lab.clock.now -= 100 }
        }
        #expect(try await lab.names == ["s-1", "s-2"])
    }

    @Test("every byte of the token counts: one that is changed is refused")
    func flipped() async throws {
        let lab = try LogoutLab()
        try await lab.signIn()
        let whole = lab.lab.provider.logoutRequest(to: lab.client, subject: nil, sid: "s-1")
        var seed: UInt64 = 20_261_121
        for _ in 0..<300 {
            lab.clock.now += 1
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            var part = whole
            let index = 13 + Int(seed >> 33) % (whole.body.count - 13)
            // The last character of a base64url part has bits that mean nothing; its decoder refuses them.
            part.body[index] = part.body[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            if case .done = await lab.send(part) { Issue.record("seed 20261121, byte \(index)") }
        }
        #expect(try await lab.names == ["s-1", "s-2"])
    }
}
