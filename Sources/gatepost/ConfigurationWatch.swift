import CLinux
import Control
import Foundation
import Glibc

/// Orders a reload when the files of the configuration are others than before.
///
/// Folders are watched and not files: editors put a new file in the old one's place, and Kubernetes changes a symbolic
/// link to a folder. What counts is then what the files say, so that a touched file orders nothing.
enum ConfigurationWatch {
    /// Nothing more has to come for so long: several files are changed one after the other.
    static let quietMilliseconds: Int32 = 500
    /// But no longer than this after the first.
    static let patienceMilliseconds: Int64 = 5_000
    /// Without news, for file systems that give none.
    static let lookMilliseconds: Int32 = 60_000

    /// - Parameter read: `FilesOfConfiguration.fingerprint` when the configuration in force was read.
    static func begin(
        _ control: ControlPlane, configPath: String, since read: Int, order: @escaping @Sendable () -> Void
    ) {
        Thread.detachNewThread {
            guard let watch = FolderWatch() else {
                return ConfigurationFile.report("gatepost: changes of files are not seen: no inotify left")
            }
            let files = { FilesOfConfiguration(configPath: configPath, named: control.configurationFiles) }
            var seen = read
            var isFirst = true
            while true {
                watch.follow(files().folders)
                // What changed during the start is looked for before anything is waited for.
                if !isFirst {
                    watch.wait(
                        quietMilliseconds: quietMilliseconds, patienceMilliseconds: patienceMilliseconds,
                        lookMilliseconds: lookMilliseconds)
                }
                isFirst = false
                let now = files().fingerprint
                guard now != seen else { continue }
                seen = now
                if control.reloadsOnChange { order() }
            }
        }
    }
}

/// What a configuration is read from: the file or folder itself, and the files that it names.
struct FilesOfConfiguration {
    private static let bytesMax = 1 << 20
    private static let linksMax = 40

    var configPath: String
    /// As they were when it was read last.
    var named: [String]

    private var files: [String] {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: configPath, isDirectory: &isFolder), isFolder.boolValue
        else { return [configPath] + named }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: configPath)) ?? []
        let own = names.filter { $0.hasSuffix(".yaml") && !$0.hasPrefix(".") }
        return own.map { "\(configPath)/\($0)" } + named
    }

    /// Stands for what all of them say, in this process.
    var fingerprint: Int {
        var hasher = Hasher()
        for file in Set(files).sorted() {
            hasher.combine(file)
            hasher.combine(Self.read(file))
        }
        return hasher.finalize()
    }

    /// nil: it cannot be read, as long as it cannot.
    private static func read(_ path: String) -> [UInt8]? {
        // A pipe of that name must not be waited for.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        var bytes = [UInt8](repeating: 0, count: min(bytesMax, max(0, Int(status.st_size))) + 1)
        var count = 0
        while count < bytes.count {
            let got = bytes[count...].withUnsafeMutableBytes {
                Glibc.read(descriptor, $0.baseAddress, $0.count)
            }
            guard got > 0 else { break }
            count += got
        }
        return Array(bytes[..<count])
    }

    /// Every folder in which a change may make one of the files another one: its own, and those of the symbolic links
    /// on the way to it.
    var folders: Set<String> {
        var found: Set<String> = []
        for file in Set(files + [configPath]) { Self.follow(file, into: &found, linksLeft: Self.linksMax) }
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: configPath, isDirectory: &isFolder), isFolder.boolValue {
            found.insert(configPath)
        }
        return found
    }

    private static func follow(_ path: String, into found: inout Set<String>, linksLeft: Int) {
        guard linksLeft > 0 else { return }
        let full = path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
        var names = full.split(separator: "/").map(String.init)
        var folder = ""
        while !names.isEmpty {
            let name = names.removeFirst()
            let one = "\(folder)/\(name)"
            if let target = try? FileManager.default.destinationOfSymbolicLink(atPath: one) {
                found.insert(folder.isEmpty ? "/" : folder)
                let next = target.hasPrefix("/") ? target : "\(folder)/\(target)"
                return follow(([next] + names).joined(separator: "/"), into: &found, linksLeft: linksLeft - 1)
            }
            if names.isEmpty { found.insert(folder.isEmpty ? "/" : folder) }
            folder = one
        }
    }
}

/// News of folders (inotify(7)).
final class FolderWatch {
    private static let events =
        UInt32(IN_CLOSE_WRITE) | UInt32(IN_MOVED_TO) | UInt32(IN_MOVED_FROM) | UInt32(IN_CREATE)
        | UInt32(IN_DELETE) | UInt32(IN_ATTRIB) | UInt32(IN_DELETE_SELF) | UInt32(IN_MOVE_SELF)
    private let descriptor: Int32
    private var watched: [String: Int32] = [:]

    /// - Returns: nil: the user has no instance left.
    init?() {
        descriptor = inotify_init1(Int32(IN_CLOEXEC) | Int32(IN_NONBLOCK))
        guard descriptor >= 0 else { return nil }
    }

    deinit { close(descriptor) }

    /// These and no others; one that is another folder by now is followed anew.
    func follow(_ folders: Set<String>) {
        for (folder, watch) in watched where !folders.contains(folder) {
            inotify_rm_watch(descriptor, watch)
            watched[folder] = nil
        }
        // Also those that are watched: the same folder gives the same watch, another one of the name a new one.
        for folder in folders {
            let watch = inotify_add_watch(descriptor, folder, Self.events)
            watched[folder] = watch >= 0 ? watch : nil
        }
    }

    /// Waits for news, and then until there is none for a while.
    func wait(quietMilliseconds: Int32, patienceMilliseconds: Int64, lookMilliseconds: Int32) {
        guard hasNews(lookMilliseconds) else { return }
        let end = Supervisor.nowMilliseconds + patienceMilliseconds
        while hasNews(quietMilliseconds), Supervisor.nowMilliseconds < end {}
    }

    /// Which is not read: what the files say is looked at anyway.
    private func hasNews(_ milliseconds: Int32) -> Bool {
        var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&polled, 1, milliseconds) > 0 else { return false }
        var room = [UInt8](repeating: 0, count: 65_536)
        while read(descriptor, &room, room.count) > 0 {}
        return true
    }
}
