/// Where a node of the configuration stands.
struct Place: Hashable {
    /// As shown in messages.
    var file: String
    /// Folder that relative paths in this file start from.
    var folder: String
    /// 1 is the first line.
    var line: Int
}

/// Collects problems and warnings while sections are read, so that one run reports all of them.
final class Diagnostics {
    /// More than this many are not helpful to anybody; the rest is counted.
    static let problemsMax = 200

    private(set) var problems: [ConfigProblem] = []
    private(set) var warnings: [ConfigProblem] = []
    private var dropped = 0

    func problem(_ place: Place, _ key: String, _ problem: String, _ remedy: String) {
        guard problems.count < Self.problemsMax else {
            dropped += 1
            return
        }
        let made = ConfigProblem(
            file: place.file, line: place.line, key: key, problem: problem, remedy: remedy)
        // A list behind an alias is read once per use; the same sentence twice helps nobody.
        guard !problems.contains(made) else { return }
        problems.append(made)
    }

    func warn(_ place: Place, _ key: String, _ problem: String, _ remedy: String) {
        guard warnings.count < Self.problemsMax else { return }
        let made = ConfigProblem(
            file: place.file, line: place.line, key: key, problem: problem, remedy: remedy)
        guard !warnings.contains(made) else { return }
        warnings.append(made)
    }

    /// By file (in reading order) and line; nil when there is no problem.
    func failure(files: [String]) -> ConfigFailure? {
        guard !problems.isEmpty else { return nil }
        var all = sorted(problems, files: files)
        if dropped > 0 {
            all.append(
                ConfigProblem(
                    file: files.last ?? "", line: 0, key: "",
                    problem: "\(dropped) more problems are not shown",
                    remedy: "repair these first"))
        }
        return ConfigFailure(problems: all, warnings: sorted(warnings, files: files))
    }

    func sorted(_ list: [ConfigProblem], files: [String]) -> [ConfigProblem] {
        func rank(_ problem: ConfigProblem) -> (Int, Int) {
            (files.firstIndex(of: problem.file) ?? files.count, problem.line)
        }
        // The enumeration keeps the order of discovery inside one line: sort(by:) does not promise stability.
        let ranked = list.enumerated().sorted { left, right in
            let (leftRank, rightRank) = (rank(left.element), rank(right.element))
            return leftRank == rightRank ? left.offset < right.offset : leftRank < rightRank
        }
        return ranked.map(\.element)
    }
}
