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
}
