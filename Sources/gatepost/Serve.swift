import ArgumentParser
import Config

struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the gateway.",
        discussion: """
            SIGHUP reads the configuration again; a bad one changes nothing. SIGTERM and Ctrl-C stop gracefully: open
            requests may finish for 10 seconds, a second signal ends at once.
            """)
    @OptionGroup var config: ConfigOption

    func run() throws {
        let snapshot = try ConfigurationFile(path: config.path).loadOrReport()
        do {
            try Gateway(configPath: config.path, config: snapshot).run()
        } catch {
            ConfigurationFile.report("gatepost: \(error)")
            throw ExitCode(1)
        }
    }
}
