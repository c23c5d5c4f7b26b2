import Border
import Testing

@testable import gatepost

@Suite("What a data process may say to the control process")
struct DataConversationTests {
    private static func bytes(_ value: FromData) throws -> [UInt8] { try BinaryEncoding.bytes(of: value) }

    /// - Returns: nil: its versions are none of ours.
    private static func say(_ values: [FromData], uptime: UInt64 = 10) throws -> FromData? {
        var conversation = DataConversation()
        var last: FromData?
        for value in values { last = try conversation.take(try bytes(value), uptimeSeconds: uptime) }
        return last
    }

    private static let greeting = FromData.greeting(BorderGreeting())
    private static let state = FromData.state(sequence: 3, revision: 1)

    @Test("greeting, state, what it knows, questions: in this order everything is taken")
    func order() throws {
        let all = [Self.greeting, Self.state, .known([], isLast: true), .message(Samples.pull(1)), .paused]
        #expect(try Self.say(all) == .paused)
    }

    @Test(
        "out of order it is a breach",
        arguments: [
            [state], [greeting, greeting], [greeting, .message(Samples.pull(1))], [greeting, state, state],
            [greeting, .known([], isLast: true)], [greeting, .paused],
            [greeting, state, .known([], isLast: true), .known([], isLast: true)],
        ])
    func breaches(_ values: [FromData]) {
        #expect(throws: BorderBreach.self) { try Self.say(values) }
    }

    @Test("versions that have nothing in common are no breach, and nothing more is taken")
    func versions() throws {
        let other = FromData.greeting(BorderGreeting(newest: 0, oldest: 0))
        #expect(try Self.say([other]) == nil)
    }

    @Test("bytes that are no value are an error")
    func noValue() {
        var conversation = DataConversation()
        #expect(throws: (any Error).self) { try conversation.take([0xff, 0xff, 0xff], uptimeSeconds: 1) }
    }

    @Test(
        "numbers that nobody can have given since the host started are a breach; the last possible ones are not",
        arguments: [
            (10_999_999, 10_999, true), (11_000_000, 1, false), (1, 11_000, false), (UInt64.max, 1, false),
            (1, UInt64.max, false),
        ] as [(UInt64, UInt64, Bool)])
    func plausible(_ sequence: UInt64, _ revision: UInt64, _ isTaken: Bool) throws {
        let values = [Self.greeting, FromData.state(sequence: sequence, revision: revision)]
        if isTaken {
            #expect(try Self.say(values, uptime: 10) != nil)
        } else {
            #expect(throws: BorderBreach.self) { try Self.say(values, uptime: 10) }
        }
    }

    @Test("as many records as a sound process keeps are taken, one more is a breach")
    func records() throws {
        var conversation = DataConversation()
        for value in [Self.greeting, Self.state] {
            _ = try conversation.take(try Self.bytes(value), uptimeSeconds: 10)
        }
        let record = KnownRecord(digest: [1], session: "s", application: "a")
        let thousand = try Self.bytes(.known([KnownRecord](repeating: record, count: 1_000), isLast: false))
        for _ in 0..<(KnownRecords.recordsMax / 1_000) {
            _ = try conversation.take(thousand, uptimeSeconds: 10)
        }
        let one = try Self.bytes(.known([record], isLast: true))
        #expect(throws: BorderBreach.self) { try conversation.take(one, uptimeSeconds: 10) }
    }

    @Test("remarks: the burst and then so many a second, whatever comes")
    func remarks() {
        var conversation = DataConversation()
        // The first second has its own beside the burst, which is the most that is ever saved.
        let first = (0..<200_000).count { _ in conversation.mayRemark(uptimeSeconds: 5) }
        #expect(first == DataConversation.remarksAtOnceMax)
        let next = (0..<200_000).count { _ in conversation.mayRemark(uptimeSeconds: 6) }
        #expect(next == DataConversation.remarksPerSecond)
    }

    @Test("as many questions wait as there is room for, in number and in bytes; one more is refused")
    func waiting() {
        var waiting = WaitingQuestions()
        var taken = 0
        for slot in 0..<WaitingQuestions.countMax {
            if waiting.add(Self.ticket(UInt32(slot)), bytes: 10, uptimeSeconds: 100) { taken += 1 }
        }
        #expect(taken == WaitingQuestions.countMax)
        let beyond = Self.ticket(99_999)
        var answers = [waiting.add(beyond, bytes: 10, uptimeSeconds: 100)]
        waiting.remove(Self.ticket(3))
        answers.append(waiting.add(beyond, bytes: 10, uptimeSeconds: 100))
        // What was never answered does not keep everybody out for ever.
        let old = 100 + WaitingQuestions.secondsMax
        answers.append(waiting.add(beyond, bytes: 10, uptimeSeconds: old - 1))
        answers.append(waiting.add(beyond, bytes: 10, uptimeSeconds: old))
        #expect(answers == [false, true, false, true])
        #expect(waiting.count == 1 && waiting.bytes == 10)

        var large = WaitingQuestions()
        answers = [large.add(beyond, bytes: WaitingQuestions.bytesMax, uptimeSeconds: 1)]
        answers.append(large.add(beyond, bytes: 1, uptimeSeconds: 1))
        #expect(answers == [true, false])
        large.remove(beyond)
        large.remove(beyond)
        #expect(large.count == 0 && large.bytes == 0)
    }

    private static func ticket(_ slot: UInt32) -> Ticket { Ticket(reactor: 0, slot: slot, generation: 1) }
}

extension KnownRecord {
    init(digest: [UInt8], session: String, application: String) {
        var record = SessionRecord.sample
        record.tokenDigest = digest
        record.session = session
        record.application = application
        self.init(record)
    }
}
