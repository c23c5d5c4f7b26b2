import Foundation
import JSON
import Posture
import Signatures
import Synchronization

/// How near a configured certificate is to its end.
struct CertificateState: Sendable {
    /// Said once each: a month, a week and a day before, and when it is over.
    enum Stage: Int, Sendable, Comparable {
        case good, month, week, day, ended, notYet

        static func < (left: Stage, right: Stage) -> Bool { left.rawValue < right.rawValue }
    }

    static let daySeconds: Int64 = 86_400

    let trust: TrustCertificate
    let secondsLeft: Int64
    let stage: Stage

    init(_ trust: TrustCertificate, nowSeconds: Int64) {
        self.trust = trust
        secondsLeft = trust.certificate.notAfterSeconds - nowSeconds
        stage =
            if nowSeconds < trust.certificate.notBeforeSeconds {
                .notYet
            } else if secondsLeft <= 0 {
                .ended
            } else if secondsLeft <= Self.daySeconds {
                .day
            } else if secondsLeft <= 7 * Self.daySeconds {
                .week
            } else if secondsLeft <= 30 * Self.daySeconds {
                .month
            } else {
                .good
            }
    }

    var name: String { trust.certificate.subjectCommonName ?? "serial \(trust.certificate.serialHex)" }

    /// nil: nothing is the matter.
    var problem: String? {
        let end = Self.time(trust.certificate.notAfterSeconds)
        switch stage {
        case .good: return nil
        case .notYet:
            let start = Self.time(trust.certificate.notBeforeSeconds)
            return "certificate \(name) counts only from \(start) on"
        case .ended: return "certificate \(name) ended at \(end) and counts no more"
        case .month, .week, .day:
            return "certificate \(name) ends at \(end), in \(Age(seconds: secondsLeft))"
        }
    }

    var remedy: String {
        switch stage {
        case .notYet: "keep the older one beside it until then"
        case .good, .month, .week, .day, .ended:
            "put its successor beside it, and take it out when the last device has changed over"
        }
    }

    /// For the event log.
    var members: [(String, JSONValue)] {
        [
            ("integration", .string(trust.integration)), ("use", .string(trust.use.rawValue)),
            ("certificate", .string(name)),
            ("ends_at", .string(Self.time(trust.certificate.notAfterSeconds))),
            ("days_left", .integer(max(0, secondsLeft) / Self.daySeconds)),
            ("what", .string(problem ?? "")), ("remedy", .string(remedy)),
        ]
    }

    static func time(_ seconds: Int64) -> String {
        Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
    }
}

/// What was last said of the certificates' ends, so that the event log tells each stage once.
final class CertificateEnds: Sendable {
    private let told = Mutex<[TrustCertificate: CertificateState.Stage]>([:])

    /// The certificates that came nearer to their end since the last call. A clock that jumps back takes nothing back.
    func news(_ certificates: [TrustCertificate], nowSeconds: Int64) -> [CertificateState] {
        let states = certificates.map { CertificateState($0, nowSeconds: nowSeconds) }
        return told.withLock { told in
            states.filter { state in
                guard state.stage != .good, state.stage != .notYet else { return false }
                if let before = told[state.trust], before >= state.stage { return false }
                told[state.trust] = state.stage
                return true
            }
        }
    }
}
