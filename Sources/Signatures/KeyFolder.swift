import Glibc

/// The folder of a key ring. Everything goes through the descriptor of the folder that was checked, so a
/// folder that is exchanged later is never read.
final class KeyFolder: Sendable {
    let path: String
    private let descriptor: CInt

    /// The most bytes of a key file.
    static let fileBytesMax = 8 << 10
    /// The most files of any name in the folder; beyond that it is not a key folder.
    static let filesMax = 1000

    init(path: String) throws(SignatureError) {
        self.path = path
        if mkdir(path, 0o700) != 0 && errno != EEXIST {
            throw SignatureError(
                "\(path): the key folder cannot be made (\(lastSystemError())); make its parent")
        }
        descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw SignatureError(
                "\(path): cannot be opened as a key folder (\(lastSystemError())); it must be a folder, "
                    + "not a symbolic link")
        }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0 else { throw failure("cannot be examined") }
        try checkOwner(facts, name: path, remedyMode: "700")
    }

    deinit { Glibc.close(descriptor) }

    /// The numbers of the purpose's keys, ascending. Other names in the folder are left alone.
    func numbers(of purpose: KeyRing.Purpose) throws(SignatureError) -> [Int] {
        // A descriptor of its own: reading a folder moves the position of the descriptor, and closedir closes
        // it.
        let copy = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0, let stream = fdopendir(copy) else {
            if copy >= 0 { Glibc.close(copy) }
            throw failure("cannot be listed")
        }
        defer { closedir(stream) }
        var numbers: [Int] = []
        var seen = 0
        while let entry = readdir(stream) {
            seen += 1
            guard seen <= Self.filesMax else {
                throw SignatureError(
                    "\(path): more than \(Self.filesMax) files; use a folder of its own for keys")
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if let number = Self.number(in: name, of: purpose) { numbers.append(number) }
        }
        return numbers.sorted()
    }

    /// Reads one key; every looser mode, other owner, link or broken content is refused.
    func read(_ purpose: KeyRing.Purpose, number: Int) throws(SignatureError) -> KeyEntry {
        let name = Self.name(purpose, number)
        // Non-blocking, so that a pipe of that name is refused below instead of waited for.
        let file = openat(descriptor, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else {
            let isLink = errno == ELOOP
            throw SignatureError(
                isLink
                    ? "\(path)/\(name): is a symbolic link; put the file itself there"
                    : "\(path)/\(name): cannot be opened (\(lastSystemError())); chmod 600 \(path)/\(name)")
        }
        defer { Glibc.close(file) }
        var facts = stat()
        guard fstat(file, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else {
            throw SignatureError("\(path)/\(name): is not a plain file; put the key file there")
        }
        try checkOwner(facts, name: "\(path)/\(name)", remedyMode: "600")
        guard facts.st_size <= Self.fileBytesMax else {
            throw SignatureError(
                "\(path)/\(name): larger than \(Self.fileBytesMax) bytes; restore it from a backup")
        }
        let bytes = try readAll(file, name: name)
        do throws(SignatureError) {
            return try KeyEntry(parsing: bytes, purpose: purpose, number: number)
        } catch {
            throw SignatureError("\(path)/\(name): \(error.what); restore it from a backup")
        }
    }

    /// Writes a new key so that after a crash there is either all of it or nothing.
    func write(_ entry: KeyEntry) throws(SignatureError) {
        let name = Self.name(entry.purpose, entry.number)
        let draft = ".\(name).new"
        // Left over by a crash; the lock says that nobody is writing it now.
        unlinkat(descriptor, draft, 0)
        let file = openat(descriptor, draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure("a key cannot be written") }
        let isWritten =
            fchmod(file, 0o600) == 0 && Self.writeAll(entry.serialized(), to: file) && fsync(file) == 0
        let writeError = errno
        let isClosed = Glibc.close(file) == 0
        guard isWritten, isClosed else {
            unlinkat(descriptor, draft, 0)
            if !isWritten { errno = writeError }
            throw failure("a key cannot be written")
        }
        // The new name reaches the disk only with the folder itself.
        guard renameat(descriptor, draft, descriptor, name) == 0, fsync(descriptor) == 0 else {
            throw failure("a key cannot be written")
        }
    }

    func remove(_ entry: KeyEntry) throws(SignatureError) { try remove(entry.purpose, number: entry.number) }

    func remove(_ purpose: KeyRing.Purpose, number: Int) throws(SignatureError) {
        let isGone = unlinkat(descriptor, Self.name(purpose, number), 0) == 0 || errno == ENOENT
        guard isGone, fsync(descriptor) == 0 else { throw failure("an old key cannot be removed") }
    }

    /// Waits up to 2 s until no other process is reading or changing the ring.
    func lock() throws(SignatureError) -> KeyFolderLock {
        let file = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard file >= 0 else { throw failure("cannot be locked") }
        for _ in 0..<200 {
            if flock(file, LOCK_EX | LOCK_NB) == 0 { return KeyFolderLock(adopting: file) }
            usleep(10_000)
        }
        Glibc.close(file)
        throw SignatureError(
            "\(path): another process has held the key folder for 2 s; end it and start again")
    }

    static func name(_ purpose: KeyRing.Purpose, _ number: Int) -> String {
        "\(purpose.rawValue)-\(number).json"
    }

    /// The number in exactly the name that `name(_:_:)` makes.
    static func number(in name: String, of purpose: KeyRing.Purpose) -> Int? {
        let prefix = purpose.rawValue + "-"
        guard name.hasPrefix(prefix), name.hasSuffix(".json") else { return nil }
        let digits = name.dropFirst(prefix.count).dropLast(".json".count)
        guard digits.utf8.count <= 9, let number = Int(digits), number >= 1,
            self.name(purpose, number) == name
        else {
            return nil
        }
        return number
    }

    private func checkOwner(_ facts: stat, name: String, remedyMode: String) throws(SignatureError) {
        guard facts.st_uid == geteuid() else {
            throw SignatureError(
                "\(name): belongs to another user; chown it to the one that runs the gateway")
        }
        guard facts.st_mode & 0o077 == 0 else {
            throw SignatureError(
                "\(name): others than its owner have access to it; chmod \(remedyMode) \(name)")
        }
    }

    private func readAll(_ file: CInt, name: String) throws(SignatureError) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: Self.fileBytesMax + 1)
        while true {
            let count = Glibc.read(file, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw failure("\(name) cannot be read") }
            if count == 0 { return bytes }
            bytes.append(contentsOf: chunk[..<count])
            // The size was checked, but the file may have grown since.
            guard bytes.count <= Self.fileBytesMax else {
                throw SignatureError("\(path)/\(name): is being changed")
            }
        }
    }

    private static func writeAll(_ bytes: [UInt8], to file: CInt) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    private func failure(_ what: String) -> SignatureError {
        SignatureError(
            "\(path): \(what) (\(lastSystemError())); check the folder's owner, mode and free space")
    }
}

/// An exclusive lock on the folder, given back with the descriptor.
struct KeyFolderLock {
    private let file: CInt
    init(adopting file: CInt) { self.file = file }
    func release() { Glibc.close(file) }
}

/// What the system said last, in its own words.
private func lastSystemError() -> String {
    let code = errno
    return strerror(code).map { String(cString: $0) } ?? "error \(code)"
}
