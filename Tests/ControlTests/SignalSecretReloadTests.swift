import Border
import Foundation
import JSON
import Posture
import Testing

@testable import Control

@Suite("A reload changes what a Shared Signals stream is known by", .timeLimit(.minutes(10)))
struct SignalSecretReloadTests {
    static let old = "Bearer push-secret-0001"
    static let new = "Bearer push-secret-0002"

    private func write(_ secret: String, _ house: Gatehouse) throws {
        let path = house.folder.appending(path: "secrets/push").path
        try Data(secret.utf8).write(to: URL(fileURLWithPath: path))
    }

    /// Whether a push is known by this; it carries no token, so it is refused in any case.
    private func isKnown(_ authorization: String, _ house: Gatehouse) async throws -> Bool {
        let response = await house.control.answer(
            house.request(
                "/.gatepost/signals/idp", method: "POST",
                [Field("authorization", authorization), Field("content-type", "application/json")],
                body: "{}"))
        #expect(response.status == 400)
        let word = try JSONValue(parsing: response.body)["err"]?.string
        #expect(word == "authentication_failed" || word == "invalid_request")
        return word == "invalid_request"
    }

    @Test(
        "000.21 the new Authorization value counts at once, the one before for two minutes after it is used")
    func rotated() async throws {
        let house = try Gatehouse(SignalTests.config, fetcher: Outside())
        try await house.control.start()
        #expect(try await isKnown(Self.old, house))
        #expect(try await !isKnown(Self.new, house))
        try write(Self.new, house)
        #expect(try await house.control.reload().changes == ["~ integration idp: settings"])
        #expect(try await isKnown(Self.old, house))
        #expect(try await isKnown(Self.new, house))
        house.advance(119)
        #expect(try await isKnown(Self.old, house))
        house.advance(1)
        #expect(try await !isKnown(Self.old, house))
        #expect(try await isKnown(Self.new, house))
        house.control.stop()
    }

    @Test(
        "a value that protects nothing is refused with the whole reload",
        arguments: ["short", "Bearer \u{7}0123456789"])
    func refused(_ secret: String) async throws {
        let house = try Gatehouse(SignalTests.config, fetcher: Outside())
        try await house.control.start()
        try write(secret, house)
        await #expect(throws: ControlFailure.self) { try await house.control.reload() }
        #expect(try await isKnown(Self.old, house))
        #expect(try await !isKnown(secret, house))
        house.control.stop()
    }

    @Test(
        "whose tokens count, and where they come from, takes a restart",
        arguments: [
            ("audience: https://auth.corp.example/ssf", "audience: https://other.example"),
            ("issuer: http://127.0.0.1:9/t1", "issuer: http://127.0.0.1:9/t2"),
            ("confirmed-by: [ health ]", "confirmed-by: []"),
        ])
    func others(_ old: String, _ new: String) async throws {
        let house = try Gatehouse(SignalTests.config, fetcher: Outside())
        try house.rewrite { $0.replacing(old, with: new) }
        await #expect(throws: ControlFailure.self) { try await house.control.reload() }
    }
}
