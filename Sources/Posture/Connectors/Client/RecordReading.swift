import Access
import JSON
import Signatures

/// What the readers of all vendors' records share (providers.md 1.1, 14).
enum RecordReading {
    static let skewSeconds: Int64 = 300

    /// When the device reported, as far as that can count: a report from the future is no report, its age cannot be
    /// known, so it is as old as can be.
    static func observed(_ seconds: Int64?, nowSeconds: Int64) -> Int64 {
        guard let seconds, seconds <= nowSeconds + skewSeconds else { return 0 }
        return max(seconds, 0)
    }

    /// SHA-256 of the record with its members sorted by name, in lower-case hex: it names the content and not the
    /// order of a vendor's serialiser.
    static func digest(_ value: JSONValue) -> String {
        Digest.sha256(canonical(value).serialized()).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
            .joined()
    }

    /// Vendor text that becomes a label or a raw state: at most 128 characters.
    static func shortened(_ text: String) -> String { String(text.prefix(128)) }

    /// The keys of a record, normalised, without doubles; values that name nothing are left out.
    static func keys(_ named: [(DeviceKey.Kind, JSONValue?)]) -> [DeviceKey] {
        var keys: [DeviceKey] = []
        for (kind, value) in named {
            guard let key = value?.string.flatMap({ DeviceKey(kind, $0) }), !keys.contains(key) else {
                continue
            }
            keys.append(key)
        }
        return keys
    }

    private static func canonical(_ value: JSONValue) -> JSONValue {
        switch value {
        case .object(let object):
            .object(
                JSONObject(object.members.sorted { $0.name < $1.name }.map { ($0.name, canonical($0.value)) })
            )
        case .array(let values): .array(values.map(canonical))
        case .null, .bool, .integer, .number, .string: value
        }
    }
}
