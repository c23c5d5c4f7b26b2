/// One case that analysis names: who, on which device, when, and with which request.
public struct AnalyzedCase: Sendable, Hashable {
    /// nil: nobody is signed in.
    public var session: SessionFacts?
    /// nil: no device has been shown.
    public var device: DeviceFacts?
    /// A client without a person; only without a session.
    public var service: ServiceFacts?
    /// The request but for its path.
    public var request: RequestFacts
    /// The canonical path.
    public var path: String
    /// Seconds since 1970-01-01T00:00:00Z.
    public var nowSeconds: Int64

    /// Takes the members as they are; nothing is checked here.
    public init(
        session: SessionFacts?, device: DeviceFacts?, service: ServiceFacts?, request: RequestFacts,
        path: String,
        nowSeconds: Int64
    ) {
        self.session = session
        self.device = device
        self.service = service
        self.request = request
        self.path = path
        self.nowSeconds = nowSeconds
    }

    /// What the gateway decides in this case; by the evaluator itself, not by analysis.
    public func decision(by snapshot: PolicySnapshot, for application: Application) -> (Residual, Decision) {
        var judged: DeviceResult?
        return decision(by: snapshot, for: application, judged: &judged)
    }

    /// - Parameter judged: what its device came to, where that is known of an equal one; and afterwards.
    func decision(
        by snapshot: PolicySnapshot, for application: Application, judged: inout DeviceResult?
    ) -> (Residual, Decision) {
        let assessment = snapshot.assess(
            session, device, judged: judged, service: service, for: application.withProofMet,
            atSeconds: nowSeconds)
        judged = assessment.device
        let residual = assessment.residual
        return (residual, residual.decide(request, path: path.utf8.span, atSeconds: nowSeconds))
    }

    /// Every step of that decision that does not depend on the request.
    public func explanation(by snapshot: PolicySnapshot, for application: Application) -> ExplainRecord {
        snapshot.explain(
            session, device, service: service, for: application.withProofMet, atSeconds: nowSeconds)
    }
}

/// A case while its axes are being filled in. Times are relative to the moment, so that every axis stands alone.
struct CaseDraft {
    enum Standing: Hashable {
        case nobody
        case session(provider: String)
        case service(name: String)
        /// A bearer token, by its issuer's configured name.
        case token(issuer: String)
    }

    static let name = "somebody"

    var standing = Standing.session(provider: "")
    var sessionAgeSeconds: Int64 = 0
    var email: String?
    var groups: [String] = []
    /// The provider left the list of groups out.
    var hidesGroups = false
    var claims: [String: ClaimValue] = [:]
    /// nil: the provider does not say.
    var authenticatedSecondsAgo: Int64?
    var isKeyBound = false
    /// As at `deviceSeconds`.
    var device: DeviceFacts?
    var deviceSeconds: Int64 = 0
    var nowSeconds: Int64
    var method = RequestMethod.get
    /// 192.0.2.1, of the range for documents (RFC 5737).
    var client = NetworkAddress(v4: 0xc000_0201)
    var path = "/"
    var certificate: CertificateFacts?
    var tokenSubject = name
    var tokenClaims: [String: ClaimValue] = [:]

    var person: PersonFacts {
        var all = claims
        if hidesGroups, all["hasgroups"] == nil {
            all["_claim_names"] = all["_claim_names"] ?? .text("groups")
        }
        return PersonFacts(
            issuer: Self.name, subject: Self.name, email: email, groups: hidesGroups ? [] : groups,
            claims: all,
            authenticatedAtSeconds: authenticatedSecondsAgo.map { nowSeconds.difference(saturating: $0) } ?? 0
        )
    }

    var session: SessionFacts? {
        guard case .session(let provider) = standing else { return nil }
        return SessionFacts(
            id: Self.name, identityProvider: provider, person: person,
            createdAtSeconds: nowSeconds.difference(saturating: sessionAgeSeconds),
            expiresAtSeconds: nowSeconds.sum(saturating: 86_400),
            keyProvenAtSeconds: isKeyBound ? nowSeconds : nil)
    }

    var service: ServiceFacts? {
        let (name, token): (String, TokenFacts?)
        switch standing {
        case .nobody, .session: return nil
        case .service(let known): (name, token) = (known, nil)
        case .token(let issuer):
            token = TokenFacts(issuer: issuer, subject: tokenSubject, claims: tokenClaims)
            name = "token:\(issuer):\(tokenSubject)"
        }
        return ServiceFacts(
            id: name, name: name, expiresAtSeconds: nowSeconds.sum(saturating: 86_400), token: token)
    }

    var request: RequestFacts { RequestFacts(method: method, client: client, certificate: certificate) }

    var whole: AnalyzedCase {
        AnalyzedCase(
            session: session, device: device?.later(by: nowSeconds.difference(saturating: deviceSeconds)),
            service: service, request: request, path: path, nowSeconds: nowSeconds)
    }
}

extension DeviceFacts {
    /// The same device, everything about it so much later.
    fileprivate func later(by seconds: Int64) -> DeviceFacts {
        var device = self
        device.statement?.verifiedAtSeconds += seconds
        device.statement?.expiresAtSeconds += seconds
        device.statement?.lastSeenSeconds += seconds
        device.certificate?.notAfterSeconds += seconds
        for index in device.verdicts.indices {
            device.verdicts[index].observedAtSeconds += seconds
            device.verdicts[index].fetchedAtSeconds += seconds
            device.verdicts[index].expiresAtSeconds += seconds
        }
        return device
    }
}
