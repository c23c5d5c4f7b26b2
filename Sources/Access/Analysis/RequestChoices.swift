/// The values that conditions about a request can tell apart.
enum RequestChoices {
    /// A segment that no configuration names.
    private static let other = "~"

    static let methods: [CaseChoice] = RequestMethod.allCases.map { .method($0) }

    /// One address of each part into which the edges of all ranges cut the addresses.
    static func clients(_ conditions: [Condition]) -> [CaseChoice] {
        var addresses = [
            NetworkAddress(v4: 0xc000_0201), NetworkAddress(v4: 0), NetworkAddress(high: 0, low: 0),
        ]
        // The first address behind the mapped form of IPv4.
        addresses.append(NetworkAddress(high: 0, low: 0x1_0000_0000_0000))
        for case .network(let asked) in conditions {
            for range in asked.ranges where (0...128).contains(range.prefixLength) {
                addresses.append(range.base)
                let mask = NetworkRange.mask(range.prefixLength)
                let last = NetworkAddress(high: range.base.high | ~mask.high, low: range.base.low | ~mask.low)
                let (low, isOver) = last.low.addingReportingOverflow(1)
                let high = isOver ? last.high.addingReportingOverflow(1) : (last.high, false)
                if !high.1 { addresses.append(NetworkAddress(high: high.0, low: low)) }
            }
        }
        return addresses.map { .client($0) }
    }

    /// Each path that is named, one below it, and both with parameters at each of their segments: what lets in takes
    /// a path as it is written, what keeps out looks through parameters.
    static func paths(_ named: [String]) -> [CaseChoice] {
        var paths = ["/", "/\(other)"]
        for path in named {
            let below = path.hasSuffix("/") ? path + other : "\(path)/\(other)"
            for path in [path, below] {
                paths.append(path)
                let segments = path.split(separator: "/", omittingEmptySubsequences: false)
                for index in segments.indices.dropFirst() {
                    var changed = segments.map(String.init)
                    changed[index] += ";\(other)"
                    paths.append(changed.joined(separator: "/"))
                }
            }
        }
        return paths.map { .path($0) }
    }

    /// nil: more than `max`.
    static func certificates(
        _ conditions: [Condition], _ reading: AxisReading, max: Int
    ) -> [CaseChoice]? {
        var (subjects, names, issuers): ([String], [String], [String]) = ([], [], [])
        for case .certificate(let asked) in conditions {
            subjects += asked.subjects ?? []
            names += asked.names ?? []
            issuers += asked.issuerDigests ?? []
        }
        subjects.append(PersonChoices.fresh("another subject", unlike: subjects))
        issuers.append(PersonChoices.fresh("another issuer", unlike: issuers))
        var choices: [CaseChoice] = [.certificate(nil)]
        for subject in subjects.map(Optional.some) + [nil] {
            for issuer in issuers {
                var seen: Set<AxisReading.Signature> = []
                var lists: [[String]] = [[]]
                for name in names {
                    for list in lists {
                        let held = CertificateFacts(
                            subject: subject, names: list + [name], issuerDigest: issuer)
                        guard seen.insert(reading.signature(of: .certificate(held))).inserted else {
                            continue
                        }
                        lists.append(list + [name])
                    }
                }
                choices += lists.map {
                    .certificate(CertificateFacts(subject: subject, names: $0, issuerDigest: issuer))
                }
                if choices.count > max { return nil }
            }
        }
        return choices
    }
}

/// The moments from a given one on that conditions about time can tell apart.
enum TimeChoices {
    private static let weekSeconds: Int64 = 604_800

    /// - Parameter edges: moments at which something else changes.
    static func moments(_ conditions: [Condition], edges: [Int64], from fromSeconds: Int64) -> [CaseChoice] {
        var starts = [fromSeconds] + edges.filter { $0 > fromSeconds }
        var offsets: Set<Int64> = []
        for condition in conditions {
            if case .until(let asked) = condition, asked.seconds > fromSeconds {
                starts.append(asked.seconds)
            }
            guard case .time(let asked) = condition else { continue }
            for minute in [asked.fromMinute, asked.untilMinute, 0] {
                for day in 0..<7 {
                    let local = Int64(day) * 86_400 + Int64(minute - asked.offsetMinutes) * 60
                    offsets.insert(((local % weekSeconds) + weekSeconds) % weekSeconds)
                }
            }
        }
        starts.sort()
        var moments: [Int64] = []
        for (index, start) in starts.enumerated() {
            moments.append(start)
            let end = index + 1 < starts.count ? starts[index + 1] : Int64.max
            let phase = ((start % weekSeconds) + weekSeconds) % weekSeconds
            for offset in offsets.sorted() {
                let moment = start.sum(saturating: (offset - phase + weekSeconds) % weekSeconds)
                if moment < end { moments.append(moment) }
            }
        }
        return moments.map { .time($0) }
    }
}
