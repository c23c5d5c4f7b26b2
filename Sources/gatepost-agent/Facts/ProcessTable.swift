/// The processes of the machine, as far as we may see them.
struct ProcessTable {
    static let processesMax = 20_000
    /// User numbers below belong to the system's own services (login.defs(5), UID_MIN).
    static let firstPerson: UInt32 = 1_000

    private let root: HostRoot
    private let numbers: [String]

    /// nil when the table cannot be read, or shows only our own processes (`hidepid`): then nothing is known
    /// of what is not in it.
    init?(_ root: HostRoot) {
        guard let entries = root.names("/proc") else { return nil }
        numbers = entries.filter { $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }
        self.root = root
        guard !numbers.isEmpty, numbers.count <= Self.processesMax, numbers.contains("1") else { return nil }
    }

    /// One running program that we may trust to be what it is called, or may not judge.
    enum Standing { case trusted, unreadable, untrusted }

    /// Processes of one of these names (at most 15 bytes, as the kernel keeps them), by name.
    func processes(named wanted: Set<String>) -> [(name: String, number: String)] {
        numbers.compactMap { number in
            guard let name = root.line("/proc/\(number)/comm"), wanted.contains(name) else { return nil }
            return (name, number)
        }
    }

    /// Anybody can give a process any name, also to one of root's programs that everybody may run (a link of
    /// that name to it is enough): only the program itself, by its own name and in a place where only root
    /// can write, says what runs. People's own processes never count.
    ///
    /// - Parameter path: of the program, where it is known; else its name has to begin with `name`.
    func standing(_ number: String, name: String, path: String? = nil) -> Standing {
        guard let owner = root.owner("/proc/\(number)"), owner < Self.firstPerson else { return .untrusted }
        guard let program = root.linkTarget("/proc/\(number)/exe") else { return .unreadable }
        // "(deleted)": replaced or removed since it was started; what runs is not what is installed.
        guard program.hasPrefix("/"), !program.hasSuffix(" (deleted)"), root.isTrusted(program) else {
            return .untrusted
        }
        let file = program.split(separator: "/").last ?? ""
        return path.map { $0 == program } ?? file.hasPrefix(name) ? .trusted : .untrusted
    }

    /// The unit of the system's service manager that a process belongs to. Only root can put one there, so
    /// this tells what runs also to those who may not read its program.
    func systemUnit(_ number: String) -> String? {
        guard let groups = root.text("/proc/\(number)/cgroup", bytesMax: 64 << 10) else { return nil }
        for line in groups.split(separator: "\n") where line.hasPrefix("0::/system.slice/") {
            return line.dropFirst("0::/system.slice/".count).split(separator: "/").first.map(String.init)
        }
        return nil
    }

    /// Whether a program runs; nil when a process of that name cannot be judged.
    func runs(_ name: String, path: String?) -> Bool? {
        var isUnclear = false
        for (_, number) in processes(named: [name]) {
            switch standing(number, name: name, path: path) {
            case .trusted: return true
            case .unreadable: isUnclear = true
            case .untrusted: break
            }
        }
        return isUnclear ? nil : false
    }
}
