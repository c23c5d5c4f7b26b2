/// What cases differ in. Each condition of an application asks about exactly one of these, but for groups, where each
/// named group is one.
enum CaseAxis: Hashable {
    case standing, sessionAge, email, group(ExactKey), hiddenGroups, authenticated, keyBound, device, time,
        method, client, path
    case certificate
    case tokenSubject, tokenClaim(ExactKey)
    /// Claims that are asked together: `acr` and `acrs` are.
    case claims([String])
}

/// One value of an axis.
enum CaseChoice {
    case standing(CaseDraft.Standing)
    case sessionAge(Int64)
    case email(String?)
    /// nil: no member.
    case group(String?)
    case hidesGroups(Bool)
    case claims([String: ClaimValue])
    case authenticated(Int64?)
    /// Whether the session is bound to a key.
    case keyBound(Bool)
    /// An index of the choices that `DeviceChoices` lists; nil: none is shown.
    case device(Int?)
    case time(Int64)
    case method(RequestMethod)
    case client(NetworkAddress)
    case path(String)
    case certificate(CertificateFacts?)
    case tokenSubject(String)
    /// nil: the token lacks it.
    case tokenClaim(String, ClaimValue?)

    func apply(to draft: inout CaseDraft) {
        switch self {
        case .standing(let standing): draft.standing = standing
        case .sessionAge(let seconds): draft.sessionAgeSeconds = seconds
        case .email(let email): draft.email = email
        case .group(let name): if let name { draft.groups.append(name) }
        case .hidesGroups(let hides): draft.hidesGroups = hides
        case .claims(let claims): draft.claims.merge(claims) { _, new in new }
        case .authenticated(let seconds): draft.authenticatedSecondsAgo = seconds
        case .keyBound(let isBound): draft.isKeyBound = isBound
        case .device: break
        case .time(let seconds): draft.nowSeconds = seconds
        case .method(let method): draft.method = method
        case .client(let client): draft.client = client
        case .path(let path): draft.path = path
        case .certificate(let certificate): draft.certificate = certificate
        case .tokenSubject(let subject): draft.tokenSubject = subject
        case .tokenClaim(let name, let value): draft.tokenClaims[name] = value
        }
    }
}

/// How the evaluator itself answers the conditions of one axis, for one value of it.
struct AxisReading {
    /// Of each condition what it says where it helps and where it harms; the two differ for paths only. Four bits for
    /// each: signatures are compared far more often than they are read.
    struct Signature: Hashable {
        private var words: [UInt64]

        init(count: Int) { words = [UInt64](repeating: 0, count: (count + 15) / 16) }

        subscript(index: Int) -> Answer {
            get { Answer(bits: words[index >> 4] >> UInt64((index & 15) * 4) & 15) }
            set {
                let shift = UInt64((index & 15) * 4)
                words[index >> 4] = words[index >> 4] & ~(15 << shift) | newValue.bits << shift
            }
        }
    }

    struct Answer: Hashable {
        var helps: Ternary
        var harms: Ternary

        init(helps: Ternary, harms: Ternary) { (self.helps, self.harms) = (helps, harms) }

        fileprivate init(bits: UInt64) {
            self.init(helps: Self.ternaries[Int(bits & 3)], harms: Self.ternaries[Int(bits >> 2 & 3)])
        }

        fileprivate var bits: UInt64 { Self.bits(helps) | Self.bits(harms) << 2 }

        private static let ternaries: [Ternary] = [.no, .indeterminate, .yes, .yes]

        private static func bits(_ ternary: Ternary) -> UInt64 {
            switch ternary {
            case .no: 0
            case .indeterminate: 1
            case .yes: 2
            }
        }
    }

    let conditions: [Condition]
    let nowSeconds: Int64
    private let asked: [Condition.Asked]
    /// nil: some condition reads who is signed in, or when.
    private let nobody: DecidedFacts?

    init(conditions: [Condition], nowSeconds: Int64) {
        self.conditions = conditions
        self.nowSeconds = nowSeconds
        asked = conditions.map(\.asked)
        let readsPerson = asked.contains { if case .decided = $0 { true } else { false } }
        nobody = readsPerson ? nil : DecidedFacts(session: nil, tags: [], nowSeconds: nowSeconds)
    }

    func signature(of choice: CaseChoice) -> Signature {
        var draft = CaseDraft(nowSeconds: nowSeconds)
        choice.apply(to: &draft)
        let facts = nobody ?? DecidedFacts(session: draft.session, tags: [], nowSeconds: draft.nowSeconds)
        let request = draft.request
        let path = draft.path
        var signature = Signature(count: asked.count)
        for (index, asked) in asked.enumerated() {
            switch asked {
            case .nothing: signature[index] = Answer(helps: .yes, harms: .yes)
            case .group: signature[index] = Answer(helps: .indeterminate, harms: .indeterminate)
            case .decided(let decided):
                var trace = Trace(nowSeconds: draft.nowSeconds, isRecording: false)
                let outcome = decided.outcome(of: facts, .helps, &trace)
                signature[index] = Answer(helps: outcome, harms: outcome)
            case .request(let asked):
                let path = path.utf8.span
                signature[index] = Answer(
                    helps: Ternary(asked.matches(request, path: path, .helps)),
                    harms: Ternary(asked.matches(request, path: path, .harms)))
            }
        }
        return signature
    }

    /// One of each set of values that no condition tells apart, the first.
    func distinct(_ choices: [CaseChoice]) -> [(choice: CaseChoice, signature: Signature)] {
        var seen: Set<Signature> = []
        return choices.compactMap { choice in
            let signature = signature(of: choice)
            return seen.insert(signature).inserted ? (choice, signature) : nil
        }
    }
}
