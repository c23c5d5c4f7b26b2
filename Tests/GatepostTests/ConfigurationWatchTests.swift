import Foundation
import Glibc
import Testing

@testable import gatepost

@Suite("Files of a configuration that change")
struct ConfigurationWatchTests {
    private final class Folder: Sendable {
        let path: String

        init() throws {
            var template = Array("\(NSTemporaryDirectory())gatepost-watch-XXXXXX".utf8CString)
            guard let made = mkdtemp(&template), let real = realpath(made, nil) else {
                throw FakePeer.Failure(description: "no folder")
            }
            path = String(cString: real)
            free(real)
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        func write(_ name: String, _ text: String) throws {
            let file = URL(filePath: "\(path)/\(name)")
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }

        func link(_ name: String, to target: String) throws {
            try FileManager.default.createSymbolicLink(
                atPath: "\(path)/\(name)", withDestinationPath: target)
        }

        /// As Kubernetes does it: the new link is renamed over the old one.
        func swap(_ name: String, to target: String) throws {
            try link("\(name)_tmp", to: target)
            try #require(rename("\(path)/\(name)_tmp", "\(path)/\(name)") == 0)
        }
    }

    private func files(_ folder: Folder, _ name: String = "gatepost.yaml", _ named: [String] = [])
        -> FilesOfConfiguration
    {
        FilesOfConfiguration(
            configPath: name.isEmpty ? folder.path : "\(folder.path)/\(name)",
            named: named.map { "\(folder.path)/\($0)" })
    }

    @Test("what a file says counts; that it was touched or written anew with the same bytes does not")
    func contents() throws {
        let folder = try Folder()
        try folder.write("gatepost.yaml", "a")
        try folder.write("key.pem", "k")
        let watched = files(folder, "gatepost.yaml", ["key.pem"])
        let first = watched.fingerprint
        try folder.write("gatepost.yaml", "a")
        #expect(watched.fingerprint == first)
        try folder.write("key.pem", "l")
        let second = watched.fingerprint
        #expect(second != first)
        try FileManager.default.removeItem(atPath: "\(folder.path)/key.pem")
        #expect(![first, second].contains(watched.fingerprint))
        try folder.write("key.pem", "k")
        #expect(watched.fingerprint == first)
    }

    @Test("of a folder every *.yaml counts, also one that comes; what is hidden or no *.yaml does not")
    func folderOfFiles() throws {
        let folder = try Folder()
        try folder.write("a.yaml", "a")
        let watched = files(folder, "")
        let first = watched.fingerprint
        try folder.write(".a.yaml.swp", "x")
        try folder.write(".hidden.yaml", "x")
        try folder.write("notes.txt", "x")
        #expect(watched.fingerprint == first)
        try folder.write("b.yaml", "b")
        #expect(watched.fingerprint != first)
        #expect(watched.folders.contains(folder.path))
    }

    @Test("folders of every symbolic link on the way are watched, and of what they lead to")
    func folders() throws {
        let folder = try Folder()
        try folder.write("mount/..2026_1/gatepost.yaml", "one")
        try folder.link("mount/..data", to: "..2026_1")
        try folder.link("mount/gatepost.yaml", to: "..data/gatepost.yaml")
        let found = files(folder, "mount/gatepost.yaml").folders
        #expect(found.contains("\(folder.path)/mount") && found.contains("\(folder.path)/mount/..2026_1"))
        try folder.link("round", to: "round")
        #expect(files(folder, "round/x.yaml").folders.contains(folder.path), "a circle ends")
    }

    @Test(
        "a file that is written, replaced, and a link that is swapped as Kubernetes does it are news",
        .timeLimit(.minutes(10)))
    func news() async throws {
        let folder = try Folder()
        try folder.write("..2026_1/gatepost.yaml", "one")
        try folder.write("..2026_2/gatepost.yaml", "two")
        try folder.link("..data", to: "..2026_1")
        try folder.link("gatepost.yaml", to: "..data/gatepost.yaml")
        let watched = files(folder)
        let first = watched.fingerprint
        try await waits(for: watched) { try folder.swap("..data", to: "..2026_2") }
        #expect(watched.fingerprint != first)
        try await waits(for: watched) { try folder.write("..2026_2/gatepost.yaml", "three") }
        let third = watched.fingerprint
        try await waits(for: watched) {
            let file = URL(filePath: "\(folder.path)/..2026_2/gatepost.yaml")
            try Data("four".utf8).write(to: file, options: .atomic)
        }
        #expect(watched.fingerprint != third)
    }

    /// Without news this takes a minute, and the test fails by its limit.
    private func waits(for watched: FilesOfConfiguration, _ change: @escaping @Sendable () throws -> Void)
        async throws
    {
        try await offPool {
            let watch = try #require(FolderWatch())
            watch.follow(watched.folders)
            try change()
            watch.wait(quietMilliseconds: 20, patienceMilliseconds: 1_000, lookMilliseconds: 60_000)
        }
    }

    @Test("without news the wait ends at its look, and with endless news at its patience")
    func bounds() async throws {
        let folder = try Folder()
        try folder.write("a.yaml", "a")
        try await offPool {
            let watch = try #require(FolderWatch())
            watch.follow([folder.path, "\(folder.path)/is-not-there"])
            let began = ContinuousClock.now
            watch.wait(quietMilliseconds: 20, patienceMilliseconds: 100, lookMilliseconds: 50)
            #expect(ContinuousClock.now - began >= .milliseconds(49))
        }
        let ends = Watched(false)
        Thread.detachNewThread {
            while !ends.look({ $0 }) { try? folder.write("a.yaml", "b") }
        }
        try await offPool {
            let watch = try #require(FolderWatch())
            watch.follow([folder.path])
            watch.wait(quietMilliseconds: 5_000, patienceMilliseconds: 100, lookMilliseconds: 60_000)
        }
        ends.change { $0 = true }
    }
}
