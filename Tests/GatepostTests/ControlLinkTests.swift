import Border
import DataPlane
import Foundation
import Testing

@testable import gatepost

@Suite("The control process, as the data process has it", .timeLimit(.minutes(10)))
struct ControlLinkTests {
    private struct NoEngine: Error {}

    private struct House {
        let link: ControlLink
        let broken = Told<String>()

        init() throws {
            let broken = broken
            guard let bell = Bell() else { throw NoEngine() }
            link = ControlLink(inbox: try ControlInbox(), bell: bell) { _ in
                throw NoEngine()
            } broken: {
                broken.add("\($0)")
            }
        }

        /// A control process that was greeted.
        func connect() async throws -> FakePeer {
            let peer = try FakePeer()
            link.connect(messages: peer.theirs.messages, revocations: peer.theirs.revocations)
            #expect(try await peer.hear(FromData.self) == .greeting(BorderGreeting()))
            #expect(try await peer.hear(FromData.self) == .state(sequence: 0, revision: 0))
            return peer
        }
    }

    @Test("bytes that are no value are reported, and the connection ends")
    func noValue() async throws {
        let house = try House()
        let peer = try await house.connect()
        try peer.write([2, 0, 0, 0, 0xff, 0xff])
        #expect(try await house.broken.first()[0].contains("no value"))
        #expect(try await peer.hear(FromData.self) == nil)
    }

    @Test("a length beyond what a frame may have is reported before anything is collected")
    func tooLong() async throws {
        let house = try House()
        let peer = try await house.connect()
        try peer.write([0xff, 0xff, 0xff, 0xff])
        _ = try await house.broken.first()
    }

    @Test("what comes before a greeting, and a second greeting, are reported")
    func order() async throws {
        let house = try House()
        try await house.connect().say(ToData.pause)
        #expect(try await house.broken.first()[0].contains("before it greeted"))
        let other = try await house.connect()
        for _ in 0..<2 { try other.say(ToData.greeting(BorderGreeting())) }
        #expect(try await house.broken.first(2)[1].contains("twice"))
    }

    @Test("a control process of versions that have nothing in common is left alone, without a report")
    func versions() async throws {
        let house = try House()
        let peer = try await house.connect()
        try peer.say(ToData.greeting(BorderGreeting(newest: 0, oldest: 0)))
        #expect(try await peer.hear(FromData.self) == nil)
        #expect(house.broken.count == 0)
    }

    @Test("the end of one control process is no breach, and the next one is greeted with what is known")
    func next() async throws {
        let house = try House()
        do {
            let first = try await house.connect()
            try first.say(ToData.greeting(BorderGreeting()))
            try first.say(ToData.pause)
            #expect(try await first.hear(FromData.self) == .paused)
        }
        _ = try await house.connect()
        #expect(house.broken.count == 0)
    }
}
