import Border
import Testing

@testable import DataPlane

/// `#expect` cannot change what it looks at.
private func check(
    _ isTrue: Bool, _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(isTrue, comment, sourceLocation: sourceLocation)
}

@Suite("Endpoints that fail, by a clock of the test's own")
struct EndpointHealthTests {
    private static func rules(failures: Int = 3, share: Int? = nil) -> UpstreamRules {
        var rules = UpstreamRules()
        rules.ejection?.failuresMax = failures
        rules.ejection?.errorPercent = share
        return rules
    }

    @Test(arguments: [(1, 1), (3, 3), (5, 5)])
    func `it is left out at exactly so many failures, and not at one fewer`(_ limit: Int, _ needed: Int) {
        var health = EndpointHealth()
        for count in 1...needed {
            let isOut = health.failed(.noAnswer, isConnect: false, Self.rules(failures: limit))
            #expect(isOut == (count == needed), "failure \(count) of \(limit)")
        }
    }

    @Test func `an answer between failures begins the count anew`() {
        var health = EndpointHealth()
        let rules = Self.rules()
        for _ in 0..<10 {
            check(!health.failed(.noAnswer, isConnect: false, rules))
            check(!health.failed(.noAnswer, isConnect: false, rules))
            check(!health.answered(200, rules, at: 0))
            #expect(!health.isWatched)
        }
    }

    @Test func `a connection that cannot be made is enough, and nothing is where ejection is off`() {
        var health = EndpointHealth()
        check(health.failed(.connect(111), isConnect: true, Self.rules()))
        var off = UpstreamRules()
        off.ejection = nil
        check(!health.failed(.connect(111), isConnect: true, off))
        health.eject(off, at: 5)
        #expect(health.isAvailable(at: 5))
    }

    @Test func `each ejection is twice as long as the one before, up to the longest`() {
        var health = EndpointHealth()
        let rules = Self.rules()
        var now: UInt64 = 1_000
        for length in [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] as [UInt64] {
            health.eject(rules, at: now)
            #expect(!health.isAvailable(at: now + length - 1))
            #expect(health.standing(rules, at: now + length - 1) == .ejected)
            #expect(health.isAvailable(at: now + length))
            now += length
        }
        // Well for as long as it was out: the next one is a first one.
        now += 60_000
        health.eject(rules, at: now)
        #expect(health.isAvailable(at: now + 2_000))
    }

    @Test func `after an ejection one failure is enough, until it has answered`() {
        var health = EndpointHealth()
        let rules = Self.rules(failures: 5)
        health.eject(rules, at: 0)
        check(health.failed(.answerTimeout, isConnect: false, rules))
        check(!health.answered(200, rules, at: 3_000))
        check(!health.failed(.answerTimeout, isConnect: false, rules))
    }

    @Test func `a share of errors counts from twenty answers on, at exactly the share, within ten seconds`() {
        let rules = Self.rules(share: 50)
        var health = EndpointHealth()
        for count in 1...20 {
            let isOut = health.answered(count <= 10 ? 500 : 200, rules, at: 1_000)
            #expect(isOut == (count == 20), "answer \(count)")
        }
        var fewer = EndpointHealth()
        for count in 1...20 { check(!fewer.answered(count <= 9 ? 503 : 200, rules, at: 1_000)) }
        var slow = EndpointHealth()
        for count in 1...19 { check(!slow.answered(500, rules, at: 1_000), "answer \(count)") }
        check(!slow.answered(500, rules, at: 11_000))
    }

    @Test func `the first health check decides alone, later ones by their thresholds`() {
        var rules = UpstreamRules()
        rules.health = HealthRules(path: "/")
        let health = HealthRules(path: "/")
        var endpoint = EndpointHealth()
        #expect(endpoint.standing(rules, at: 0) == .probing && endpoint.isAvailable(at: 0))
        endpoint.probed(.status(503), health)
        #expect(endpoint.standing(rules, at: 0) == .unhealthy && endpoint.fault == .status(503))
        endpoint.probed(nil, health)
        #expect(endpoint.isUnhealthy)
        endpoint.probed(.answerTimeout, health)
        endpoint.probed(nil, health)
        #expect(endpoint.isUnhealthy, "one good answer after a bad one")
        endpoint.probed(nil, health)
        #expect(endpoint.standing(rules, at: 0) == .healthy)
        endpoint.probed(.noAnswer, health)
        endpoint.probed(.noAnswer, health)
        #expect(!endpoint.isUnhealthy)
        endpoint.probed(.noAnswer, health)
        #expect(endpoint.isUnhealthy)
    }
}

@Suite("How many repetitions there are")
struct RetryBudgetTests {
    @Test func `a burst, then one for five requests`() {
        var budget = RetryBudget()
        var taken = 0
        while budget.take(requests: 0, at: 0) { taken += 1 }
        #expect(taken == 10)
        check(!budget.take(requests: 4, at: 0))
        check(budget.take(requests: 5, at: 0))
        check(!budget.take(requests: 5, at: 0))
    }

    @Test func `three a second where there are hardly any requests, and never more than twenty at once`() {
        var budget = RetryBudget()
        while budget.take(requests: 0, at: 0) {}
        check(!budget.take(requests: 0, at: 333))
        check(budget.take(requests: 0, at: 400))
        var taken = 0
        while budget.take(requests: 1 << 40, at: 1 << 40) { taken += 1 }
        #expect(taken == 20)
        check(!budget.take(requests: 1 << 40, at: 5), "a clock that was set back gives nothing")
    }
}

@Suite("Who waits for a place")
struct WaitingRoomTests {
    private func handle(_ slot: Int32) -> Handle { Handle(slot: slot, generation: 1) }

    @Test(arguments: [1, 2, 3, 8]) func `it is full at exactly its size`(_ size: Int) {
        var room = WaitingRoom()
        for slot in 0..<size { check(room.enter(handle(Int32(slot)), key: UInt64(slot), max: size)) }
        check(!room.enter(handle(99), key: 99, max: size))
        check(!room.enter(handle(99), key: 99, max: 0))
    }

    @Test func `the order is that of coming, whoever leaves in between`() {
        var room = WaitingRoom()
        for slot in 0..<5 as Range<Int32> { check(room.enter(handle(slot), key: UInt64(slot), max: 8)) }
        check(room.leave(handle(0)) && room.leave(handle(3)))
        check(!room.leave(handle(3)))
        check(room.next() == handle(1) && room.next() == handle(2) && room.next() == handle(4))
        check(room.next() == nil)
    }

    @Test func `one session takes half of the places, and another one still finds some`() {
        var room = WaitingRoom()
        for slot in 0..<4 as Range<Int32> { check(room.enter(handle(slot), key: 7, max: 8)) }
        check(!room.enter(handle(4), key: 7, max: 8))
        check(room.enter(handle(5), key: 8, max: 8))
    }

    @Test(arguments: [(10, 3), (2, 4), (7, 7), (1, 1)])
    func `the reactors' parts add up to the whole, with one for each at the least`(
        _ whole: Int, _ reactors: Int
    ) {
        let parts = (0..<reactors).map { UpstreamGroup.part(whole, (number: $0, of: reactors), atLeast: 1) }
        #expect(parts.reduce(0, +) == max(whole, reactors))
        #expect(parts.max()! - parts.min()! <= 1)
    }
}

@Suite("Which endpoint is asked")
struct BalancingTests {
    private static func group(
        _ balance: UpstreamRules.Balance, weights: [Int], address: (Int) -> String = { "127.0.0.\($0 + 1)" }
    ) throws -> UpstreamGroup {
        let group = UpstreamGroup(name: "wiki")
        var rules = UpstreamRules()
        rules.balance = balance
        group.adopt(rules, Limits(), host: "wiki.test", share: (number: 0, of: 1))
        let endpoints = try weights.enumerated().map { index, weight in
            (try Endpoint(UpstreamAddress(address: address(index), port: 80), tls: nil), weight: weight)
        }
        #expect(group.adopt(endpoints).isEmpty)
        return group
    }

    private static func index(_ group: UpstreamGroup, key: UInt64 = 0, at now: UInt64 = 0) throws -> Int {
        let found = group.state.pointee.choose(key: key, at: now)
        let chosen = try #require(found)
        return try #require(group.state.pointee.endpoints.firstIndex { $0 === chosen })
    }

    @Test(arguments: [[1, 1, 1], [1, 2, 3], [5, 1], [100, 100, 1]])
    func `round robin gives each its weight, exactly, over a round`(_ weights: [Int]) throws {
        let group = try Self.group(.roundRobin, weights: weights)
        var counts = [Int](repeating: 0, count: weights.count)
        for _ in 0..<(weights.reduce(0, +) * 2) { counts[try Self.index(group)] += 1 }
        let isWeighted = Set(weights).count > 1
        #expect(counts == (isWeighted ? weights.map { $0 * 2 } : weights.map { _ in 2 }))
    }

    @Test func `least connections asks who has the fewest open for its weight, and equals in turn`() throws {
        let group = try Self.group(.leastConnections, weights: [1, 1, 2])
        let endpoints = group.state.pointee.endpoints
        var counts = [0, 0, 0]
        for _ in 0..<40 {
            let index = try Self.index(group)
            counts[index] += 1
            endpoints[index].state.pointee.open += 1
        }
        #expect(counts == [10, 10, 20])
        endpoints[1].state.pointee.open = 0
        #expect(try Self.index(group) == 1)
        for endpoint in endpoints { endpoint.state.pointee.open = 0 }
        let idle = try Self.group(.leastConnections, weights: [1, 1, 1])
        #expect(try (0..<6).map { _ in try Self.index(idle) } == [0, 1, 2, 0, 1, 2])
    }

    @Test func `a session stays, sessions spread by weight, and only those of who leaves move`() throws {
        let weights = [1, 1, 2]
        let group = try Self.group(.sessionHash, weights: weights)
        let keys = (0..<8_000).map { Mixing.hash("session-\($0)".utf8.span) }
        let before = try keys.map { try Self.index(group, key: $0) }
        #expect(try keys.map { try Self.index(group, key: $0) } == before)
        for (index, weight) in weights.enumerated() {
            let share = Double(before.count { $0 == index }) / Double(keys.count)
            #expect(abs(share - Double(weight) / 4) < 0.03, "endpoint \(index): \(share)")
        }
        group.state.pointee.endpoints[1].state.pointee.health.eject(UpstreamRules(), at: 0)
        let without = try keys.map { try Self.index(group, key: $0) }
        for (old, new) in zip(before, without) { #expect(old == 1 ? new != 1 : new == old) }
        #expect(try keys.map { try Self.index(group, key: $0, at: 2_000) } == before, "they come back")
    }

    @Test func `where a session goes does not hang on the order of the list`() throws {
        let group = try Self.group(.sessionHash, weights: [1, 1, 1, 1])
        let turned = try Self.group(.sessionHash, weights: [1, 1, 1, 1]) { "127.0.0.\(4 - $0)" }
        for number in 0..<500 {
            let key = Mixing.hash("s\(number)".utf8.span)
            #expect(try Self.index(group, key: key) == 3 - Self.index(turned, key: key))
        }
    }

    @Test(arguments: UpstreamRules.Balance.allCases)
    func `who is left out is not asked, unless all are`(_ balance: UpstreamRules.Balance) throws {
        let group = try Self.group(balance, weights: [1, 2, 1])
        for index in [0, 1] {
            group.state.pointee.endpoints[index].state.pointee.health.eject(UpstreamRules(), at: 0)
        }
        for key in 0..<20 as Range<UInt64> { #expect(try Self.index(group, key: key) == 2) }
        group.state.pointee.endpoints[2].state.pointee.health.eject(UpstreamRules(), at: 0)
        var asked: Set<Int> = []
        for key in 0..<60 as Range<UInt64> { asked.insert(try Self.index(group, key: Mixing.finish(key))) }
        #expect(asked == (balance == .leastConnections ? asked : [0, 1, 2]) && !asked.isEmpty)
    }

    @Test func `an address that stands there twice is one endpoint, and a new weight keeps it`() throws {
        var heavy = UpstreamAddress(address: "127.0.0.1", port: 80)
        heavy.weight = 9
        let once = try PreparedUpstreams.endpoints(
            [heavy, heavy, UpstreamAddress(address: "::1", port: 80)], known: [])
        #expect(once.count == 2 && once[0].weight == 9 && once[1].0.name == "[::1]:80")
        let again = try PreparedUpstreams.endpoints(
            [UpstreamAddress(address: "127.0.0.1", port: 80)], known: once.map { $0.0 })
        #expect(again[0].0 === once[0].0 && again[0].weight == 1)
    }
}
