import Border
import Glibc

/// Which of an application's endpoints a request goes to. Those that are left out are asked only when all of them are:
/// then the gateway tries rather than invent an outage.
extension UpstreamGroup.State {
    /// - Parameters:
    ///   - key: of the session; looked at by `session-hash` only.
    ///   - now: milliseconds.
    mutating func choose(key: UInt64, at now: UInt64) -> Endpoint? {
        guard endpoints.count > 1 else { return endpoints.first }
        return choose(key: key, at: now, amongAll: false) ?? choose(key: key, at: now, amongAll: true)
    }

    private mutating func choose(key: UInt64, at now: UInt64, amongAll: Bool) -> Endpoint? {
        switch rules.balance {
        case .roundRobin: isWeighted ? smoothest(at: now, amongAll) : nextInTurn(at: now, amongAll)
        case .leastConnections: leastBusy(at: now, amongAll)
        case .sessionHash: nearest(to: key, at: now, amongAll)
        }
    }

    private mutating func nextInTurn(at now: UInt64, _ amongAll: Bool) -> Endpoint? {
        for offset in 0..<endpoints.count {
            var index = next + offset
            if index >= endpoints.count { index -= endpoints.count }
            guard amongAll || endpoints[index].state.pointee.health.isAvailable(at: now) else { continue }
            next = index + 1 < endpoints.count ? index + 1 : 0
            return endpoints[index]
        }
        return nil
    }

    /// Smooth weighted round robin: everybody gains its weight, who has most is asked and pays what all gained. Over
    /// any round each is asked by its weight, and nobody twice in a row without need.
    private func smoothest(at now: UInt64, _ amongAll: Bool) -> Endpoint? {
        var best: Endpoint?
        var gained = 0
        for endpoint in endpoints {
            guard amongAll || endpoint.state.pointee.health.isAvailable(at: now) else { continue }
            gained += endpoint.state.pointee.weight
            endpoint.state.pointee.credit += endpoint.state.pointee.weight
            if let known = best, known.state.pointee.credit >= endpoint.state.pointee.credit { continue }
            best = endpoint
        }
        best?.state.pointee.credit -= gained
        return best
    }

    /// Fewest open requests for its weight; among equals in turn, or the first would get all that an idle night
    /// brings.
    private mutating func leastBusy(at now: UInt64, _ amongAll: Bool) -> Endpoint? {
        var best = -1
        for offset in 0..<endpoints.count {
            var index = next + offset
            if index >= endpoints.count { index -= endpoints.count }
            let state = endpoints[index].state
            guard amongAll || state.pointee.health.isAvailable(at: now) else { continue }
            guard best >= 0 else {
                best = index
                continue
            }
            let known = endpoints[best].state
            // (open + 1) / weight, without a division.
            let isLess =
                (Int(state.pointee.open) + 1) * known.pointee.weight
                < (Int(known.pointee.open) + 1) * state.pointee.weight
            if isLess { best = index }
        }
        guard best >= 0 else { return nil }
        next = best + 1 < endpoints.count ? best + 1 : 0
        return endpoints[best]
    }

    /// Weighted rendezvous hashing: each endpoint draws a number from the session and itself, the highest wins. When
    /// one leaves, only its own sessions go elsewhere; when it returns, the same ones come back.
    private func nearest(to key: UInt64, at now: UInt64, _ amongAll: Bool) -> Endpoint? {
        var best: Endpoint?
        var highest = -Double.infinity
        for endpoint in endpoints {
            guard amongAll || endpoint.state.pointee.health.isAvailable(at: now) else { continue }
            let drawn = Mixing.finish(key ^ endpoint.hash) >> 11
            // In (0, 1), so that the logarithm is below zero and finite.
            let share = (Double(drawn) + 0.5) / Double(UInt64(1) << 53)
            let score = -Double(endpoint.state.pointee.weight) / log(share)
            if score > highest {
                highest = score
                best = endpoint
            }
        }
        return best
    }
}

/// Spreads what is alike. No secret is in it: who picks an own session's endpoint wins nothing.
enum Mixing {
    /// FNV-1a, finished.
    static func hash(_ bytes: Span<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for index in bytes.indices { hash = (hash ^ UInt64(bytes[index])) &* 0x100_0000_01b3 }
        return finish(hash)
    }

    /// The last steps of MurmurHash3: every bit depends on every bit.
    static func finish(_ word: UInt64) -> UInt64 {
        var hash = word
        hash = (hash ^ (hash >> 33)) &* 0xff51_afd7_ed55_8ccd
        hash = (hash ^ (hash >> 33)) &* 0xc4ce_b9fe_1a85_ec53
        return hash ^ (hash >> 33)
    }
}
