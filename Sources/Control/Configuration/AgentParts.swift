import Config
import Posture
import Signatures

/// A configured `endpoint-agent` → what verifies its answers.
enum AgentParts {
    private static func agent(
        _ name: String, _ settings: EndpointAgentSettings, authOrigin: String
    ) throws(ControlFailure) -> AgentIntegration {
        let modes = settings.modes.compactMap(HandshakeProfile.init(rawValue:))
        var handshake = HandshakeSettings(
            integration: name, authOrigin: authOrigin, port: settings.port,
            ageSecondsMax: settings.ageSecondsMax, graceSeconds: settings.graceSeconds,
            lastSeenSecondsMax: settings.lastSeenSecondsMax, minimumVersion: settings.minimumVersion,
            modes: modes)
        handshake.furtherPorts = settings.furtherPorts
        handshake.requestedFacts = HandshakeSettings.requested(
            settings.wantedFacts, checks: settings.checkRemedies.keys.sorted())
        let chipAuthorities = try made("integrations.\(name).tpm-authorities") { () throws(SignatureError) in
            try settings.chipAuthoritiesPEM.map { pem throws(SignatureError) in
                try EndorsementAuthorities(pem: pem)
            }
        }
        handshake.isChipMakerDemanded = chipAuthorities != nil
        // The certificate's age is the proven check-in: it has to be renewed well before that counts as too old.
        var enrollment = EnrollmentSettings(chipAuthorities: chipAuthorities)
        enrollment.renewAfterSeconds = min(
            enrollment.renewAfterSeconds, max(60, settings.lastSeenSecondsMax / 4))
        let lists = settings.authority?.revocationLists ?? []
        return AgentIntegration(
            handshake: handshake, enrollment: enrollment,
            authority: try made("integrations.\(name).enrollment-ca") { () throws(SignatureError) in
                try settings.authority.map(authority)
            },
            revocation: lists.isEmpty
                ? nil
                : RevocationSettings(
                    paths: lists, allowsStale: settings.authority?.allowsStaleLists ?? false),
            statements: try made("integrations.\(name).statements") { () throws(SignatureError) in
                try settings.statements.map(statements)
            })
    }

    static func agents(
        _ config: ConfigSnapshot, authOrigin: String
    ) throws(ControlFailure) -> [AgentIntegration] {
        var agents: [AgentIntegration] = []
        for integration in config.integrations {
            guard case .endpointAgent(let settings) = integration.kind else { continue }
            agents.append(try agent(integration.name, settings, authOrigin: authOrigin))
        }
        return agents
    }

    /// The integrations without the certificates that devices are proven by, and without the secrets that
    /// providers know us by: these change at a reload, everything else only with a restart.
    static func withoutTrust(_ integrations: [IntegrationSettings]) -> [IntegrationSettings] {
        integrations.map { integration in
            guard case .endpointAgent(var settings) = integration.kind else {
                return withoutSecrets(integration)
            }
            settings.modes = []
            settings.statements = nil
            settings.authority?.certificatesPEM = []
            settings.authority?.keyPEM = nil
            var integration = integration
            integration.kind = .endpointAgent(settings)
            return integration
        }
    }

    private static func withoutSecrets(_ integration: IntegrationSettings) -> IntegrationSettings {
        guard case .provider(var settings) = integration.kind else { return integration }
        settings.secrets = [:]
        settings.files["client-certificate.chain"] = nil
        var integration = integration
        integration.kind = .provider(settings)
        return integration
    }

    /// What only whoever knows certificates can say of a configuration: problems, and ends that are near.
    static func findings(
        _ config: ConfigSnapshot, path: String, nowSeconds: Int64
    ) -> (problems: [ConfigProblem], warnings: [ConfigProblem]) {
        var problems: [ConfigProblem] = []
        var warnings: [ConfigProblem] = []
        for integration in config.integrations {
            guard case .endpointAgent(let settings) = integration.kind else { continue }
            let key = "integrations.\(integration.name)"
            do throws(ControlFailure) {
                let agent = try agent(integration.name, settings, authOrigin: "")
                warnings += agent.trustCertificates.compactMap { trust in
                    let state = CertificateState(trust, nowSeconds: nowSeconds)
                    return state.problem.map {
                        ConfigProblem(
                            file: path, line: 0, key: "\(key).\(trust.use.rawValue)", problem: $0,
                            remedy: state.remedy)
                    }
                }
                problems += lists(settings, agent, key, path: path)
            } catch {
                problems.append(
                    ConfigProblem(
                        file: path, line: 0, key: key, problem: error.what,
                        remedy: "name certificates that fit"))
            }
        }
        return (problems, warnings)
    }

    /// A list that cannot be used would refuse every device.
    private static func lists(
        _ settings: EndpointAgentSettings, _ agent: AgentIntegration, _ key: String, path: String
    ) -> [ConfigProblem] {
        guard let authority = agent.authority, let revocation = agent.revocation else { return [] }
        return RevocationListFile.problems(revocation, authority: authority).map {
            ConfigProblem(
                file: path, line: 0, key: "\(key).enrollment-ca.revocation-lists",
                problem: "\($0.path): \($0.problem)",
                remedy: "put a list there that the authority itself signed")
        }
    }

    private static func authority(
        _ settings: EnrollmentAuthoritySettings
    ) throws(SignatureError) -> EnrollmentAuthority {
        try EnrollmentAuthority(
            certificatePEM: settings.certificatesPEM[0], keyPEM: settings.keyPEM?.bytes,
            furtherPEM: Array(settings.certificatesPEM.dropFirst()))
    }

    private static func statements(_ settings: StatementSettings) throws(SignatureError) -> StatementTrust {
        var certificates: [Certificate] = []
        for pem in settings.certificatesPEM { certificates += try Certificate.all(pem: pem) }
        return try StatementTrust(
            certificates: certificates, issuer: settings.issuer, tenant: settings.tenant,
            allowsSharedKey: settings.allowsSharedKey)
    }

    private static func made<Part>(
        _ key: String, _ make: () throws(SignatureError) -> Part
    ) throws(ControlFailure) -> Part {
        do throws(SignatureError) {
            return try make()
        } catch {
            throw ControlFailure(what: "\(key): \(error.what)")
        }
    }
}
