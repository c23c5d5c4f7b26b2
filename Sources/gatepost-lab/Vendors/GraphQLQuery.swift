import JSON

/// A GraphQL query, as far as the emulators need the language: one operation, fields with arguments,
/// variables, selections; no fragments, aliases or directives.
struct GraphQLQuery {
    struct Refusal: Error { var message: String }

    struct Field {
        var name: String
        /// With variables filled in.
        var arguments: JSONObject
        var selection: [Field]

        subscript(_ name: String) -> Field? { selection.first { $0.name == name } }
    }

    private(set) var fields: [Field] = []

    init(_ text: String, variables: JSONObject) throws(Refusal) {
        var parser = Parser(tokens: try Self.tokens(text), variables: variables)
        fields = try parser.operation()
    }

    // MARK: Words

    private static func tokens(_ text: String) throws(Refusal) -> [String] {
        var tokens: [String] = []
        var rest = Substring(text)
        while let first = rest.first {
            if first.isWhitespace || first == "," {
                rest.removeFirst()
            } else if first.isLetter || first.isNumber || "_-.".contains(first) {
                let word = rest.prefix { $0.isLetter || $0.isNumber || "_-.".contains($0) }
                tokens.append(String(word))
                rest = rest.dropFirst(word.count)
            } else if first == "\"" {
                guard let end = rest.dropFirst().firstIndex(of: "\"") else {
                    throw Refusal(message: "Unterminated string.")
                }
                tokens.append(String(rest[...end]))
                rest = rest[rest.index(after: end)...]
            } else if "{}()[]:!$=".contains(first) {
                tokens.append(String(first))
                rest.removeFirst()
            } else {
                throw Refusal(message: "Syntax Error: unexpected character \(first).")
            }
            guard tokens.count <= 1_000 else { throw Refusal(message: "The query is too long.") }
        }
        return tokens
    }

    // MARK: Grammar

    private struct Parser {
        var tokens: [String]
        var variables: JSONObject
        var at = 0

        init(tokens: [String], variables: JSONObject) {
            self.tokens = tokens
            self.variables = variables
        }

        var next: String { at < tokens.count ? tokens[at] : "" }

        mutating func take() -> String {
            defer { at += 1 }
            return next
        }

        mutating func expect(_ token: String) throws(Refusal) {
            guard next == token else {
                throw Refusal(
                    message: "Syntax Error: expected \(token), found \(next.isEmpty ? "<EOF>" : next).")
            }
            at += 1
        }

        mutating func operation() throws(Refusal) -> [Field] {
            if next == "query" {
                at += 1
                if next != "(" && next != "{" { at += 1 }
                if next == "(" { try declarations() }
            }
            let fields = try selection()
            guard at == tokens.count else { throw Refusal(message: "Syntax Error: unexpected \(next).") }
            return fields
        }

        /// `($first:Int!,$after:Cursor)`: a variable that must be there, is.
        private mutating func declarations() throws(Refusal) {
            try expect("(")
            while next == "$" {
                at += 1
                let name = take()
                try expect(":")
                _ = take()
                guard next == "!" else { continue }
                at += 1
                guard let value = variables[name], value != .null else {
                    throw Refusal(message: "Variable \"$\(name)\" of required type was not provided.")
                }
            }
            try expect(")")
        }

        private mutating func selection() throws(Refusal) -> [Field] {
            try expect("{")
            var fields: [Field] = []
            while next != "}" {
                guard let first = next.first, first.isLetter || first == "_" else {
                    throw Refusal(
                        message: "Syntax Error: expected Name, found \(next.isEmpty ? "<EOF>" : next).")
                }
                let name = take()
                var field = Field(name: name, arguments: [:], selection: [])
                if next == "(" { field.arguments = try members("(", ")") }
                if next == "{" { field.selection = try selection() }
                fields.append(field)
            }
            at += 1
            return fields
        }

        private mutating func members(_ open: String, _ close: String) throws(Refusal) -> JSONObject {
            try expect(open)
            var object: JSONObject = [:]
            while next != close {
                guard at < tokens.count else {
                    throw Refusal(message: "Syntax Error: expected \(close), found <EOF>.")
                }
                let name = take()
                try expect(":")
                object[name] = try value()
            }
            at += 1
            return object
        }

        private mutating func value() throws(Refusal) -> JSONValue {
            switch next {
            case "$":
                at += 1
                return variables[take()] ?? .null
            case "{": return .object(try members("{", "}"))
            case "": throw Refusal(message: "Syntax Error: expected a value, found <EOF>.")
            case _:
                let word = take()
                if word.hasPrefix("\"") { return .string(String(word.dropFirst().dropLast())) }
                return Int64(word).map { .integer($0) } ?? .string(word)
            }
        }
    }
}
