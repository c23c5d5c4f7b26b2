import Access
import Fetch
import JSON

/// What an answer of the token endpoint must be before anything in it is believed (RFC 6749 §5.1).
enum TokenAnswerCheck {
    /// Refuses answers that call themselves something else than JSON: a page that happens to parse is no answer of a
    /// token endpoint. One that says nothing is judged by what it is.
    static func checkType(_ response: FetchResponse, from name: String) throws(IdentityError) {
        guard let field = response.field("content-type") else { return }
        let type = EmailAddress.folded(String(field.prefix { $0 != ";" && $0 != " " && $0 != "\t" }))
        guard ExactText.isEqual(type, "application/json") else {
            throw IdentityError(
                .providerMalformed,
                "\(name): token answer: content type \(type.prefix(64).debugDescription) is not JSON")
        }
    }

    /// The access token; nil when there is none.
    ///
    /// - Throws: `.providerMalformed` for one that could not stand in a field of the userinfo request, and for one of
    ///   another type than `Bearer`, in any case (§7.1: a token of a type that is not understood must not be used).
    static func accessToken(_ document: JSONObject, from name: String) throws(IdentityError) -> String? {
        guard let value = document["access_token"], !value.isNull else { return nil }
        guard let text = value.string, !text.isEmpty, text.utf8.allSatisfy({ (0x21...0x7e).contains($0) })
        else {
            throw IdentityError(.providerMalformed, "\(name): access token with bytes that no token has")
        }
        guard let type = document["token_type"]?.string,
            ExactText.isEqual(EmailAddress.folded(type), "bearer")
        else { throw IdentityError(.providerMalformed, "\(name): token_type is not Bearer") }
        return text
    }
}
