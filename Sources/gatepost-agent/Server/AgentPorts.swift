/// On which ports the agent listens: those that its gateways named, and others when they are taken.
enum AgentPorts {
    /// - Parameters:
    ///   - wanted: what the gateways' pages call first.
    ///   - further: tried in this order, one for all, when one of those is taken.
    /// - Returns: at least one socket, and in words what could not be had.
    static func bind(
        wanted: [UInt16], further: [UInt16]
    ) throws(AgentError) -> (sockets: [ListeningSocket], problems: [String]) {
        var sockets: [ListeningSocket] = []
        var problems: [String] = []
        for port in wanted {
            do throws(AgentError) {
                sockets.append(try ListeningSocket(port: port))
            } catch {
                problems.append(error.description)
            }
        }
        if !problems.isEmpty {
            for port in further where !wanted.contains(port) {
                do throws(AgentError) {
                    sockets.append(try ListeningSocket(port: port))
                    problems.append("listening on \(port) instead; the gateway must list it in further-ports")
                    break
                } catch {
                    problems.append(error.description)
                }
            }
        }
        guard !sockets.isEmpty else {
            throw AgentError(
                problems.joined(separator: "; "),
                remedy: "or list further ports in \(AgentConfiguration.defaultPath) and at the gateway")
        }
        for socket in sockets where socket.isVersion6Taken {
            problems.append("[::1]:\(socket.port) belongs to another program; only 127.0.0.1 is answered")
        }
        return (sockets, problems)
    }

    /// Binds what gateways name that enrolled later, or whose port was taken until now.
    ///
    /// - Parameters:
    ///   - further: tried when one of those is taken and none of these is listened on.
    ///   - bound: what is listened on already.
    static func bindMissing(
        wanted: [UInt16], further: [UInt16], bound: [UInt16]
    ) -> (sockets: [ListeningSocket], problems: [String]) {
        let missing = wanted.filter { !bound.contains($0) }
        guard !missing.isEmpty else { return ([], []) }
        let others = further.contains { bound.contains($0) } ? [] : further
        do throws(AgentError) {
            return try bind(wanted: missing, further: others.filter { !bound.contains($0) })
        } catch {
            return ([], [error.description])
        }
    }
}
