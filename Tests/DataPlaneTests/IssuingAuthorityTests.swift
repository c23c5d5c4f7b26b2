import Border
import Foundation
import JSON
import Testing

@testable import DataPlane

/// An issuing authority that is trusted by itself: its root and everything else below it is nobody.
extension ClientCertificateTests {
    static let sibling = Workshop.authority("Sibling", under: root)

    /// The status, or why the handshake ended.
    private func outcome(
        _ made: CertificateWorkshop.Made, _ clients: [ClientCertificates?]
    ) throws -> String {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Self.route(origin.port)], clients: clients)
        let client = try TestClient(port: gateway.port, serverName: "wiki.test", identity: made.identity)
        if let status = client?.get()?.status { return "\(status)" }
        guard let line = gateway.logLine(),
            let reason = try JSONValue(parsing: Array(line.utf8))["reason"]?.string
        else { return "no reason" }
        return reason
    }

    @Test("own CA: an issuing authority takes what it issued, and refuses its sibling's and its root's")
    func alone() throws {
        let clients = Self.clients(Self.intermediate.pem)
        let rows: [(CertificateWorkshop.Made, String)] = [
            (Workshop.client("scanner-7", under: Self.intermediate), "200"),
            (Workshop.client("scanner-7", under: Self.second), "200"),
            (Workshop.client("scanner-7", under: Self.third), "200"),
            (Workshop.client("scanner-7", under: Self.sibling), "untrusted"),
            (Workshop.client("scanner-7", under: Self.root), "untrusted"),
            (Workshop.client("scanner-7", under: Workshop.authority("Intermediate 1")), "untrusted"),
            (Workshop.client("scanner-7", under: Self.intermediate, until: -1), "expired"),
        ]
        for (index, row) in rows.enumerated() {
            #expect(try outcome(row.0, clients) == row.1, "row \(index)")
        }
    }

    @Test("own CA: with lists, one of the issuing authority itself and of each below; none of its root")
    func lists() throws {
        let lost = Workshop.client("scanner-7", under: Self.intermediate)
        let good = Workshop.client("scanner-7", under: Self.intermediate)
        let below = Workshop.client("scanner-7", under: Self.second)
        func list(_ authority: CertificateWorkshop.Made, _ lost: [CertificateWorkshop.Made] = []) -> [UInt8] {
            Workshop.list(of: authority, revoking: lost)
        }
        let own = list(Self.intermediate, [lost])
        let rows: [(CertificateWorkshop.Made, [UInt8], String)] = [
            (good, own, "200"), (lost, own, "revoked"), (below, own, "list-missing"),
            (below, own + list(Self.second), "200"),
            (below, list(Self.intermediate, [Self.second]) + list(Self.second), "revoked"),
            (good, list(Self.root), "list-missing"),
            // What the root says of the authority is not asked: the configuration named it.
            (good, own + Workshop.list(of: Self.root, revoking: [], nextUpdate: -1), "200"),
            (good, Workshop.list(of: Self.intermediate, revoking: [], nextUpdate: -1), "list-ended"),
        ]
        for (index, row) in rows.enumerated() {
            let clients = Self.clients(Self.intermediate.pem, lists: row.1)
            #expect(try outcome(row.0, clients) == row.2, "row \(index)")
        }
        // With the root beside it the path ends at the nearer one all the same; a list of the root still takes it back.
        let both = Self.clients(Self.intermediate.pem + Self.root.pem, lists: own)
        #expect(try outcome(good, both) == "200")
        let revoked = Self.clients(
            Self.intermediate.pem + Self.root.pem, lists: own + list(Self.root, [Self.intermediate]))
        #expect(try outcome(good, revoked) == "revoked")
    }

    /// A root, an issuing authority and one between them.
    private static func house(namesKeys: Bool) -> [CertificateWorkshop.Made] {
        let root = Workshop.authority("House root", namesKeys: namesKeys)
        let middle = Workshop.authority("House middle", under: root, namesKeys: namesKeys)
        return [root, middle, Workshop.authority("House issuing", under: middle, namesKeys: namesKeys)]
    }

    @Test(
        "an issuing authority that a named one's list revokes vouches for nobody, whether keys are named or not",
        arguments: [true, false])
    func revokedAuthority(_ namesKeys: Bool) throws {
        let made = Self.house(namesKeys: namesKeys)
        let (root, middle, issuing) = (made[0], made[1], made[2])
        func list(_ authority: CertificateWorkshop.Made, _ lost: [CertificateWorkshop.Made] = []) -> [UInt8] {
            Workshop.list(of: authority, revoking: lost)
        }
        let near = Workshop.client("scanner-7", under: middle)
        var alone = near
        alone.path = []
        let far = Workshop.client("scanner-7", under: issuing)
        let both = root.pem + middle.pem
        let all = both + issuing.pem
        let other = Workshop.authority("House root", namesKeys: namesKeys)
        let ended = Workshop.list(of: root, revoking: [middle], nextUpdate: -1)
        let rows: [(CertificateWorkshop.Made, [UInt8], [UInt8], String)] = [
            (near, both, list(middle) + list(root), "200"),
            (alone, both, list(middle) + list(root), "200"),
            (near, both, list(middle) + list(root, [middle]), "revoked"),
            (near, both, list(root, [middle]) + list(middle), "revoked"),
            // Its client does not show the authority, and nobody here vouches for one.
            (alone, both, list(middle) + list(root, [middle]), "untrusted"),
            (near, middle.pem + root.pem, list(middle) + list(root, [middle]), "revoked"),
            // Revoked is revoked, also by a list that clears nobody any more.
            (alone, both, list(middle) + ended, "untrusted"),
            // Of three, whoever is below the one that is revoked.
            (far, all, list(issuing) + list(middle) + list(root), "200"),
            (far, all, list(issuing) + list(middle) + list(root, [middle]), "revoked"),
            (far, all, list(issuing) + list(middle, [issuing]) + list(root), "revoked"),
            // Of another key than the root's that is named: it says nothing.
            (near, both, list(middle) + list(root) + list(other, namesKeys ? [middle] : []), "200"),
        ]
        for (index, row) in rows.enumerated() {
            #expect(try outcome(row.0, Self.clients(row.1, lists: row.2)) == row.3, "row \(index)")
        }
        guard namesKeys else { return }
        // By itself it is the configuration's word, whatever is beside its own list.
        let word = Self.clients(middle.pem, lists: list(middle) + list(root, [middle]))
        #expect(try outcome(near, word) == "200")
    }

    @Test("a renewed issuing authority goes on when its former certificate is revoked") func renewed() throws
    {
        let former = Workshop.authority("House renewed", under: Self.root)
        let next = Workshop.authority("House renewed", under: Self.root)
        let lists =
            Workshop.list(of: former, revoking: []) + Workshop.list(of: next, revoking: [])
            + Workshop.list(of: Self.root, revoking: [former])
        let clients = Self.clients(former.pem + next.pem + Self.root.pem, lists: lists)
        #expect(try outcome(Workshop.client("scanner-7", under: next), clients) == "200")
        #expect(try outcome(Workshop.client("scanner-7", under: former), clients) == "revoked")
    }

    @Test("a client's certificate among the authorities vouches for nobody, itself included")
    func leaf() throws {
        let made = Workshop.client("scanner-7", under: Self.intermediate)
        #expect(try outcome(made, Self.clients(made.pem)) == "untrusted")
        let under = Workshop.client("scanner-7", under: made)
        #expect(["path", "untrusted", "other"].contains(try outcome(under, Self.clients(made.pem))))
    }
}
