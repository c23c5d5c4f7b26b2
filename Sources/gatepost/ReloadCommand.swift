import ArgumentParser
import Config
import Control
import JSON

/// Has the running gateway read its configuration again, and waits for what comes of it.
struct ReloadCommand: ParsableCommand {
    /// Every session may have to be decided anew.
    private static let secondsMax = 300

    static let configuration = CommandConfiguration(
        commandName: "reload",
        abstract: "Read the configuration again; no request is lost, and a bad one changes nothing.",
        discussion: """
            Prints what changed (+ new, - gone, ~ another one), or why it was refused. Exit status: 0 it is in force, 1
            it was refused and the one before stays, 2 no gateway answers.
            """)
    @Flag(help: "Print JSON.") var json = false
    @OptionGroup var gateway: SocketOption

    func run() throws {
        let answer = try gateway.ask(["command": "reload"], seconds: Self.secondsMax)
        print(json ? answer.serializedText() : answer["text"]?.string ?? "")
    }
}
