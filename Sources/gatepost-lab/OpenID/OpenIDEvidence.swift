/// What the provider saw and needs again for its lies.

struct OpenIDEvidence {
    /// Requests for `/trap`, where every redirect of a fault leads: whoever follows one is counted here.
    var trapped = 0
    /// Requests for the token endpoint.
    var tokenRequests = 0
    /// Those that came with a client certificate.
    var certifiedTokenRequests = 0
    /// Of the exchange before, to be delivered once more.
    var lastToken: String?
    /// Of the answer before, to be delivered once more.
    var lastCode: String?
}
