/// What one line of Swift imports.
enum ImportLine {
    /// The modules that a line of source imports; more than one only where statements share the line.
    ///
    /// Attributes, modifiers and the kind of a single declaration may stand before a name:
    /// `@preconcurrency public import struct Fetch.Request` imports `Fetch`.
    static func modules(of line: Substring) -> [String] {
        guard line.contains("import") else { return [] }
        let statement =
            #/
            ^\s* (?: (?: @\w+ (?:\([^)]*\))? | public | package | internal | fileprivate | private ) \s+ )*
            import \s+ (?: (?: func | struct | class | enum | protocol | typealias | actor | let | var ) \s+ )?
            ( [A-Za-z_]\w* )
            /#
        return line.split(separator: ";").compactMap { part in
            part.firstMatch(of: statement).map { String($0.1) }
        }
    }
}
