/// What an application may have a browser delete (W3C Clear Site Data §3.1).
///
/// `"cookies"` deletes those of the whole registrable domain, the auth host's with them, and `"*"` does the same: an
/// application could sign people out of every other one. Types that browsers may add are unknown, so they may be
/// cookies by another name; only those are left that are kept for one origin.
enum ClearSiteData {
    /// Writes the line with the harmless ones of its members, and no line when there is none. For `"*"` all of them.
    ///
    /// A member counts as browsers take it: quotes and case belong to it, blanks around it do not.
    static func write(
        _ line: FieldLine, _ head: Span<UInt8>, _ copier: inout LineCopier, into output: inout HeadOutput
    ) {
        copier.flush(head, into: &output)
        let value = line.value.indices
        var isBegun = false
        var start = value.lowerBound
        while start < value.upperBound {
            let end = ByteClass.find(44, head, start..<value.upperBound)
            let member = ByteClass.trimmed(head, start..<end)
            if names(head, member, "\"*\"") {
                append(
                    "\"cache\", \"clientHints\", \"storage\", \"executionContexts\"", &isBegun, into: &output)
            } else if isHarmless(head, member) {
                append("", &isBegun, into: &output)
                output.append(head, member)
            }
            start = end + 1
        }
        if isBegun { output.append("\r\n") }
    }

    private static func isHarmless(_ head: Span<UInt8>, _ member: Range<Int>) -> Bool {
        names(head, member, "\"cache\"") || names(head, member, "\"storage\"")
            || names(head, member, "\"clientHints\"") || names(head, member, "\"executionContexts\"")
            || names(head, member, "\"prefetchCache\"") || names(head, member, "\"prerenderCache\"")
    }

    private static func names(_ head: Span<UInt8>, _ member: Range<Int>, _ name: StaticString) -> Bool {
        member.count == name.utf8CodeUnitCount && ByteClass.starts(head, member, name)
    }

    private static func append(
        _ members: StaticString, _ isBegun: inout Bool, into output: inout HeadOutput
    ) {
        output.append(isBegun ? ", " : "Clear-Site-Data: ")
        isBegun = true
        output.append(members)
    }
}
