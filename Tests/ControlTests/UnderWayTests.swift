import Border
import Identity
import JSON
import Posture
import Store
import Testing

@testable import Control

@Suite("A first sign-in that is under way when somebody ends what it is about to become", .serialized)
struct UnderWayTests {
    typealias SignIn = SessionModel.SignIn

    /// Something that ends, made for the sign-in that is under way: by all that its provider calls it.
    struct Ending: CustomTestStringConvertible {
        var testDescription: String
        var isMeant: Bool
        var work: @Sendable (ControlPlane, SignIn) async throws -> Void
    }

    private static func signal(
        _ what: String, isMeant: Bool = true, _ target: @escaping @Sendable (SignIn) -> SignalTarget
    ) -> Ending {
        Ending(testDescription: "a signal about " + what, isMeant: isMeant) { control, signIn in
            let origin = SignalOrigin(stream: "s", tokenID: "j", transaction: nil, event: "session-revoked")
            try await control.carryOut([.endSessions(target(signIn))], of: origin)
        }
    }

    private static func command(
        _ what: String, isMeant: Bool = true, _ members: @escaping @Sendable (SignIn) -> JSONObject
    ) -> Ending {
        Ending(testDescription: "a command about " + what, isMeant: isMeant) { control, signIn in
            let answer = await control.execute(.object(members(signIn)))
            #expect(answer["error"] == nil, "\(answer.serializedText())")
        }
    }

    private static func target(_ change: (inout SignalTarget) -> Void) -> SignalTarget {
        var target = SignalTarget()
        change(&target)
        return target
    }

    private static func identity(_ signIn: SignIn) -> SignalTarget.Person {
        .identity(issuer: signIn.issuer, subject: signIn.subject)
    }

    private static let other = SignalTarget.Token(issuer: HeldProvider.issuers[0], id: "another")

    static let endings = [
        signal("the person") { signIn in target { $0.persons = [identity(signIn)] } },
        signal("the address") { signIn in target { $0.persons = [.email(signIn.email)] } },
        signal("the provider's session") { signIn in target { $0.sessions = [signIn.sid ?? ""] } },
        signal("the person's session") { signIn in
            target {
                $0.persons = [identity(signIn)]
                $0.sessions = [signIn.sid ?? ""]
            }
        },
        signal("a token of the person, where the provider gives tokens no ids") { signIn in
            target {
                $0.persons = [identity(signIn)]
                $0.tokens = [other]
            }
        },
        Ending(testDescription: "a signal that asks for a new proof of the person", isMeant: true) {
            control, signIn in
            let origin = SignalOrigin(stream: "s", tokenID: "j", transaction: nil, event: "credential-change")
            let meant = target { $0.persons = [identity(signIn)] }
            try await control.carryOut([.requireReauthentication(meant)], of: origin)
        },
        command("the address, which nothing bears yet") {
            ["command": "session-end", "person": .string($0.email)]
        },
        command("the address, in the older words") {
            ["command": "session-revoke", "user": .string($0.email.uppercased())]
        },
        command("the subject") {
            [
                "command": "session-end", "provider": .string($0.provider), "subject": .string($0.subject),
            ]
        },
        command("the provider") { ["command": "session-end", "provider": .string($0.provider)] },

        signal("somebody else", isMeant: false) { signIn in
            target { $0.persons = [.identity(issuer: signIn.issuer, subject: signIn.subject + "a")] }
        },
        signal("the subject at another issuer", isMeant: false) { signIn in
            target {
                $0.persons = [.identity(issuer: HeldProvider.issuers[1], subject: signIn.subject)]
            }
        },
        signal("another session of the person", isMeant: false) { signIn in
            target {
                $0.persons = [identity(signIn)]
                $0.sessions = ["another"]
            }
        },
        signal("the person on a device: none is proven yet", isMeant: false) { signIn in
            target {
                $0.persons = [identity(signIn)]
                $0.deviceID = "laptop"
            }
        },
        signal("somebody's token", isMeant: false) { _ in target { $0.tokens = [other] } },
        signal("nothing", isMeant: false) { _ in SignalTarget() },
        command("another address", isMeant: false) { _ in
            ["command": "session-end", "person": "eve@corp.example"]
        },
        command("another provider", isMeant: false) { _ in
            ["command": "session-end", "provider": "partner"]
        },
        command("a device", isMeant: false) { _ in ["command": "session-end", "device": "laptop"] },
        command("the application: whoever may comes back", isMeant: false) { _ in
            ["command": "session-end", "application": "wiki"]
        },
    ]

    /// A sign-in that its provider is being asked about, with a name of the provider's.
    private func begin(_ seed: UInt64 = 1) async throws -> (SessionStory, SignIn) {
        let story = try SessionStory(seed: seed)
        try await story.beginSignIn(0, "wiki", wanted: "corp")
        let signIn = try #require(story.callbacks.first?.signIn)
        guard signIn.sid != nil else {
            await story.house.finish()
            return try await begin(seed + 1)
        }
        try await story.comeBack(0)
        try #require(story.house.provider.held == 1)
        return (story, signIn)
    }

    private func rows(_ story: SessionStory) async throws -> [StoredSession] {
        try await story.house.store.sessions(.all, limit: 10)
    }

    @Test(
        "004.18 it counts for nothing where it was meant, and the next one in the second after it does",
        arguments: endings)
    func ended(_ ending: Ending) async throws {
        let (story, signIn) = try await begin()
        try await ending.work(story.house.control, signIn)
        story.say(.granted, to: 0)
        await story.house.settle()
        #expect(try await rows(story).count == (ending.isMeant ? 0 : 1))
        try await story.finishCallbacks()
        #expect((story.browsers[0].signIn == nil) == ending.isMeant)
        story.house.clock.advance(1)
        if ending.isMeant {
            try await story.beginSignIn(0, "wiki", wanted: "corp")
            try await story.comeBack(0)
            story.say(.granted, to: 0)
            await story.house.settle()
            #expect(try await rows(story).map(\.kind) == [.global])
        }
        await story.house.finish()
    }

    @Test("when the store fails, the event is not acknowledged, and nothing is said to have ended")
    func failing() async throws {
        let (story, signIn) = try await begin()
        try story.house.takeStoreAway()
        await #expect(throws: StoreError.self) {
            try await Self.endings[0].work(story.house.control, signIn)
        }
        try story.house.bringStoreBack()
        await story.house.finish()
    }
}
