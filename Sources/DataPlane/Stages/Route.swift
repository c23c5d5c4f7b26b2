import Access
import Border
import Glibc
import HTTP

/// A host and everything that serving it takes, prepared once per configuration.
final class Route {
    /// nil on the auth host: the control plane answers everything there.
    let application: ApplicationRoute?
    /// Whether requests go to an upstream; otherwise the control plane answers all of them.
    let isProxied: Bool
    let allowsEncodedSlash: Bool
    /// Decides for requests without a session.
    let anonymous: Residual
    /// Of `anonymous`.
    let limits: PolicyLimits?
    /// What stands for the decision in the access log where nobody's residual decides: it is the policy's own.
    let anonymousDecision: String
    /// The application's name, `-` on the auth host.
    let name: String
    let host: String
    let hostBytes: [UInt8]
    /// The configuration that it belongs to.
    let revision: UInt64
    /// The certificate that belongs to the host, -1 when only the default one is left.
    let certificate: Int32
    let upstreams: UpstreamGroup
    let requestWriter: RequestWriter
    /// For pages that a banner is put into: they are wanted whole and uncoded, so that the client's word on
    /// coding and on what it has already goes no further.
    private(set) lazy var pageWriter = RequestWriter(
        identity: IdentityFieldNames(
            Route.keptBack(application)
                + ["Accept-Encoding", "If-None-Match", "If-Modified-Since"]))
    /// Serialised origins that may read refusals and open WebSockets; the own one first.
    let origins: [[UInt8]]
    /// What scripts of other origins may do here, prepared; nil: the application's own affair.
    let crossOrigin: CrossOrigin?
    /// Its answers carry the gateway's `Access-Control-*`, and none of its own.
    let writesCrossOrigin: Bool
    let keepsForms: Bool
    let openURL: String
    /// Only connections that were made for this host, and asked for a certificate, may carry its requests.
    let asksForCertificate: Bool
    /// Clients may prove themselves without a person.
    let servesMachines: Bool
    /// A certificate beside a session stands for the device.
    let readsDeviceCertificates: Bool
    /// `Authorization: Bearer` is for the gateway.
    let readsBearerTokens: Bool
    let forwardsBearerTokens: Bool
    /// nil: all paths are forwarded as they are.
    let pathRoutes: PreparedPathRoutes?
    /// What the configuration writes into every request, as it is sent.
    let requestLines: [UInt8]
    let writesForwarded: Bool
    /// There are any of these.
    let hasRequestLines: Bool
    /// What it changes of every answer; nil: nothing.
    let responseChanges: PreparedChanges?
    /// The application's answers go on with other fields than they came with.
    let rewritesResponses: Bool

    init(
        host: String, application: ApplicationRoute?, certificate: Int32, upstreams: UpstreamGroup,
        publicPort: UInt16, revision: UInt64
    ) {
        asksForCertificate = application?.asksForCertificate ?? false
        self.application = application
        self.revision = revision
        isProxied = application?.kind == .proxy
        servesMachines = application?.servesMachines ?? false
        readsDeviceCertificates = application?.readsDeviceCertificates ?? false
        readsBearerTokens = servesMachines && application?.readsBearerTokens ?? false
        forwardsBearerTokens = application?.forwardsBearerTokens ?? false
        allowsEncodedSlash = application?.allowsEncodedSlash ?? false
        anonymous = application?.anonymous ?? Route.nobodys
        var prepared = PreparedLimits()
        limits = prepared.limits(of: anonymous)
        anonymousDecision = "policy-" + anonymous.policyIdentity.prefix(32)
        name = application?.name ?? "-"
        self.host = host
        hostBytes = Array(host.utf8)
        self.certificate = certificate
        self.upstreams = upstreams
        requestWriter = RequestWriter(identity: IdentityFieldNames(Route.keptBack(application)))
        let own = publicPort == 443 ? "https://\(host)" : "https://\(host):\(publicPort)"
        origins = ([own] + (application?.origins ?? [])).map { Array($0.utf8) }
        crossOrigin = application?.crossOrigin.map(CrossOrigin.init)
        writesCrossOrigin = application?.crossOrigin?.preflight == .answer
        keepsForms = application?.keepsForms ?? false
        openURL = own + "/.gatepost/sign-in"
        pathRoutes = application.flatMap { PreparedPathRoutes($0.pathRoutes, own: own) }
        requestLines = (application?.requestFields.written ?? []).flatMap {
            Array("\($0.name): \($0.value)\r\n".utf8)
        }
        writesForwarded = application?.writesForwarded ?? false
        hasRequestLines = !requestLines.isEmpty || writesForwarded
        responseChanges = application.flatMap { PreparedChanges($0.responseFields) }
        rewritesResponses = writesCrossOrigin || responseChanges != nil
    }

    /// The fields that clients never send upstream.
    private static func keptBack(_ application: ApplicationRoute?) -> [String] {
        (application?.identityFieldNames ?? []) + (application?.requestFields.names ?? [])
    }

    /// Where no application is, nobody gets in.
    private static let nobodys = Residual(
        policyIdentity: "", isSignedIn: false, validUntilSeconds: .max, policies: [], refusal: .routeNotFound,
        dependsOn: [])
}

/// One configuration, compiled for one reactor. Connections keep the route of their last request, so an old plan's
/// routes live as long as somebody may still be served by them.
final class Plan {
    let snapshot: GatewaySnapshot
    let server: ServerContext
    let routes: [Route]
    let hasEncodedSlashRoute: Bool
    /// Route index + 1 by hash of the host; 0 is free. A power of two, at most half full.
    private let table: [Int32]

    /// - Parameter upstreams: finds or makes the reactor's upstreams of an application.
    init(
        _ configuration: PreparedConfiguration, upstreams: (ApplicationRoute) throws -> UpstreamGroup
    ) throws {
        let snapshot = configuration.snapshot
        self.snapshot = snapshot
        let server = configuration.server
        self.server = server
        func certificate(_ host: String) -> Int32 { Int32(server.certificate(for: host) ?? -1) }
        var routes = [
            Route(
                host: snapshot.authHost, application: nil, certificate: certificate(snapshot.authHost),
                upstreams: UpstreamGroup(name: "-"), publicPort: snapshot.publicPort,
                revision: snapshot.revision)
        ]
        for application in snapshot.applications {
            routes.append(
                Route(
                    host: application.host, application: application,
                    certificate: certificate(application.host),
                    upstreams: try upstreams(application), publicPort: snapshot.publicPort,
                    revision: snapshot.revision))
        }
        self.routes = routes
        hasEncodedSlashRoute = snapshot.applications.contains { $0.allowsEncodedSlash }
        var size = 8
        while size < routes.count * 2 { size *= 2 }
        var table = [Int32](repeating: 0, count: size)
        for (index, route) in routes.enumerated() {
            let name = route.hostBytes
            var at = Self.hash(name.span) & (size - 1)
            while table[at] != 0 { at = (at + 1) & (size - 1) }
            table[at] = Int32(index + 1)
        }
        self.table = table
    }

    /// - Parameter host: lower case, without port.
    func route(host: Span<UInt8>) -> Route? {
        var at = Self.hash(host) & (table.count - 1)
        while table[at] != 0 {
            let route = routes[Int(table[at]) - 1]
            let name = route.hostBytes
            if Self.equal(name.span, host) { return route }
            at = (at + 1) & (table.count - 1)
        }
        return nil
    }

    static func equal(_ one: Span<UInt8>, _ other: Span<UInt8>) -> Bool {
        guard one.count == other.count else { return false }
        return one.withUnsafeBytes { one in
            other.withUnsafeBytes { other in
                guard let first = one.baseAddress, let second = other.baseAddress else { return true }
                return memcmp(first, second, one.count) == 0
            }
        }
    }

    /// FNV-1a's way over words instead of bytes. Names come from the configuration: nobody outside can fill a
    /// bucket.
    private static func hash(_ bytes: Span<UInt8>) -> Int {
        bytes.withUnsafeBytes { raw in
            var hash: UInt64 = 0xcbf2_9ce4_8422_2325
            var offset = 0
            while offset + 8 <= raw.count {
                hash = (hash ^ raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) &* 0x100_0000_01b3
                hash ^= hash >> 32
                offset += 8
            }
            while offset < raw.count {
                hash = (hash ^ UInt64(raw[offset])) &* 0x100_0000_01b3
                offset += 1
            }
            return Int(truncatingIfNeeded: hash ^ (hash >> 32))
        }
    }
}
