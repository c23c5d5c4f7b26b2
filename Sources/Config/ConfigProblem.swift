/// One thing that is wrong with the configuration, where, and what to do about it.
public struct ConfigProblem: Error, Hashable, CustomStringConvertible {
    /// The file as it was named by the caller (or found in the folder).
    public var file: String
    /// 1 is the first line; 0 when the problem concerns the whole file.
    public var line: Int
    /// The key's path, for example `applications.wiki.policies[0].session`; empty for the whole file.
    public var key: String
    /// What is wrong.
    public var problem: String
    /// What to do.
    public var remedy: String

    /// Makes a problem out of its parts.
    public init(file: String, line: Int, key: String, problem: String, remedy: String) {
        self.file = file
        self.line = line
        self.key = key
        self.problem = problem
        self.remedy = remedy
    }

    /// `file:line: key: problem; remedy`
    public var description: String {
        let place = line > 0 ? "\(file):\(line)" : file
        return key.isEmpty ? "\(place): \(problem); \(remedy)" : "\(place): \(key): \(problem); \(remedy)"
    }
}

/// Everything that is wrong, in the order of the files and lines. The gateway does not start with it.
public struct ConfigFailure: Error, Hashable, CustomStringConvertible {
    /// At least one.
    public var problems: [ConfigProblem]
    /// What is legal but probably not meant.
    public var warnings: [ConfigProblem]

    /// Makes a failure out of its problems.
    public init(problems: [ConfigProblem], warnings: [ConfigProblem] = []) {
        self.problems = problems
        self.warnings = warnings
    }

    /// One line per problem.
    public var description: String { problems.map(\.description).joined(separator: "\n") }
}
