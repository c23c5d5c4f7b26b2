import Foundation
import Testing

@testable import Access

@Suite("What is prepared of policies and of persons changes no answer")
struct PolicySieveTests {
    private func residual(_ app: Application, _ person: SessionFacts) -> Residual {
        snapshot().residual(of: person, nil, for: app, atSeconds: now)
    }

    private func allowing(_ name: String, _ condition: Condition) -> ApplicationPolicy {
        ApplicationPolicy(name: name, action: .allow, include: [condition])
    }

    private func member(of groups: [String], email: String? = nil) -> SessionFacts {
        var session = session()
        session.person.groups = groups
        session.person.email = email
        return session
    }

    @Test("a name that reads the same in other bytes is another name, also where both are asked")
    func bytes() {
        let (composed, decomposed) = ("caf\u{e9}", "cafe\u{301}")
        let app = application([
            allowing("composed", .group(GroupCondition(groups: [composed]))),
            allowing("decomposed", .group(GroupCondition(groups: [decomposed]))),
        ])
        #expect(residual(app, member(of: [decomposed])).policies.map(\.name) == ["decomposed"])
        #expect(residual(app, member(of: [composed])).policies.map(\.name) == ["composed"])
        #expect(residual(app, member(of: ["cafe"])).policies.isEmpty)
    }

    @Test("every name of 0 to 40 bytes is found among five hundred, and none that differs in one byte")
    func lengths() {
        let names = (0...40).map { String(repeating: "n", count: $0) }
        let others = (0..<460).map { "another-group-\($0)" }
        for name in names {
            let table = NameTable(others + [name], email: nil)
            #expect(table.contains(name, among: others + [name]))
            #expect(table.mayContain(NameTable.digest(name)))
            #expect(!table.contains(name + "x", among: others + [name]))
            #expect(!table.contains(String(name.dropLast()) + "x", among: others + [name]))
        }
    }

    @Test("names that share a digest are told apart, and an address is no group")
    func collisions() {
        let table = NameTable(["STAFF", "Staff"], email: "staff")
        #expect(table.mayContain(NameTable.digest("staff")))
        #expect(table.contains("Staff", among: ["STAFF", "Staff"]))
        #expect(!table.contains("staff", among: ["STAFF", "Staff"]))
    }

    @Test("an address is found whatever the case in which the policy writes it")
    func addresses() {
        let app = application([
            allowing("one", .email(EmailCondition(addresses: ["Ann@Corp.Example"]))),
            allowing("two", .email(EmailCondition(addresses: ["bob@corp.example", "ann@corp.example"]))),
        ])
        let other = allowing("other", .email(EmailCondition(addresses: ["eve@corp.example"])))
        let ann = member(of: [], email: "ann@corp.example")
        #expect(residual(app, ann).policies.map(\.name) == ["one"])
        #expect(residual(application([other]), ann).policies.isEmpty)
    }

    @Test("policies and groups that are changed afterwards count as they are now")
    func changes() {
        var app = application([allowing("staff", .group(GroupCondition(groups: ["staff"])))])
        var person = member(of: ["guests"])
        #expect(residual(app, person).policies.isEmpty)
        person.person.groups.append("staff")
        #expect(residual(app, person).policies.map(\.name) == ["staff"])
        app.policies[0].include = [.group(GroupCondition(groups: ["admins", "owners"]))]
        #expect(residual(app, person).policies.isEmpty)
        person.person.groups[0] = "owners"
        #expect(residual(app, person).policies.map(\.name) == ["staff"])
    }

    @Test("what was written and read again is equal and decides alike; what lacks a member is refused")
    func codable() throws {
        let app = application([allowing("staff", .group(GroupCondition(groups: ["staff"])))])
        let person = member(of: ["staff"])
        let readApp = try JSONDecoder().decode(Application.self, from: JSONEncoder().encode(app))
        let readPerson = try JSONDecoder().decode(SessionFacts.self, from: JSONEncoder().encode(person))
        #expect(readApp == app && readPerson == person)
        #expect(Set([readApp, app]).count == 1 && Set([readPerson, person]).count == 1)
        #expect(residual(readApp, readPerson) == residual(app, person))
        let text = try #require(String(bytes: JSONEncoder().encode(person.person), encoding: .utf8))
        #expect(!text.contains("names"), "nothing of the table is written")
        for member in ["groups", "issuer", "claims"] {
            let less = Data(text.replacing("\"\(member)\"", with: "\"else\"").utf8)
            #expect(throws: DecodingError.self) { try JSONDecoder().decode(PersonFacts.self, from: less) }
        }
    }
}
