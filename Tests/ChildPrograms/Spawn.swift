import CLinux
import Glibc

/// posix_spawn(3), of what only the standard descriptors come from here.
struct Spawn {
    enum Place {
        case nowhere, shown
        case descriptor(Descriptor)

        init(_ output: ChildProgram.Output, _ kept: Descriptor?) {
            switch output {
            case .discarded: self = .nowhere
            case .shown: self = .shown
            case .kept: self = kept.map { .descriptor($0) } ?? .nowhere
            }
        }
    }

    /// nil: nothing to be read.
    var input: Descriptor?
    var output: Place
    var errors: Place

    /// - Parameters:
    ///   - words: the first is the program.
    ///   - variables: all of its environment, as `NAME=value`.
    func start(_ words: [String], _ variables: [String]) throws(Refusal) -> pid_t {
        var attributes = posix_spawnattr_t()
        var actions = posix_spawn_file_actions_t()
        posix_spawnattr_init(&attributes)
        posix_spawn_file_actions_init(&actions)
        defer {
            posix_spawnattr_destroy(&attributes)
            posix_spawn_file_actions_destroy(&actions)
        }
        // Threads here block signals, and children inherit that: they could then not be stopped.
        var (none, all) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        if let input {
            posix_spawn_file_actions_adddup2(&actions, input.raw, 0)
        } else {
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        for (number, place) in [(Int32(1), output), (2, errors)] {
            switch place {
            case .nowhere: posix_spawn_file_actions_addopen(&actions, number, "/dev/null", O_WRONLY, 0)
            case .descriptor(let descriptor):
                posix_spawn_file_actions_adddup2(&actions, descriptor.raw, number)
            case .shown: break
            }
        }
        // Those of other tests, which do not all close themselves in a child.
        posix_spawn_file_actions_addclosefrom_np(&actions, 3)
        var argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = variables.map { strdup($0) } + [nil]
        defer { (argv + envp).forEach { free($0) } }
        var pid: pid_t = 0
        let problem = withExtendedLifetime(self) {
            posix_spawn(&pid, words[0], &actions, &attributes, &argv, &envp)
        }
        guard problem == 0 else { throw Refusal("\(words[0]): \(String(cString: strerror(problem)))") }
        return pid
    }
}
