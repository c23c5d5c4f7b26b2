import Foundation

/// Reads the files that a configuration names: certificates, keys, secrets.
struct NamedFiles {
    static let bytesMax = 1 << 20
    /// Lists of a large authority name some hundred thousand certificates.
    static let listBytesMax = 8 << 20

    let reader: SectionReader

    /// A file that everybody may read, for example a certificate chain. Empty when files are not read.
    func file(_ name: String, holding marker: String) -> [UInt8]? {
        reader.node(name).flatMap { file($0, name, holding: marker) }
    }

    /// The same for one of a list; `name` then carries its index.
    func file(_ node: ConfigNode, _ name: String, holding marker: String) -> [UInt8]? {
        guard let text = reader.scalar(node, name)?.text else { return nil }
        guard reader.context.readsFiles else { return [] }
        guard let bytes = read(path(text, node.place), name, node.place, isPrivate: false) else { return nil }
        return holds(bytes, marker, text, name, node.place) ? bytes : nil
    }

    /// A file with revocation lists, PEM or DER. Whether they can be used, whoever knows certificates says.
    func revocationLists(_ name: String) -> (path: String, bytes: [UInt8])? {
        guard let node = reader.node(name), let text = reader.scalar(node, name)?.text else { return nil }
        let path = path(text, node.place)
        guard reader.context.readsFiles else { return (path, []) }
        guard let bytes = read(path, name, node.place, isPrivate: false, bytesMax: Self.listBytesMax) else {
            return nil
        }
        // A sequence of ASN.1, or a text with a block of that name.
        guard bytes.first == 0x30 || holds(bytes, "X509 CRL", text, name, node.place) else { return nil }
        return (path, bytes)
    }

    /// A file that only its owner may read.
    func privateFile(_ name: String, holding marker: String) -> Secret? {
        guard let node = reader.node(name), let text = reader.scalar(node, name)?.text else { return nil }
        guard reader.context.readsFiles else { return Secret([]) }
        guard let bytes = read(path(text, node.place), name, node.place, isPrivate: true) else { return nil }
        return holds(bytes, marker, text, name, node.place) ? Secret(bytes) : nil
    }

    /// `{ file: … }` or `{ env: … }`. With a marker the secret is a PEM text, otherwise one line.
    func secret(_ name: String, holding marker: String? = nil) -> Secret? {
        guard let node = reader.node(name) else { return nil }
        if case .scalar = node.content {
            // The value is not repeated in the message: problems end up in logs and tickets.
            reader.problem(
                name, "is a secret in plain text",
                "move it into a file: { file: path }, or write { env: NAME }")
            return nil
        }
        guard let source = SectionReader(node, SecretSource.table, path: reader.key(name), reader.context)
        else { return nil }
        guard source.has("file") != source.has("env") else {
            source.problem("file", at: node.place, "needs exactly one of file and env", "keep one of them")
            return nil
        }
        if source.has("file") { return fromFile(source, marker) }
        return fromEnvironment(source, marker)
    }

    private func fromFile(_ source: SectionReader, _ marker: String?) -> Secret? {
        let files = NamedFiles(reader: source)
        if let marker { return files.privateFile("file", holding: marker) }
        guard let node = source.node("file"), let text = source.scalar(node, "file")?.text else { return nil }
        guard reader.context.readsFiles else { return Secret([]) }
        guard let bytes = files.read(path(text, node.place), "file", node.place, isPrivate: true) else {
            return nil
        }
        return oneLine(bytes, "file", source)
    }

    private func fromEnvironment(_ source: SectionReader, _ marker: String?) -> Secret? {
        guard let variable = source.text("env") else { return nil }
        guard reader.context.readsFiles else { return Secret([]) }
        guard let value = reader.context.environment[variable], !value.isEmpty else {
            source.problem(
                "env", "environment variable \(variable) is not set", "set it, or use { file: path }")
            return nil
        }
        guard let marker else { return oneLine(Array(value.utf8), "env", source) }
        let bytes = Array(value.utf8)
        return holds(bytes, marker, variable, "env", source.place(of: "env"), source) ? Secret(bytes) : nil
    }

    /// Strips one line ending and refuses what no secret of a provider has.
    private func oneLine(_ bytes: [UInt8], _ name: String, _ source: SectionReader) -> Secret? {
        var bytes = bytes
        if bytes.last == 0x0A { bytes.removeLast() }
        if bytes.last == 0x0D { bytes.removeLast() }
        let isText = String(validating: bytes, as: UTF8.self) != nil
        guard !bytes.isEmpty, bytes.count <= 4_096, isText,
            !bytes.contains(where: { $0 < 0x20 || $0 == 0x7F })
        else {
            source.problem(
                name, "does not hold one line of text", "keep just the secret in it, at most 4096 bytes")
            return nil
        }
        return Secret(bytes)
    }

    private func holds(
        _ bytes: [UInt8], _ marker: String, _ named: String, _ name: String, _ place: Place,
        _ source: SectionReader? = nil
    ) -> Bool {
        let text = String(decoding: bytes, as: UTF8.self)
        let source = source ?? reader
        if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED") {
            source.problem(
                name, at: place, "\(named) holds a key with a passphrase", "store it without one, mode 0600")
            return false
        }
        if text.contains("-----BEGIN ") && text.contains("\(marker)-----") { return true }
        source.problem(name, at: place, "\(named) holds no PEM \(marker)", "name a PEM file with one")
        return false
    }

    /// Relative paths start from the folder of the configuration file.
    func path(_ text: String, _ place: Place) -> String {
        text.hasPrefix("/") ? text : "\(place.folder)/\(text)"
    }

    func read(
        _ path: String, _ name: String, _ place: Place, isPrivate: Bool, bytesMax: Int = Self.bytesMax
    ) -> [UInt8]? {
        reader.context.filesRead.insert(path)
        do {
            let (bytes, mode) = try BoundedFile.read(path, bytesMax: bytesMax)
            guard isPrivate, mode & 0o077 != 0 else { return bytes }
            let shown = String(mode & 0o777, radix: 8)
            reader.problem(
                name, at: place, "\(path) can be read by others (mode 0\(shown))", "chmod 600 \(path)")
            return nil
        } catch {
            reader.problem(name, at: place, "\(path) \(error.problem)", error.remedy)
            return nil
        }
    }
}

/// `{ file: … }` or `{ env: … }`.
enum SecretSource {
    static let table = KeyTable(
        "a secret",
        [
            .optional(
                "file", .privateFile, "File with the secret; only its owner may read it.", standard: "none",
                example: "secrets/client-secret"),
            .optional(
                "env", .text, "Environment variable with the secret.", standard: "none",
                example: "CLIENT_SECRET"),
        ])
}

/// Reads a whole regular file with a bound on its size.
enum BoundedFile {
    static func read(_ path: String, bytesMax: Int) throws(Quantity.Refusal) -> (bytes: [UInt8], mode: mode_t)
    {
        // O_NONBLOCK: opening a named pipe would otherwise wait for a writer for ever.
        let raw = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard raw >= 0 else {
            throw .init(problem: "cannot be opened: \(reason(errno))", remedy: openRemedy(errno))
        }
        defer { close(raw) }
        var status = stat()
        guard fstat(raw, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw .init(problem: "is not a regular file", remedy: "name a file")
        }
        let tooBig = Quantity.Refusal(
            problem: "is larger than \(bytesMax) bytes", remedy: "name a smaller file")
        guard status.st_size <= bytesMax else { throw tooBig }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(raw, &chunk, chunk.count)
            if count == 0 { return (bytes, status.st_mode) }
            if count < 0 {
                if errno == EINTR { continue }
                throw .init(problem: "cannot be read: \(reason(errno))", remedy: "check the disk")
            }
            bytes += chunk[..<count]
            guard bytes.count <= bytesMax else { throw tooBig }
        }
    }

    private static func reason(_ code: CInt) -> String { String(cString: strerror(code)) }

    private static func openRemedy(_ code: CInt) -> String {
        code == ENOENT ? "create it or correct the path" : "give the gateway's user the right to read it"
    }
}
