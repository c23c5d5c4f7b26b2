import JSON
import Store
import Synchronization

/// How near a service is to having no token that counts.
///
/// Of a name's tokens the one that ends last decides: after a rotation the others are meant to end.
struct ServiceTokenState: Sendable {
    /// Said once each: a week and a day before, and when it is over.
    enum Stage: Int, Sendable, Comparable {
        case good, week, day, ended

        static func < (left: Stage, right: Stage) -> Bool { left.rawValue < right.rawValue }
    }

    let token: StoredServiceToken
    let secondsLeft: Int64
    let stage: Stage

    init(_ token: StoredServiceToken, nowSeconds: Int64) {
        self.token = token
        secondsLeft = token.expiresAtSeconds - nowSeconds
        // One that was made for a day or less has an end that nobody has to be told of beforehand.
        let isShort = token.expiresAtSeconds - token.createdAtSeconds <= CertificateState.daySeconds
        stage =
            if secondsLeft <= 0 {
                .ended
            } else if isShort {
                .good
            } else if secondsLeft <= CertificateState.daySeconds {
                .day
            } else if secondsLeft <= 7 * CertificateState.daySeconds {
                .week
            } else {
                .good
            }
    }

    /// The last token of each name.
    static func last(of tokens: [StoredServiceToken], nowSeconds: Int64) -> [ServiceTokenState] {
        var last: [String: StoredServiceToken] = [:]
        for token in tokens {
            if let known = last[token.name], known.expiresAtSeconds >= token.expiresAtSeconds { continue }
            last[token.name] = token
        }
        return last.values.sorted { $0.name < $1.name }
            .map { ServiceTokenState($0, nowSeconds: nowSeconds) }
    }

    /// nil: nothing is the matter.
    var problem: String? {
        let end = CertificateState.time(token.expiresAtSeconds)
        switch stage {
        case .good: return nil
        case .ended: return "service token \(token.name) ended at \(end): the service is refused"
        case .week, .day:
            return "service token \(token.name) ends at \(end), in \(Age(seconds: secondsLeft))"
        }
    }

    var remedy: String {
        switch stage {
        case .good, .week, .day:
            "gatepost service-token rotate \(token.name), and give the service the new one"
        case .ended: "gatepost service-token revoke \(token.name), and create another if it is still needed"
        }
    }

    /// For the event log.
    var members: [(String, JSONValue)] {
        [
            ("name", .string(token.name)), ("token", .string(token.id)),
            ("ends_at", .string(CertificateState.time(token.expiresAtSeconds))),
            ("days_left", .integer(max(0, secondsLeft) / CertificateState.daySeconds)),
            ("what", .string(problem ?? "")), ("remedy", .string(remedy)),
        ]
    }
}

/// What was last said of the tokens' ends, so that the event log tells each stage once.
final class ServiceTokenEnds: Sendable {
    private let told = Mutex<[String: ServiceTokenState.Stage]>([:])

    /// The services that came nearer to the end of their last token since the last call. A clock that jumps back takes
    /// nothing back.
    func news(_ tokens: [StoredServiceToken], nowSeconds: Int64) -> [ServiceTokenState] {
        let states = ServiceTokenState.last(of: tokens, nowSeconds: nowSeconds)
        return told.withLock { told in
            let here = Set(states.map(\.token.id))
            told = told.filter { here.contains($0.key) }
            return states.filter { state in
                guard state.stage != .good, state.stage > told[state.token.id] ?? .good else { return false }
                told[state.token.id] = state.stage
                return true
            }
        }
    }
}
