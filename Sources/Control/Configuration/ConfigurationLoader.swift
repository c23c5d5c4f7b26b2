public import Config
import Foundation
import Signatures

/// Loads a configuration with the process's environment and our content hash.
public enum ConfigurationLoader {
    /// - Throws: every problem of the configuration at once.
    public static func load(path: String, readsFiles: Bool = true) throws(ConfigFailure) -> ConfigSnapshot {
        var snapshot = try ConfigSnapshot.load(
            path: path, environment: ProcessInfo.processInfo.environment, readsFiles: readsFiles,
            identify: {
                Digest.sha256($0).map { byte in String(byte >> 4, radix: 16) + String(byte & 15, radix: 16) }
                    .joined()
            })
        guard readsFiles else { return snapshot }
        let agents = AgentParts.findings(snapshot, path: path, nowSeconds: systemSeconds())
        let clients = ClientTrust.findings(snapshot, path: path, nowSeconds: systemSeconds())
        let problems = TokenIssuers.problems(snapshot, path: path) + agents.problems + clients.problems
        guard problems.isEmpty else { throw ConfigFailure(problems: problems) }
        snapshot.warnings += agents.warnings + clients.warnings
        return snapshot
    }
}
