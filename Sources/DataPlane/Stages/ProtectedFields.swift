import Border
import HTTP

/// What the application is told of a person, under the configuration that is in force.
extension Reactor {
    /// Whether the route removes every field of the session's record from what clients send. While a reload is under
    /// way a record may be of another configuration: a field that this one does not protect would reach the
    /// application twice, once as the client wrote it. Looked at once for each record and configuration.
    @inline(never)
    func mayTell(_ session: Int32, _ route: Route) -> Bool {
        let entry = sessions[session]
        let isProtected = entry.pointee.record.identityFields.withUnsafeBufferPointer { lines in
            Self.areProtected(lines.span, by: route.requestWriter.identity)
        }
        if isProtected { entry.pointee.provenRevision = route.revision }
        return isProtected
    }

    /// - Parameter lines: whole field lines, as the control plane writes them.
    private static func areProtected(_ lines: Span<UInt8>, by identity: IdentityFieldNames) -> Bool {
        var start = 0
        while start < lines.count {
            var end = start
            while end < lines.count, lines[end] != UInt8(ascii: ":") { end += 1 }
            guard end < lines.count, identity.contains(lines, start..<end) else { return false }
            while end < lines.count, lines[end] != UInt8(ascii: "\n") { end += 1 }
            start = end + 1
        }
        return true
    }
}
