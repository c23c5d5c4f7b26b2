import Foundation
import Yams

/// The files of a configuration, merged into one tree of sections.
struct ConfigText {
    /// In reading order, for sorting problems.
    var files: [String] = []
    /// Each file's root mapping.
    var roots: [ConfigNode] = []

    static let fileBytesMax = 1 << 20
    static let filesMax = 256
    static let aliasesMax = 100

    init(path: String, _ diagnostics: Diagnostics) {
        let whole = Place(file: path, folder: path, line: 0)
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            diagnostics.problem(
                whole, "", "does not exist", "name a configuration file or a folder of *.yaml files")
            return
        }
        files = isFolder.boolValue ? Self.listing(path, whole, diagnostics) : [path]
        for file in files {
            if let root = Self.read(file, diagnostics) { roots.append(root) }
        }
    }

    private static func listing(_ folder: String, _ whole: Place, _ diagnostics: Diagnostics) -> [String] {
        let trimmed = folder.count > 1 && folder.hasSuffix("/") ? String(folder.dropLast()) : folder
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: trimmed) else {
            diagnostics.problem(whole, "", "cannot be listed", "give the gateway's user the right to read it")
            return []
        }
        let yaml = names.filter { $0.hasSuffix(".yaml") && !$0.hasPrefix(".") }.sorted()
        if yaml.isEmpty { diagnostics.problem(whole, "", "holds no *.yaml file", "add one") }
        if yaml.count > filesMax {
            diagnostics.problem(whole, "", "holds more than \(filesMax) *.yaml files", "merge some of them")
        }
        for name in names.sorted() where name.hasSuffix(".yml") {
            diagnostics.problem(whole, "", "\(name) would not be read", "rename it to *.yaml or move it away")
        }
        return yaml.prefix(filesMax).map { "\(trimmed)/\($0)" }
    }

    private static func read(_ file: String, _ diagnostics: Diagnostics) -> ConfigNode? {
        let slash = file.lastIndex(of: "/")
        let folder = slash.map { $0 == file.startIndex ? "/" : String(file[..<$0]) } ?? "."
        let place = Place(file: file, folder: folder, line: 0)
        do {
            let bytes = try BoundedFile.read(file, bytesMax: fileBytesMax).bytes
            guard let text = String(validating: bytes, as: UTF8.self) else {
                diagnostics.problem(place, "", "is not UTF-8", "save it as UTF-8")
                return nil
            }
            return compose(text, place, diagnostics)
        } catch {
            diagnostics.problem(place, "", error.problem, error.remedy)
            return nil
        }
    }

    private static func compose(_ text: String, _ place: Place, _ diagnostics: Diagnostics) -> ConfigNode? {
        guard YAMLBounds.check(text, place, diagnostics), let node = composed(text, place, diagnostics) else {
            return nil
        }
        var reader = NodeReader(diagnostics: diagnostics, file: place.file, folder: place.folder)
        guard let root = reader.read(node) else { return nil }
        if case .mapping = root.content { return root }
        diagnostics.problem(root.place, "", "is \(root.kindWord), not a mapping", "begin with version: 1")
        return nil
    }

    /// Composes, going on after doubled keys so that the rest of the file is judged too.
    private static func composed(_ original: String, _ place: Place, _ diagnostics: Diagnostics) -> Node? {
        var text = original
        var at = place
        for round in 0..<DuplicateKeys.roundsMax {
            do {
                if let node = try Yams.compose(yaml: text, .basic, .default, .utf8) { return node }
                diagnostics.problem(place, "", "is empty", "begin with version: 1")
                return nil
            } catch YamlError.duplicatedKeysInMapping(let names, let context) {
                at.line = context.mark.line
                let name =
                    names.first.map { name in String(name.drop { DuplicateKeys.isMarked(String($0)) }) } ?? ""
                diagnostics.problem(at, name, "the key stands twice in its mapping", "keep one of them")
                guard !DuplicateKeys.collides(with: original) else { return nil }
                guard let marked = DuplicateKeys.marking(text, at: context.mark, round: round) else {
                    return nil
                }
                text = marked
            } catch {
                let (line, what) = YAMLBounds.describe(error)
                at.line = line
                diagnostics.problem(at, "", "is not YAML: \(what)", "correct the syntax here or just above")
                return nil
            }
        }
        return nil
    }
}

/// Bounds that hold before the YAML library sees the text, and its errors in our words.
enum YAMLBounds {
    /// False when reported.
    static func check(_ text: String, _ place: Place, _ diagnostics: Diagnostics) -> Bool {
        var aliases = 0
        var before: UInt8 = 0x20
        var bytes = text.utf8.makeIterator()
        while let byte = bytes.next() {
            let opens = [0x20, 0x0A, 0x2C, 0x5B, 0x7B, 0x3A, 0x2D, 0x09].contains(before)
            // Counted without a real scan, so stars in comments count as well: the bound is far above any
            // need.
            if byte == 0x2A && opens { aliases += 1 }
            before = byte
        }
        guard aliases > ConfigText.aliasesMax else { return true }
        diagnostics.problem(
            place, "", "has more than \(ConfigText.aliasesMax) aliases", "write values out or split the file")
        return false
    }

    static func describe(_ error: any Error) -> (line: Int, what: String) {
        guard let yaml = error as? YamlError else { return (0, "it cannot be read") }
        switch yaml {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            return (mark.line, problem)
        case .reader(let problem, let offset, _, let text):
            let line = text.utf8.prefix(offset ?? 0).count { $0 == 0x0A } + 1
            return (line, problem)
        case .duplicatedKeysInMapping(_, let context):
            return (context.mark.line, "a key stands twice")
        case .no, .memory, .writer, .emitter, .representer, .dataCouldNotBeDecoded:
            return (0, "it cannot be read")
        }
    }
}
