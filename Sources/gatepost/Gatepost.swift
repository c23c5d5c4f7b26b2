import ArgumentParser

/// The gateway and its command line.
@main
struct Gatepost: ParsableCommand {
    /// With a word before it, by which it is found in the program's file (`strings`).
    private static let versionMark = "gatepost-version=0.1.0"
    static let versionText = String(versionMark.dropFirst("gatepost-version=".count))

    static let configuration = CommandConfiguration(
        commandName: "gatepost",
        abstract: "An access gateway: signs people in, proves their device, decides every request.",
        discussion: """
            Start with "gatepost check --config FILE", then "gatepost serve --config FILE".
            The other commands talk to the running gateway over its administration socket.
            """,
        version: "gatepost \(versionText)",
        subcommands: [
            Serve.self, Check.self, Status.self, Explain.self, Analyze.self, Verdicts.self, Integrations.self,
            Reconnect.self, Session.self, Device.self, Held.self, Events.self, ReplayLog.self, Erase.self,
            EnrollToken.self, ServiceToken.self, Keys.self, Schema.self, Version.self,
            UpgradeCommand.self, ReloadCommand.self, DataCommand.self, ControlCommand.self,
        ])
}

/// Where the configuration is.
struct ConfigOption: ParsableArguments {
    @Option(
        name: [.short, .customLong("config")],
        help: "The configuration: a YAML file, or a folder of *.yaml files.")
    var path = "/etc/gatepost/gatepost.yaml"
}

struct Version: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print the version.")
    func run() { print("gatepost \(Gatepost.versionText)") }
}
