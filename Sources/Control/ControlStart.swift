public import Config
import Foundation
import Store

/// Opens what the control plane needs on disk and makes it.
public enum ControlStart {
    /// - Throws: `ControlFailure` naming the file and the remedy.
    public static func make(
        configPath: String, config: ConfigSnapshot, reactors: any Reactors
    ) throws(ControlFailure) -> ControlPlane {
        let store: SQLiteStore
        do {
            store = try SQLiteStore(folder: config.gateway.storeFolder)
        } catch {
            throw ControlFailure(what: "\(error)")
        }
        return try ControlPlane(
            configPath: configPath, config: config, store: store, keysFolder: config.gateway.keysFolder,
            reactors: reactors)
    }
}
