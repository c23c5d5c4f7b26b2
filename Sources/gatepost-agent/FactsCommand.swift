import ArgumentParser
import JSON

/// `gatepost-agent facts`
struct FactsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "facts",
        abstract: "Prints what the agent would tell each gateway about this machine, as JSON.",
        discussion: """
            A fact that is not there could not be found out; that is not the same as false. With --root, and before \
            an enrolment, the facts alone are printed: nobody is told them.
            """)

    @OptionGroup var state: StateOptions
    @OptionGroup var inputs: SourceOptions

    @Option(help: ArgumentHelp("Read another machine's files below this folder.", valueName: "folder"))
    var root: String = "/"

    func run() async throws {
        let now = AgentClock.system.nowSeconds()
        let host = HostRoot(root)
        let folders = host.path.isEmpty ? try state.opened().enrolled() : []
        let facts = inputs.collector(host, deviceIDs: state.deviceIDs).collect(nowSeconds: now)
        guard !folders.isEmpty else {
            let own = FactProbes.ofOneGateway("https://localhost", host)
            return print(JSONValue.object(facts.merging(own)).serializedText())
        }
        let configuration = try inputs.configuration()
        var views = JSONObject()
        for folder in folders {
            let enrolment = try DeviceIdentity(folder: folder).enrolment
            let view = PrivacyView(
                enrolment: enrolment, permitted: configuration[enrolment.authOrigin].permitted,
                asked: AskedClaims.read(folder),
                facts: facts.merging(FactProbes.ofOneGateway(enrolment.authOrigin, host)))
            views[enrolment.authOrigin] = .object(view.object)
        }
        print(JSONValue.object(views).serializedText())
    }
}
