import Config
import Testing

@testable import Control

@Suite("The bookkeeping of the blast-radius guard")
struct BlastRadiusTests {
    static let silence = HeldCause(kind: .absence(["health"]))

    static func loss(_ session: Int, _ cause: HeldCause = silence) -> SessionLoss {
        SessionLoss(
            session: "s\(session)", person: "p\(session)", application: "vault", device: "d\(session)",
            cause: cause)
    }

    private func settle(
        _ radius: inout BlastRadius, _ losses: [SessionLoss], live: Int, at now: Int64
    ) -> BlastRadius.Ruling {
        radius.beginBatch()
        return radius.settle(losses, live: live, nowSeconds: now)
    }

    @Test("a single loss waits for the batch that is open, and goes with it") func provisional() {
        var radius = BlastRadius(settings: BlastRadiusSettings())
        radius.beginBatch()
        let alone = radius.judge(Self.loss(99), live: 100, nowSeconds: 0)
        #expect(alone.held == ["s99"] && alone.begun.isEmpty && alone.new.isEmpty, "nobody is told yet")
        let few = radius.settle([Self.loss(1)], live: 100, nowSeconds: 0)
        #expect(few.held.isEmpty && few.letGo == ["s99"])
        #expect(radius.held(nowSeconds: 0).isEmpty)
        radius.beginBatch()
        _ = radius.judge(Self.loss(98), live: 100, nowSeconds: 400)
        let many = radius.settle((0..<20).map { Self.loss($0) }, live: 100, nowSeconds: 400)
        #expect(many.held.count == 21 && many.letGo.isEmpty)
        #expect(many.begun == [Self.silence] && many.new.count == 21)
        let again = settle(&radius, [Self.loss(3)], live: 100, at: 401)
        #expect(again.held == ["s3"] && again.begun.isEmpty && again.new.isEmpty)
    }

    @Test("two causes of one batch are judged together, and shown and released apart") func causes() {
        var radius = BlastRadius(settings: BlastRadiusSettings())
        let other = HeldCause(kind: .absence(["mdm"]))
        let losses = (0..<11).map { Self.loss($0) } + (11..<21).map { Self.loss($0, other) }
        let ruling = settle(&radius, losses, live: 100, at: 0)
        #expect(ruling.held.count == 21 && Set(ruling.begun) == [Self.silence, other])
        #expect(radius.held(nowSeconds: 0).map(\.cause.id) == ["absence:health", "absence:mdm"])
        #expect(radius.release("absence:mdm", nowSeconds: 0).values.map(\.count) == [10])
        #expect(radius.held(nowSeconds: 0).map(\.losses.count) == [11])
        #expect(radius.isHeld(device: "d0") && !radius.isHeld(device: "d20"))
    }

    @Test("what is held of one cause does not hold a single loss of another") func noPiggyback() {
        var radius = BlastRadius(settings: BlastRadiusSettings())
        let reload = HeldCause(kind: .reload("abc"))
        #expect(settle(&radius, (0..<50).map { Self.loss($0, reload) }, live: 100, at: 0).held.count == 50)
        #expect(radius.judge(Self.loss(70), live: 100, nowSeconds: 0).held.isEmpty)
        #expect(radius.judge(Self.loss(71, reload), live: 100, nowSeconds: 0).held == ["s71"])
        #expect(!radius.isHeld(device: "d0"), "a reload says nothing about a device")
    }

    @Test("whoever opens many sessions counts for three, and cannot hold what silence takes from them")
    func onePerson() {
        var radius = BlastRadius(settings: BlastRadiusSettings())
        func loss(_ session: Int, of person: Int) -> SessionLoss {
            var loss = Self.loss(session)
            loss.person = "p\(person)"
            return loss
        }
        #expect(settle(&radius, (0..<50).map { loss($0, of: 1) }, live: 50, at: 0).held.isEmpty)
        // Beside somebody who counts for three: four times two are eleven.
        let others = (100..<107).map { loss($0, of: $0 / 2) }
        #expect(settle(&radius, others, live: 50, at: 0).held.isEmpty, "exactly ten")
        #expect(settle(&radius, [loss(107, of: 53)], live: 50, at: 0).held == ["s107"], "one past")
    }

    @Test("who was released is cut, under whatever name the silence goes then") func renamed() {
        var radius = BlastRadius(settings: BlastRadiusSettings())
        _ = settle(&radius, (0..<30).map { Self.loss($0) }, live: 100, at: 0)
        _ = radius.release(nil, nowSeconds: 1)
        let more = HeldCause(kind: .absence(["health", "mdm"]))
        #expect(settle(&radius, (0..<30).map { Self.loss($0, more) }, live: 100, at: 1).held.isEmpty)
        // It was let go once; the next time it is judged like anybody.
        #expect(settle(&radius, (0..<30).map { Self.loss($0, more) }, live: 100, at: 2).held.count == 30)
    }

    @Test("a hold that is over is not begun again by those that it held") func notAgain() {
        var radius = BlastRadius(settings: BlastRadiusSettings())
        _ = settle(&radius, (0..<30).map { Self.loss($0) }, live: 100, at: 0)
        #expect(radius.judge(Self.loss(0), live: 100, nowSeconds: 86_399).held == ["s0"])
        for session in 0..<30 {
            #expect(radius.judge(Self.loss(session), live: 100, nowSeconds: 86_400).held.isEmpty)
        }
        #expect(radius.held(nowSeconds: 86_400).isEmpty)
    }

    @Test("a hold that is over is not begun again under another name") func notRenamed() {
        var radius = BlastRadius(settings: BlastRadiusSettings())
        _ = settle(&radius, (0..<30).map { Self.loss($0) }, live: 100, at: 0)
        let more = HeldCause(kind: .absence(["health", "mdm"]))
        let before = settle(&radius, (0..<30).map { Self.loss($0, more) }, live: 100, at: 86_399)
        #expect(before.held.count == 30 && before.begun.isEmpty, "still under the old name")
        let over = settle(&radius, (0..<30).map { Self.loss($0, more) }, live: 100, at: 86_400)
        #expect(over.held.isEmpty && over.begun.isEmpty)
        #expect(radius.held(nowSeconds: 86_400).isEmpty)
    }

    @Test("judged again and again while a batch is open, nothing is held beyond its time")
    func provisionalBound() {
        let causes = [Self.silence, HeldCause(kind: .absence(["health", "mdm"]))]
        for names in [[0], [0, 1]] {
            var radius = BlastRadius(settings: BlastRadiusSettings())
            radius.beginBatch()
            for minute in 0..<1_440 {
                let loss = Self.loss(1, causes[names[minute % names.count]])
                let ruling = radius.judge(loss, live: 100, nowSeconds: Int64(minute) * 60)
                #expect(ruling.held == ["s1"], "minute \(minute)")
            }
            #expect(radius.remainingSeconds("s1", nowSeconds: 86_399) == 1, "\(names)")
            #expect(radius.judge(Self.loss(1), live: 100, nowSeconds: 86_400).held.isEmpty, "\(names)")
        }
    }

    @Test("switched off, what is held is let go") func off() {
        var radius = BlastRadius(settings: BlastRadiusSettings())
        _ = settle(&radius, (0..<30).map { Self.loss($0) }, live: 100, at: 0)
        radius.settings = nil
        #expect(settle(&radius, (0..<30).map { Self.loss($0) }, live: 100, at: 1).held.isEmpty)
        #expect(radius.held(nowSeconds: 1).isEmpty && !radius.isHeld("s0"))
    }

    @Test("whatever comes and recovers, no window cuts more than the bounds") func windows() {
        for seed in 1...200 {
            var random = SplitMix(state: UInt64(seed))
            var settings = BlastRadiusSettings()
            (settings.sessions, settings.windowSeconds, settings.holdSeconds) = (3, 50, 1_000_000)
            var radius = BlastRadius(settings: settings)
            var now: Int64 = 1_000
            // By a clock of our own that only goes forwards.
            var elapsed: Int64 = 0
            var cut: [String: Int64] = [:]
            for _ in 0..<150 {
                let step = random.below(30) == 0 ? -Int64(random.below(500)) : Int64(random.below(12))
                now += step
                elapsed += max(0, step)
                for _ in 0..<random.below(6) { radius.drop("s\(random.below(40))") }
                let losses = (0...Int(random.below(12))).map { _ in Self.loss(Int(random.below(40))) }
                let ruling = settle(&radius, losses, live: 40, at: now)
                for loss in losses where !ruling.held.contains(loss.session) { cut[loss.session] = elapsed }
                let recent = cut.values.filter { elapsed - $0 < settings.windowSeconds }.count
                // 20 % of 40.
                #expect(recent <= 8, "seed \(seed)")
            }
        }
    }

    @Test("whatever the clock does, nothing is held beyond its time") func bounded() {
        for seed in 1...200 {
            var random = SplitMix(state: UInt64(seed))
            var settings = BlastRadiusSettings()
            (settings.sessions, settings.windowSeconds, settings.holdSeconds) = (3, 50, 400)
            var radius = BlastRadius(settings: settings)
            var now: Int64 = 1_000
            var elapsed: Int64 = 0
            var since: [String: Int64] = [:]
            for _ in 0..<150 {
                let step = random.below(5) == 0 ? -Int64(random.below(500)) : Int64(random.below(30))
                now += step
                elapsed += max(0, step)
                if random.below(4) == 0 { _ = radius.releaseExpired(nowSeconds: now) }
                let losses = (0...Int(random.below(20))).map { _ in Self.loss(Int(random.below(40))) }
                _ = settle(&radius, losses, live: 40, at: now)
                for session in (0..<40).map({ "s\($0)" }) {
                    let left = radius.remainingSeconds(session, nowSeconds: now)
                    if left == 0 {
                        since[session] = nil
                    } else if since[session] == nil {
                        since[session] = elapsed
                    }
                    let began = since[session] ?? elapsed
                    #expect(left <= max(0, settings.holdSeconds - (elapsed - began)), "seed \(seed)")
                }
            }
        }
    }
}

/// A small generator with a seed (Steele, Lea, Flood: SplitMix64).
struct SplitMix {
    var state: UInt64

    mutating func below(_ bound: UInt64) -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return (word ^ (word >> 31)) % bound
    }
}
