import Foundation
import Glibc

/// The agent's state: one private folder for each gateway below `gateways`, with its own key, certificate,
/// pinned keys and counter. Two gateways cannot tell by a key that they see the same machine.
struct GatewayFolders: Sendable {
    static let name = "gateways"
    static let countMax = 16

    /// The whole state.
    let state: StateFolder

    private var parent: StateFolder { StateFolder(path: state.path + "/" + Self.name) }

    /// Makes or checks the folder, and moves what an agent of one gateway only left directly in it.
    init(preparing state: StateFolder) throws(AgentError) {
        self.state = state
        try state.prepare()
        try parent.prepare()
        try migrate()
    }

    /// Where the state of one gateway lies, enrolled or not.
    ///
    /// - Parameter origin: `https://host[:port]`; its host begins with a letter or a digit, so the name is
    ///   never a way out of the folder.
    func folder(of origin: String) throws(AgentError) -> StateFolder {
        let host = origin.utf8.dropFirst("https://".utf8.count)
        guard Enrolment.isOrigin(origin), host.count <= 200, let first = host.first,
            first != 0x2e, first != 0x2d, first != 0x3a
        else {
            throw AgentError(
                "\(origin) is no address of a gateway", remedy: "use https://AUTH-HOST[:PORT]")
        }
        let name = String(decoding: host.map { $0 == 0x3a ? 0x5f : $0 }, as: UTF8.self)
        return StateFolder(path: parent.path + "/" + name)
    }

    /// The folders of all gateways that this machine is enrolled with, in the order of their names.
    func enrolled() throws(AgentError) -> [StateFolder] {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: parent.path) else {
            throw AgentError("\(parent.path): cannot be read", remedy: "check its permissions")
        }
        let folders = names.sorted().map { StateFolder(path: parent.path + "/" + $0) }.filter {
            access($0.path + "/" + Enrolment.fileName, F_OK) == 0
        }
        guard folders.count <= Self.countMax else {
            throw AgentError(
                "enrolled with more than \(Self.countMax) gateways",
                remedy: "leave some: gatepost-agent leave")
        }
        return folders
    }

    /// As `enrolled`, for commands that make no sense without one.
    func enrolledOrFail() throws(AgentError) -> [StateFolder] {
        let folders = try enrolled()
        guard !folders.isEmpty else {
            throw AgentError(
                "\(state.path): this device is not enrolled",
                remedy: "run: gatepost-agent enroll --url https://AUTH-HOST --token TOKEN")
        }
        return folders
    }

    /// Ends an enrolment on this machine: first the file that makes it one, then the rest.
    func remove(_ folder: StateFolder) throws(AgentError) {
        guard unlink(folder.path + "/" + Enrolment.fileName) == 0 else {
            throw AgentError("\(folder.path): cannot be removed", remedy: "check its permissions")
        }
        do {
            try FileManager.default.removeItem(atPath: folder.path)
        } catch {
            throw AgentError(
                "\(folder.path): is not empty yet", remedy: "remove it by hand: the device key lies in it")
        }
    }

    /// The enrolment goes last: until then the next start finds it in the old place and goes on.
    private func migrate() throws(AgentError) {
        guard let stored = try state.read(Enrolment.fileName) else { return }
        let target = try folder(of: try Enrolment(stored: stored).authOrigin)
        try target.prepare()
        for file in [DeviceIdentity.keyFileName, StatementCounter.fileName, Enrolment.fileName] {
            let source = state.path + "/" + file
            guard access(source, F_OK) == 0 else { continue }
            guard rename(source, target.path + "/" + file) == 0 else {
                throw AgentError(
                    "\(source): cannot be moved to \(target.path)", remedy: "check free space and permissions"
                )
            }
        }
    }
}
