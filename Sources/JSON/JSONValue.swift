/// One JSON value (RFC 8259 §3) as this gateway reads and writes it.
///
/// A number written without fraction and exponent is `.integer`; every other number is `.number`.
public enum JSONValue: Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    /// Always finite when it was parsed; a value that is not finite is written as `null`, as ECMAScript does.
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)
}

extension JSONValue: Hashable {
    // Strings are compared by code point, not by Swift's canonical equivalence: U+212A (KELVIN SIGN) "equals"
    // K there, and no signature, identifier or member name may be satisfied by a look-alike.
    public static func == (left: JSONValue, right: JSONValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let a), .bool(let b)): a == b
        case (.integer(let a), .integer(let b)): a == b
        case (.number(let a), .number(let b)): a == b
        case (.string(let a), .string(let b)): a.utf8.elementsEqual(b.utf8)
        case (.array(let a), .array(let b)): a == b
        case (.object(let a), .object(let b)): a == b
        case (.null, _), (.bool, _), (.integer, _), (.number, _), (.string, _), (.array, _), (.object, _):
            false
        }
    }

    public func hash(into hasher: inout Hasher) {
        switch self {
        case .null: hasher.combine(0)
        case .bool(let value): hasher.combine(value)
        case .integer(let value): hasher.combine(value)
        case .number(let value): hasher.combine(value)
        case .string(let value): hasher.combine(value)
        case .array(let values): hasher.combine(values)
        case .object(let object): hasher.combine(object)
        }
    }
}

extension JSONValue {
    /// The text of a string; nil for every other kind.
    public var string: String? {
        if case .string(let value) = self { return value }
        return nil
    }

    /// The value of an integer, or of a number that is exactly one (`1e3`); nil for every other kind.
    public var integer: Int64? {
        switch self {
        case .integer(let value): value
        case .number(let value): Int64(exactly: value)
        case .null, .bool, .string, .array, .object: nil
        }
    }

    /// The value of any number, rounded to the nearest double; nil for every other kind.
    public var number: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        case .null, .bool, .string, .array, .object: nil
        }
    }

    /// `true` or `false`; nil for every other kind. The strings "true" and "false" are strings.
    public var bool: Bool? {
        if case .bool(let value) = self { return value }
        return nil
    }

    /// The elements of an array; nil for every other kind.
    public var array: [JSONValue]? {
        if case .array(let values) = self { return values }
        return nil
    }

    /// The members of an object; nil for every other kind.
    public var object: JSONObject? {
        if case .object(let object) = self { return object }
        return nil
    }

    /// Whether this is the literal `null`.
    public var isNull: Bool {
        if case .null = self { return true }
        return false
    }

    /// The member `name` of an object; nil when there is none or this is no object.
    public subscript(name: String) -> JSONValue? { object?[name] }
}

extension JSONValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByStringInterpolation,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    /// `nil` in source is `null` in JSON.
    public init(nilLiteral: ()) { self = .null }
    /// `true` or `false` in source.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// An integer in source.
    public init(integerLiteral value: Int64) { self = .integer(value) }
    /// A floating-point number in source.
    public init(floatLiteral value: Double) { self = .number(value) }
    /// A string in source, interpolated or not.
    public init(stringLiteral value: String) { self = .string(value) }
    /// An array in source.
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    /// A dictionary in source; the order is kept, and the last of two equal names wins.
    public init(dictionaryLiteral elements: (String, JSONValue)...) { self = .object(JSONObject(elements)) }
}
