import Border
import Foundation
import JSON
import Testing

@testable import Config
@testable import Control

/// A change to the configuration and what the administrator is told.
struct UnappliedCase: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var change: @Sendable (inout ConfigSnapshot) -> Void
    var expected: String?

    init(_ name: String, _ expected: String?, _ change: @escaping @Sendable (inout ConfigSnapshot) -> Void) {
        testDescription = name
        self.expected = expected
        self.change = change
    }
}

@Suite("What a running gateway cannot take is named, with how it is applied")
struct UnappliedChangesTests {
    private static let stays = "changed; the running configuration stays;"
    private static let upgrade = "\(stays) apply it with: gatepost upgrade"
    private static let restart = "\(stays) restart the gateway to apply it"

    static let table: [UnappliedCase] = [
        .init("nothing", nil) { _ in },
        .init("what is applied", nil) { $0.gateway.accessLog.toggle() },
        .init("the auth host", "gateway.auth-host \(upgrade) (no request is lost)") {
            $0.gateway.authHost = "other.corp.example"
        },
        .init("the public port", "gateway.public-port \(upgrade) (no request is lost)") {
            $0.gateway.publicPort = 1
        },
        .init("the keys", "gateway.keys-folder \(upgrade) (no request is lost)") {
            $0.gateway.keysFolder = "/k"
        },
        .init("the decision log", "gateway.decision-log \(upgrade) (no request is lost)") {
            $0.gateway.decisionLog = nil
        },
        .init("integrations", "integrations \(upgrade) (no request is lost)") { config in
            config.integrations = []
        },
        .init("the number of reactors", "gateway.workers \(restart)") { $0.gateway.workers = 7 },
        .init("the user", "gateway.user \(restart)") { $0.gateway.user = "nobody" },
        .init("the number of processes", "gateway.processes \(restart)") {
            $0.gateway.hasTwoProcesses = false
        },
        .init("listeners and what an upgrade would apply", "gateway.listeners, gateway.auth-host \(restart)")
        {
            $0.gateway.listeners[0].port &+= 1
            $0.gateway.authHost = "other.corp.example"
        },
    ]

    @Test(arguments: table) func `the message names every key, and upgrade only where it helps`(
        _ c: UnappliedCase
    )
        throws
    {
        let old = try Gatehouse().control.services.config
        var new = old
        c.change(&new)
        #expect(UnappliedChanges(from: old, to: new).message == c.expected)
    }

    @Test func `one process cannot be upgraded: it has to be restarted`() throws {
        var old = try Gatehouse().control.services.config
        old.gateway.hasTwoProcesses = false
        var new = old
        new.gateway.authHost = "other.corp.example"
        #expect(UnappliedChanges(from: old, to: new).message == "gateway.auth-host \(Self.restart)")
    }

    @Test func `where the socket moves, upgrade is told with the one that the running gateway has`() throws {
        let old = try Gatehouse().control.services.config
        var new = old
        new.gateway.storeFolder = "/elsewhere"
        new.gateway.adminSocket = "/elsewhere/gatepost.sock"
        let message = try #require(UnappliedChanges(from: old, to: new).message)
        #expect(message.hasPrefix("gateway.store, gateway.admin-socket \(Self.upgrade) --socket "))
        #expect(message.contains("--socket \(old.gateway.adminSocket) (no request"))
    }

    /// A value that is allowed and is not the default.
    private static func other(_ key: KeySpec) throws -> (value: String, isRaised: Bool) {
        let raised = ["head-bytes-max", "upstream-idle-per-reactor-max", "http2-frames-per-second-max"]
        let isRaised = raised.contains(key.name)
        switch key.shape {
        case .integer(let range), .size(let range):
            return ("\(isRaised ? range.upperBound : range.lowerBound)", isRaised)
        case .duration(let range): return ("\(range.upperBound)s", true)
        default:
            Issue.record("\(key.name) has a shape that no limit has")
            return ("", false)
        }
    }

    @Test("every limit is applied by a reload, or named as one that is not") func limits() async throws {
        let atTheStart = ["connections-max", "sessions-cached-max", "upstream-idle-per-reactor-max"]
        #expect(LimitsSection.table.keys.count > 25)
        for key in LimitsSection.table.keys {
            let house = try Gatehouse()
            let before = house.control.snapshot.limits
            let settings = house.control.services.config.gateway.limits
            let value = try Self.other(key).value
            try house.rewrite {
                $0.replacing(
                    "store: sqlite:state\n",
                    with: "store: sqlite:state\n  limits: { \(key.name): \(value) }\n")
            }
            let answer = await house.control.execute(["command": "reload"])
            guard !atTheStart.contains(key.name) else {
                let words = "gateway.limits.\(key.name) \(Self.upgrade) (no request is lost)"
                #expect(answer["error"]?.string?.hasSuffix("\n" + words) == true, "\(key.name): \(answer)")
                #expect(house.control.snapshot.limits == before, "\(key.name)")
                continue
            }
            #expect(answer["error"] == nil, "\(key.name): \(answer)")
            #expect(house.control.services.config.gateway.limits != settings, "\(key.name)")
            // How long the device check waits is the control plane's own.
            let isReactors = key.name != "first-contact"
            #expect((house.control.snapshot.limits != before) == isReactors, "\(key.name) reaches no reactor")
        }
    }

    @Test func `limits that nobody set are the data plane's own`() throws {
        #expect(try Gatehouse().control.snapshot.limits == Limits())
    }

    @Test func `fewer idle upstream connections than there is room for are kept from the next reload on`()
        throws
    {
        let old = try Gatehouse().control.services.config
        var new = old
        new.gateway.limits.upstreamIdlePerReactorMax -= 1
        #expect(UnappliedChanges(from: old, to: new).message == nil)
        #expect(
            UnappliedChanges(from: new, to: old).message?.contains("upstream-idle-per-reactor-max") == true)
    }
}
