/// Lists, pages and single devices.

import JSON
import Synchronization

extension GraphEmulator {
    static let context = "https://graph.microsoft.com/v1.0/$metadata#deviceManagement/managedDevices"

    func list(_ exchange: Exchange, _ parameters: Parameters, user: String?) -> Response {
        var page: GraphState.Page
        do throws(QueryRefusal) {
            let query = try GraphQuery(parameters)
            page = GraphState.Page(query: query, user: user, offset: 0)
            if let token = query.skipToken {
                guard let kept = state.withLock({ $0.page(token) }), kept.user == user else {
                    throw QueryRefusal(what: "$skiptoken is not known")
                }
                page = kept
            }
        } catch {
            return self.error(exchange, 400, "BadRequest", error.what)
        }
        return answer(page, exchange)
    }

    private func answer(_ page: GraphState.Page, _ exchange: Exchange) -> Response {
        let onlyFirst = page.query.matchesAny && faults.fires(.firstBranchOnly) != nil
        let all = records(user: page.user, nowSeconds: exchange.nowSeconds)
            .filter { page.query.matches($0, onlyFirst: onlyFirst) }
        var members: [(String, JSONValue)] = [("@odata.context", .string(Self.context))]
        if page.query.wantsCount { members.append(("@odata.count", .integer(Int64(all.count)))) }
        let isEmpty = page.query.hasSkip || (!page.followsEmpty && faults.fires(.emptyPage) != nil)
        let end = isEmpty ? page.offset : min(page.offset + page.query.top, all.count)
        var shown = Array(all[min(page.offset, all.count)..<max(end, min(page.offset, all.count))])
        if faults.fires(.partialPage) != nil { shown = Array(shown.dropLast()) }
        var rest = page
        rest.offset = end
        rest.followsEmpty = isEmpty
        if let link = nextLink(page, rest: end < all.count ? rest : nil) {
            members.append(("@odata.nextLink", .string(link)))
        }
        members.append(("value", .array(shown.map { .object(page.query.reduce($0)) })))
        return .json(.object(JSONObject(members)), fields: identityFields(exchange))
    }

    private func nextLink(_ page: GraphState.Page, rest: GraphState.Page?) -> String? {
        let path = page.user.map { "users/\(Parameters.encode($0))" } ?? "deviceManagement"
        func link(_ token: String, host: String) -> String {
            "\(host)/v1.0/\(path)/managedDevices?$skiptoken=\(token)"
        }
        if faults.fires(.loop) != nil {
            return link(state.withLock { $0.keep(page, as: "loop") }, host: address)
        }
        if faults.fires(.twoCycle) != nil {
            let isFirst = page.query.skipToken != "cycle-a"
            var other = page
            other.query.skipToken = isFirst ? "cycle-a" : "cycle-b"
            return link(state.withLock { $0.keep(other, as: other.query.skipToken) }, host: address)
        }
        if faults.fires(.sameIDs) != nil { return link(state.withLock { $0.keep(page) }, host: address) }
        guard let rest else { return nil }
        let token = state.withLock { $0.keep(rest) }
        return link(token, host: faults.fires(.crossHostNext) == nil ? address : "http://graph.evil.example")
    }

    func single(_ exchange: Exchange, _ parameters: Parameters, id: String, user: String?) -> Response {
        do throws(QueryRefusal) {
            let query = try GraphQuery(parameters)
            let found = records(user: user, nowSeconds: exchange.nowSeconds)
                .first { $0["id"]?.string?.lowercased() == id.lowercased() }
            guard let found else {
                return error(exchange, 404, "ResourceNotFound", "Device \(id) does not exist.")
            }
            let record = query.reduce(found)
            if faults.fires(.wrappedSingle) != nil {
                return .json(["value": .object(record)], fields: identityFields(exchange))
            }
            let context = JSONValue.string(Self.context + "/$entity")
            let members = [("@odata.context", context)] + record.members.map { ($0.name, $0.value) }
            return .json(.object(JSONObject(members)), fields: identityFields(exchange))
        } catch {
            return self.error(exchange, 400, "BadRequest", error.what)
        }
    }

    /// One policy with the passcode and encryption settings (providers.md 2.3); needs a permission of its
    /// own.
    func policyStates(_ exchange: Exchange, id: String) -> Response {
        if faults.fires(.missingSettingScope) != nil {
            return error(
                exchange, 403, "Forbidden", "Application is not authorized to perform this operation.")
        }
        let found = records(user: nil, nowSeconds: exchange.nowSeconds).first {
            $0["id"]?.string == id.lowercased()
        }
        guard let found else {
            return error(exchange, 404, "ResourceNotFound", "Device \(id) does not exist.")
        }
        let isBad = found["complianceState"] == "noncompliant"
        func setting(_ name: String, _ title: String, _ state: JSONValue) -> JSONValue {
            [
                "setting": .string("DefaultDeviceCompliancePolicy.\(name)"), "settingName": .string(title),
                "state": state, "errorCode": 0, "sources": [],
            ]
        }
        let states: [JSONValue] = [
            setting("PasswordRequired", "Require a password", isBad ? "nonCompliant" : "compliant"),
            setting("StorageRequireEncryption", "Require encryption", "compliant"),
        ]
        let policy: JSONValue = [
            "id": "a1", "displayName": "Office baseline", "state": isBad ? "nonCompliant" : "compliant",
            "settingCount": 2, "settingStates": .array(states),
        ]
        return .json(["value": [policy]], fields: identityFields(exchange))
    }

    func overview(_ exchange: Exchange) -> Response {
        let records = records(user: nil, nowSeconds: exchange.nowSeconds)
        var systems: [String: Int64] = [:]
        for record in records { systems[record["operatingSystem"]?.string ?? "", default: 0] += 1 }
        return .json(
            [
                "enrolledDeviceCount": .integer(Int64(records.count)),
                "mdmEnrolledCount": .integer(Int64(records.count)),
                "deviceOperatingSystemSummary": [
                    "windowsCount": .integer(systems["Windows"] ?? 0),
                    "macOSCount": .integer(systems["macOS"] ?? 0),
                    "linuxCount": .integer(systems["Linux"] ?? 0),
                ],
            ], fields: identityFields(exchange))
    }

    /// All records, or those of a user by id or name, as the device faults want them.
    private func records(user: String?, nowSeconds: Int64) -> [JSONObject] {
        var records = state.withLock { $0.devices }.map { $0.record(nowSeconds: nowSeconds) }
        if let user {
            let wanted = user.lowercased()
            records = records.filter {
                $0["userPrincipalName"]?.string?.lowercased() == wanted || $0["userId"]?.string == wanted
            }
        }
        if faults.fires(.deviceMissing) != nil { records = Array(records.dropFirst()) }
        if faults.fires(.duplicateSerial) != nil, var copy = records.first {
            copy["id"] = "5c1d9b7e-0a0e-4d51-9a0f-8d7b7a0d1cff"
            copy["complianceState"] = "noncompliant"
            records.append(copy)
        }
        let rows: [(GraphFault, String, JSONValue)] = [
            (.unknownEnum, "complianceState", "unknownFutureValue"), (.nullFields, "complianceState", nil),
            (.nullFields, "serialNumber", nil), (.nullFields, "lastSyncDateTime", nil),
            (.futureSync, "lastSyncDateTime", .string(Timestamp.rfc3339(nowSeconds + 172_800))),
            (.staleSync, "lastSyncDateTime", .string(Timestamp.rfc3339(nowSeconds - 90 * 86_400))),
        ]
        for (fault, name, value) in rows where faults.fires(fault) != nil {
            for index in records.indices { records[index][name] = value }
        }
        return records
    }
}
