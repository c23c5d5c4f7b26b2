/// What an application makes of a provider that has gone silent (DESIGN 7).
public enum OutageSetting: Sendable, Codable, Hashable {
    /// An expired verdict says nothing.
    case failClosed
    /// A device whose last verdicts (of the last 7 days) were better than `denied` is not worse than
    /// `partial` because they have expired.
    case partial
    /// An expired verdict still counts for this long, at most 7 days.
    case unsafeLastVerdict(seconds: Int64)

    /// No setting makes a verdict count longer than this after its expiry.
    public static let secondsMax: Int64 = 604_800

    /// How long an expired verdict still counts.
    var extensionSeconds: Int64 {
        switch self {
        case .failClosed, .partial: 0
        case .unsafeLastVerdict(let seconds): min(max(0, seconds), Self.secondsMax)
        }
    }
}

extension Verdict.State {
    /// An answer that no outage setting reaches past.
    var isExplicitlyBad: Bool {
        switch self {
        case .noncompliant, .notManaged: true
        case .compliant, .grace, .notFound, .ambiguous, .unknown, .error, .delegated: false
        }
    }
}

/// How verdicts are read: by a device policy, or by a condition of an application.
struct VerdictUse {
    /// Weaker matches say nothing.
    var matchStrengthMin = Verdict.Strength.weak
    /// How long an expired verdict still counts.
    var extensionSeconds: Int64 = 0

    /// One explicit "non-compliant" of any provider, however old, and the device gets nothing from the setting.
    init(_ outage: OutageSetting, for device: DeviceFacts?) {
        self.init(extensionSeconds: outage.extensionSeconds, for: device)
    }

    init(extensionSeconds: Int64, for device: DeviceFacts?) {
        let isBad = device?.verdicts.contains { $0.state.isExplicitlyBad } ?? false
        self.extensionSeconds = isBad ? 0 : extensionSeconds
    }
}
