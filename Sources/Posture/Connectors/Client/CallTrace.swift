import Access
import Fetch
import Synchronization

/// The newest call of the reading that runs in this task: what a record that is read now was said by.
///
/// One for each reading; questions that run side by side have their own, so that none is named in another's record.
final class CallTrace: Sendable {
    @TaskLocal static var current: CallTrace?

    /// Longer ones are cut: it is for people, and kept with every record.
    static let textBytesMax = 64

    private let newest = Mutex<Verdict.Provenance?>(nil)

    /// nil before the first call.
    var last: Verdict.Provenance? { newest.withLock { $0 } }

    func note(_ call: Verdict.Provenance) { newest.withLock { $0 = call } }

    /// Names of the fields that vendors call a request by, in answers.
    private static let idFields = ["request-id", "x-cs-traceid", "x-request-id", "x-ms-request-id"]

    /// What a call is called afterwards.
    ///
    /// - Parameters:
    ///   - base: of the API, in front of `url`.
    ///   - sentID: the id that went along with it.
    ///   - response: nil: there was none.
    static func provenance(
        _ method: String, _ url: String, base: String, sentID: String?, _ response: FetchResponse?
    ) -> Verdict.Provenance {
        let told = idFields.lazy.compactMap { response?.field($0) }.first { !$0.isEmpty }
        return Verdict.Provenance(
            transport: .apiPoll, endpoint: endpoint(method, url, base: base),
            requestID: (told ?? sentID).map(plain))
    }

    /// Method (but GET) and path without ids: which device it was is in the record itself.
    static func endpoint(_ method: String, _ url: String, base: String) -> String {
        var rest = url.hasPrefix(base) ? Substring(url.dropFirst(base.count)) : url[...]
        rest = rest.prefix { $0 != "?" && $0 != "#" }
        let path = rest.split(separator: "/", omittingEmptySubsequences: false).map { segment in
            isID(segment) ? "{id}" : String(segment)
        }.joined(separator: "/")
        return plain(method == "GET" ? path : "\(method) \(path)")
    }

    /// Numbers, and whatever is long and has a digit: serial numbers, GUIDs, addresses of people.
    private static func isID(_ segment: Substring) -> Bool {
        guard let first = segment.utf8.first else { return false }
        let hasDigit = segment.utf8.contains { (0x30...0x39).contains($0) }
        return segment.utf8.contains(0x40) || segment.contains("%")
            || (hasDigit && (segment.utf8.count >= 8 || (0x30...0x39).contains(first)))
    }

    private static func plain(_ text: String) -> String {
        String(decoding: ProviderClient.plain(text).utf8.prefix(textBytesMax), as: UTF8.self)
    }
}

extension VerdictRecord {
    /// With the call that said it, unless it is known already.
    func said(by call: Verdict.Provenance?) -> VerdictRecord {
        guard verdict.provenance == nil, let call else { return self }
        var record = self
        record.verdict.provenance = call
        return record
    }
}
