import Access
import Border
import Testing

@testable import DataPlane

@Suite("Parts of a reactor, each by itself")
struct PartsTests {
    @Test func `a timer never fires early, and fires within one tick of its time`() {
        let wheel = TimerWheel(slots: 4, nowMilliseconds: 1_000)
        wheel.set(0, at: 1_100)
        wheel.set(1, at: 1_050)
        wheel.set(1, at: 1_200)
        wheel.set(2, at: 90_000)
        wheel.set(3, at: 1_100)
        wheel.set(3, at: TimerWheel.never)
        var fired: [Int32: UInt64] = [:]
        for now in UInt64(1_000)..<100_000 {
            while let slot = wheel.nextDue(now: now) { fired[slot] = now }
        }
        #expect(fired.count == 3)
        for (slot, wanted) in [(0, 1_100), (1, 1_200), (2, 90_000)] as [(Int32, UInt64)] {
            #expect((wanted...(wanted + 8)).contains(fired[slot] ?? 0), "slot \(slot)")
        }
    }

    @Test(
        "a block counts for as much when it is given back as when it was taken",
        arguments: [
            1, MemoryLayout<HTTP2Stream>.size, 2_048, 2_049, BufferPool.largestBlockBytes,
            BufferPool.largestBlockBytes + 1,
        ])
    func blocks(_ bytes: Int) {
        var pool = BufferPool()
        defer { pool.destroy() }
        let (block, size) = pool.take(atLeast: bytes)
        #expect(size >= bytes && size == BufferPool.blockBytes(holding: bytes) && pool.bytesInUse == size)
        pool.giveBack(block, size: BufferPool.blockBytes(holding: bytes))
        #expect(pool.bytesInUse == 0)
    }

    @Test func `what one size after the other leaves behind is bounded, and every size keeps some`() {
        var pool = BufferPool()
        defer { pool.destroy() }
        for bytes in [2 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10] {
            let blocks = (0..<(4 << 20) / bytes).map { _ in pool.take(atLeast: bytes) }
            for (block, size) in blocks { pool.giveBack(block, size: size) }
            #expect(pool.bytesInUse == 0 && pool.bytesKept <= 3 << 20 + 8 * (256 << 10))
            let made = pool.blocksMade
            for _ in 0..<100 {
                let (block, size) = pool.take(atLeast: bytes)
                pool.giveBack(block, size: size)
            }
            #expect(pool.blocksMade == made, "\(bytes): whoever needs one at a time makes none")
        }
        #expect(pool.bytesKept > 2 << 20)
    }

    @Test func `timers against a plain model, with seeds`() {
        for seed in UInt64(1)...20 {
            var random = Seeded(seed)
            let wheel = TimerWheel(slots: 16, nowMilliseconds: 0)
            var model = [UInt64](repeating: .max, count: 16)
            var now: UInt64 = 0
            for _ in 0..<2_000 {
                now += random.next() % 200
                let slot = Int32(random.next() % 16)
                let at = random.next() % 5 == 0 ? TimerWheel.never : now + random.next() % 50_000
                wheel.set(slot, at: at)
                model[Int(slot)] = at
                while let due = wheel.nextDue(now: now) {
                    #expect(model[Int(due)] <= now, "seed \(seed): early")
                    model[Int(due)] = .max
                }
                #expect(model.allSatisfy { $0 > now || now - $0 <= 8 }, "seed \(seed): late")
            }
        }
    }

    @Test func `a slot that was given away is not current for its old handle`() throws {
        let slab = Slab<Int>(firstSlot: 10, capacity: 2)
        let inserted = [slab.insert(1), slab.insert(2), slab.insert(3)]
        #expect(inserted[1] != nil && inserted[2] == nil)
        let first = try #require(inserted[0])
        slab.remove(first.slot)
        let isStillCurrent = slab.isCurrent(first)
        #expect(!isStillCurrent)
        let next = slab.insert(4)
        let second = try #require(next)
        #expect(second.slot == first.slot && second != first)
        let current = [slab.isCurrent(first), slab.isCurrent(second)]
        #expect(current == [false, true])
        #expect(Handle(packed: second.packed) == second)
    }

    @Test func `the session cache finds what was put in and nothing else, against a plain model`() {
        for seed in UInt64(1)...10 {
            var random = Seeded(seed)
            let cache = SessionCache(capacity: 64)
            var model: [UInt8: Bool] = [:]
            for _ in 0..<2_000 {
                let number = UInt8(random.next() % 64)
                let token = Token(UInt64(number % 8), UInt64(number), 0, 0)
                let slot = cache.find(token)
                #expect((slot >= 0) == (model[number] == true), "seed \(seed), session \(number)")
                if slot >= 0 {
                    #expect(cache[slot].pointee.record.session == "session-\(number)")
                    if random.next() % 2 == 0 { cache.drop(slot); model[number] = false }
                } else if cache.insert(Facts.record(number), secret: token, digest: token) >= 0 {
                    model[number] = true
                }
                #expect(cache.slots(.session, "session-\(number)").count == (model[number] == true ? 1 : 0))
                #expect(cache.slots(.device, "device-1").count == cache.count)
            }
        }
    }

    @Test func `a full cache lets go of a session without open exchanges, never of one with`() {
        let cache = SessionCache(capacity: 2)
        func token(_ number: UInt8) -> Token { Token(UInt64(number), 0, 0, 0) }
        let first = cache.insert(Facts.record(1), secret: token(1), digest: token(1))
        cache[first].pointee.streams = 1
        _ = cache.insert(Facts.record(2), secret: token(2), digest: token(2))
        #expect(cache.insert(Facts.record(3), secret: token(3), digest: token(3)) >= 0)
        #expect(cache.find(token(1)) == first && cache.find(token(2)) < 0)
        cache[cache.find(token(3))].pointee.streams = 1
        #expect(cache.insert(Facts.record(4), secret: token(4), digest: token(4)) < 0)
        // Dropped while open: not found any more, still in the index, gone when the last exchange ends.
        cache.drop(first)
        #expect(cache.find(token(1)) < 0 && cache.slots(.session, "session-1") == [first])
        cache[first].pointee.streams = 0
        cache.releaseIfDropped(first)
        #expect(cache.slots(.session, "session-1").isEmpty)
    }

    @Test func `what is queued to be cut leaves in its order, also where the queue is never empty`() {
        var queue = CutQueue()
        var next: Int32 = 0
        var taken: Int32 = 0
        func put() {
            queue.append(.stream(Handle(slot: next, generation: 1), isRevoked: true))
            next += 1
        }
        func take() -> Bool {
            guard case .stream(let handle, _)? = queue.first else { return false }
            queue.removeFirst()
            taken += 1
            return handle.slot == taken - 1
        }
        for _ in 0..<5_000 {
            put()
            put()
            #expect(take())
        }
        while taken < 9_000 {
            put()
            #expect(take() && take())
        }
        while !queue.isEmpty { #expect(take()) }
        #expect(taken == next && queue.first == nil)
    }

    @Test func `a record is stale exactly when a later revocation touches it, or when nobody can say`() {
        var recent = RecentRevocations()
        func apply(_ sequence: UInt64, _ effect: Revocation.Effect) {
            recent.append(Revocation(sequence: sequence, eventNanoseconds: 0, effect: effect))
        }
        apply(10, .endDevice("device-1"))
        apply(11, .endPerson("issuer person-9"))
        #expect(recent.makesStale(Facts.record(1, sequence: 9)))
        #expect(!recent.makesStale(Facts.record(1, sequence: 10)))
        #expect(!recent.makesStale(Facts.record(1, sequence: 9, device: "device-2")))
        #expect(!recent.makesStale(Facts.record(1, sequence: 9, device: nil)))
        for sequence in UInt64(12)...1_035 { apply(sequence, .endSession("nobody")) }
        // 1,024 later ones: 10 and 11 are forgotten, and so nobody can say any more.
        #expect(recent.makesStale(Facts.record(1, sequence: 9, device: nil)))
        #expect(recent.makesStale(Facts.record(1, sequence: 10, device: nil)))
        #expect(!recent.makesStale(Facts.record(1, sequence: 11, device: nil)))
    }

    @Test func `sessions that one policy lets in share what it limits, and one without limits has nothing`() {
        let cache = SessionCache(capacity: 8)
        func token(_ number: UInt8) -> Token { Token(UInt64(number), 0, 0, 0) }
        func insert(_ number: UInt8, _ limits: [AccessLimit]) -> EnforcedLimits? {
            let record = Facts.record(number, limits: limits)
            let slot = cache.insert(record, secret: token(number), digest: token(number))
            return cache[slot].pointee.limits?.of(0)
        }
        let first = insert(1, [.blocksUploads])
        #expect(first != nil && first === insert(2, [.blocksUploads]))
        let other = insert(3, [.blocksUploads, .banner("b")])
        #expect(other != nil && other !== first)
        #expect(insert(4, []) == nil)
        // A record that takes another's place brings its own.
        cache.replaceRecord(cache.find(token(1)), Facts.record(1, limits: []))
        #expect(cache[cache.find(token(1))].pointee.limits == nil)
        cache.replaceRecord(cache.find(token(4)), Facts.record(4, limits: [.blocksUploads]))
        #expect(cache[cache.find(token(4))].pointee.limits?.of(0) === first)
        // More distinct ones than are remembered are prepared all the same.
        for number in 0..<1_100 { #expect(insert(5, [.banner("\(number)")]) != nil) }
    }

    @Test func `addresses are written as people read them`() {
        func text(_ address: NetworkAddress) -> String {
            var bytes = [UInt8](repeating: 0, count: 40)
            let count = SocketAddress.write(address, to: &bytes)
            return String(decoding: bytes[..<count], as: UTF8.self)
        }
        #expect(text(NetworkAddress(v4: 0x7f00_0001)) == "127.0.0.1")
        #expect(text(NetworkAddress(v4: 0xffff_ff0a)) == "255.255.255.10")
        #expect(text(NetworkAddress(high: 0x2001_0db8_0000_0000, low: 1)) == "2001:db8:0:0:0:0:0:1")
    }
}

/// A generator whose numbers depend on the seed alone.
struct Seeded {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 }
    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}
