import Foundation
import Glibc
import JSON
import Testing

@testable import gatepost_agent

/// What somebody could put where a fact is read from.
enum HostileFile: String, CaseIterable {
    case linkOut, tenMegabytes, fifo, folder, invalidText, unreadable, empty, linkLoop

    func put(_ path: String, in folder: TemporaryFolder) throws {
        let full = folder.path + path
        let parent = (full as NSString).deletingLastPathComponent
        try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
        switch self {
        case .linkOut: symlink("/etc/passwd", full)
        case .tenMegabytes: try folder.put(path, bytes: Array(repeating: 0x41, count: 10 << 20))
        case .fifo: mkfifo(full, 0o600)
        case .folder: mkdir(full, 0o755)
        case .invalidText: try folder.put(path, bytes: [0xff, 0xfe, 0x0a, 0xc3, 0x28])
        case .unreadable:
            // Also for root, who may read everything: a socket cannot be opened.
            let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(full.utf8.prefix(100))) }
            withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    _ = bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            close(descriptor)
        case .empty: try folder.put(path, "")
        case .linkLoop: symlink(full, full)
        }
    }
}

@Suite("Reading a machine's files: only regular ones, only below the root, never waiting")
struct HostRootTests {
    @Test("nothing but a regular file of at most the limit is an answer", arguments: HostileFile.allCases)
    func hostile(_ kind: HostileFile) throws {
        let folder = try TemporaryFolder()
        try kind.put("/etc/thing", in: folder)
        let root = HostRoot(folder.path)
        #expect(root.text("/etc/thing") == (kind == .empty ? "" : nil))
        #expect(root.line("/etc/thing") == nil)
    }

    @Test("exactly at the limit is read, one byte more is not") func limit() throws {
        let folder = try TemporaryFolder()
        try folder.put("/a", bytes: Array(repeating: 0x41, count: 64))
        let root = HostRoot(folder.path)
        #expect(root.bytes("/a", bytesMax: 64)?.count == 64)
        #expect(root.bytes("/a", bytesMax: 63) == nil)
    }

    @Test("links and dots lead out of another machine's files to nothing") func containment() throws {
        let folder = try TemporaryFolder()
        try folder.put("/etc/real", "inside\n")
        symlink("/etc", folder.path + "/out")
        symlink("etc", folder.path + "/in")
        let root = HostRoot(folder.path)
        #expect(root.text("/out/passwd") == nil)
        #expect(root.names("/out") == nil)
        #expect(!root.exists("/out/passwd"))
        #expect(root.owner("/out/passwd") == nil)
        #expect(root.text("/../../etc/passwd") == nil)
        #expect(root.line("/in/real") == "inside")
    }

    @Test("a file is trusted only while nobody else can change it or what it lies in") func trust() throws {
        let folder = try TemporaryFolder()
        try folder.put("/etc/agent/rules", "x")
        let root = HostRoot(folder.path)
        #expect(root.isTrusted("/etc/agent/rules"))
        #expect(!root.isTrusted("/etc/agent/missing"))
        // A link that somebody else can turn elsewhere, to something that only root can change.
        try folder.put("/open/x", "")
        symlink("../etc/agent/rules", folder.path + "/open/link")
        #expect(root.isTrusted("/open/link"))
        // Neither may anybody else choose which of such files it is.
        symlink("../open/link", folder.path + "/etc/way")
        #expect(root.isTrusted("/etc/way"))
        #expect(root.trustedPlace("/etc/way")?.hasSuffix("/etc/agent/rules") == true)
        chmod(folder.path + "/open", 0o777)
        #expect(!root.isTrusted("/open/link"))
        #expect(!root.isTrusted("/etc/way"))
        chmod(folder.path + "/etc/agent", 0o777)
        #expect(!root.isTrusted("/etc/agent/rules"))
        chmod(folder.path + "/etc/agent", 0o1777)
        #expect(!root.isTrusted("/etc/agent/rules"))
        chmod(folder.path + "/etc/agent", 0o755)
        chmod(folder.path + "/etc/agent/rules", 0o620)
        #expect(!root.isTrusted("/etc/agent/rules"))
    }

    @Test("missing is told apart from what may not be seen") func presence() throws {
        let folder = try TemporaryFolder()
        try folder.put("/etc/file", "x")
        let root = HostRoot(folder.path)
        #expect(root.presence("/etc/file") == .present)
        #expect(root.presence("/etc/none") == .absent)
        #expect(root.presence("/etc/file/below") == .absent)
        #expect(root.presence("/" + String(repeating: "x", count: 300)) == .unknown)
    }
}
