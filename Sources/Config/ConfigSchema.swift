import Foundation

/// The JSON Schema of the configuration for editors, made from the tables that validate it.
public enum ConfigSchema {
    /// JSON Schema (draft 2020-12), pretty-printed with sorted keys.
    public static func json() -> String {
        var root = schema(of: RootSection.table)
        root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
        root["title"] = "Gatepost configuration"
        let options: JSONSerialization.WritingOptions = [
            .prettyPrinted, .sortedKeys, .withoutEscapingSlashes,
        ]
        guard let data = try? JSONSerialization.data(withJSONObject: root, options: options) else {
            preconditionFailure("the key tables hold something that is no JSON")
        }
        return String(decoding: data, as: UTF8.self) + "\n"
    }

    private typealias Schema = [String: Any]

    private static func schema(of table: KeyTable) -> Schema {
        var properties: Schema = [:]
        for key in table.keys {
            var property = schema(of: key.shape)
            property["description"] = description(of: key)
            properties[key.name] = property
        }
        if let kind = table.kind, table.keys.contains(where: { $0.name == "provider" }) {
            properties["provider"] = ["const": kind]
        }
        var schema: Schema = ["type": "object", "properties": properties, "additionalProperties": false]
        let required = table.keys.filter(\.isRequired).map(\.name)
        if !required.isEmpty { schema["required"] = required }
        return schema
    }

    private static func description(of key: KeySpec) -> String {
        let standard = key.standard.map { " Default: \($0)." } ?? ""
        return "\(key.summary)\(standard) Example: \(key.example)"
    }

    private static func schema(of shape: Shape) -> Schema {
        switch shape {
        case .text, .host, .url, .file, .privateFile: ["type": ["string", "number"]]
        case .flag: ["type": "boolean"]
        case .integer(let range):
            ["type": "integer", "minimum": range.lowerBound, "maximum": range.upperBound]
        case .duration: ["type": "string", "pattern": "^[0-9]+[smhd]$"]
        case .durationOrOff: ["type": "string", "pattern": "^([0-9]+[smhd]|off)$"]
        case .size: ["type": ["string", "integer"], "pattern": "^[0-9]+(KiB|MiB)?$"]
        case .percent: ["type": "string", "pattern": "^[0-9]+%$"]
        case .choice(let choices): ["enum": choices]
        case .secret: secret
        case .list(let item): ["type": "array", "minItems": 1, "items": schema(of: item)]
        case .oneOrMore(let item): ["anyOf": [schema(of: item), schema(of: .list(item))]]
        case .texts: ["type": "object", "minProperties": 1, "additionalProperties": schema(of: .text)]
        case .facts: [:]
        case .section(let table): schema(of: table)
        case .alternative(let choices, let table): ["anyOf": [["enum": choices], schema(of: table)]]
        case .either(let short, let table): ["anyOf": [schema(of: short), schema(of: table)]]
        case .variant(let table): variant(table)
        case .named(let table): named(["additionalProperties": schema(of: table)])
        case .namedKinds(_, let tables):
            named(["additionalProperties": ["oneOf": tables.map { schema(of: $0) }]])
        }
    }

    private static var secret: Schema {
        var secret = schema(of: SecretSource.table)
        secret["minProperties"] = 1
        secret["maxProperties"] = 1
        return secret
    }

    private static func variant(_ table: KeyTable) -> Schema {
        var variant = schema(of: table)
        variant["minProperties"] = 1
        variant["maxProperties"] = 1
        return variant
    }

    private static func named(_ members: Schema) -> Schema {
        var named = members
        named["type"] = "object"
        named["minProperties"] = 1
        named["propertyNames"] = ["pattern": "^[a-z][a-z0-9-]{0,63}$"]
        return named
    }
}
