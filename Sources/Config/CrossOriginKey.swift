/// `applications.<name>.cors`: what scripts of other origins may do.
enum CrossOriginKey {
    static let table = KeyTable(
        "applications.<name>.cors",
        [
            .required(
                "origins", .list(.url),
                "Origins whose scripts may call this application; they read 401 and 403 answers too. Compared byte "
                    + "for byte: no `*`, no `null`, no subdomains.",
                example: "[ \"https://portal.corp.example\" ]"),
            .optional(
                "preflight", .choice(["answer", "forward"]),
                "Who answers preflights of listed origins, and with that who writes `Access-Control-*`: the gateway, "
                    + "in place of whatever the application says, or the application. A forwarded preflight has no "
                    + "cookie, no body, and only the fields that make it one; no policy is asked.",
                standard: "`answer`", example: "forward"),
            .optional(
                "methods", .list(.text), "Methods beside GET, HEAD and POST.", standard: "none",
                example: "[PUT, DELETE]"),
            .optional(
                "request-fields", .list(.text), "Request fields that scripts may set.", standard: "none",
                example: "[Content-Type, Authorization]"),
            .optional(
                "response-fields", .list(.text), "Response fields that scripts may read.", standard: "none",
                example: "[X-Total-Count]"),
            .optional(
                "credentials", .flag,
                "Whether calls may carry cookies. The gateway's own go along from origins of the same site only.",
                standard: "`false`", example: "true"),
            .optional(
                "max-age", .duration(1...86_400), "How long browsers remember the answer to a preflight.",
                standard: "they ask each time", example: "10m"),
        ])

    static let originsMax = 64
    static let namesMax = 64
    /// No script may use them (Fetch standard §2.2.1).
    private static let forbiddenMethods: Set<String> = ["CONNECT", "TRACE", "TRACK"]
    /// Beside who answers, what is said only in the gateway's own answers.
    private static let said = ["methods", "request-fields", "response-fields", "credentials", "max-age"]

    static func read(_ application: SectionReader) -> CrossOriginSettings? {
        guard let reader = application.section("cors", table) else { return nil }
        let origins = OriginsKey.read(reader)
        if origins.count > originsMax {
            reader.problem("origins", "more than \(originsMax) of them", "remove some")
        }
        var settings = CrossOriginSettings(origins: origins)
        settings.isForwarded = reader.choice("preflight") == "forward"
        settings.methods = names("methods", reader, isMethod: true)
        settings.requestFields = names("request-fields", reader)
        settings.responseFields = names("response-fields", reader)
        settings.allowsCredentials = reader.flag("credentials") ?? false
        settings.maxAgeSeconds = reader.duration("max-age") ?? 0
        if settings.isForwarded {
            for name in said {
                reader.ineffective(name, because: "the application answers preflights", "remove it")
            }
        }
        return settings
    }

    private static func names(_ name: String, _ reader: SectionReader, isMethod: Bool = false) -> [String] {
        guard let texts = reader.texts(name) else { return [] }
        if texts.count > namesMax { reader.problem(name, "more than \(namesMax) of them", "remove some") }
        return texts.filter { text in
            guard FieldsKey.isToken(text) else {
                // "*" among them: with credentials browsers take it for a name, without for everything.
                reader.problem(
                    name, "\"\(text)\" is no name", "write each name out, letters, digits and hyphens")
                return false
            }
            guard isMethod else { return true }
            guard text == text.uppercased(), !forbiddenMethods.contains(text) else {
                reader.problem(
                    name, "\"\(text)\" is no method of scripts",
                    "use upper case, and none of CONNECT, TRACE, TRACK")
                return false
            }
            return true
        }
    }
}
