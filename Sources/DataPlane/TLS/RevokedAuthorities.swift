import COpenSSL

/// Which of the authorities that are named may end a path.
///
/// OpenSSL cannot say it of an authority that is no root: a path ends at it, so that its issuer is not there and that
/// one's list is not found for it. So it is asked before, once for each configuration.
enum RevokedAuthorities {
    /// Without those that a list of another named authority revokes, and without what only such ones have issued. They
    /// may still stand within a path, where lists speak about them.
    ///
    /// A list's end is not asked: revoked is revoked, also by a list that clears nobody any more.
    static func standing(_ authorities: [OpaquePointer], _ lists: [OpaquePointer]) -> [OpaquePointer] {
        var lost = Set(authorities.indices.filter { isRevoked(authorities[$0], authorities, lists) })
        guard !lost.isEmpty else { return authorities }
        let issuers = authorities.map { authority in
            authorities.indices.filter { hasIssued(authorities[$0], authority) }
        }
        var before = 0
        while lost.count > before {
            before = lost.count
            for (index, issuers) in issuers.enumerated()
            where !issuers.isEmpty && issuers.allSatisfy(lost.contains) {
                lost.insert(index)
            }
        }
        return authorities.indices.filter { !lost.contains($0) }.map { authorities[$0] }
    }

    private static func isRevoked(
        _ authority: OpaquePointer, _ authorities: [OpaquePointer], _ lists: [OpaquePointer]
    ) -> Bool {
        // Of a root OpenSSL asks its own list.
        guard X509_self_signed(authority, 0) == 0 else { return false }
        return lists.contains { list in
            var entry: OpaquePointer?
            guard X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_issuer_name(authority)) == 0,
                X509_CRL_get0_by_cert(list, &entry, authority) == 1
            else { return false }
            return authorities.contains { signer in
                X509_NAME_cmp(X509_get_subject_name(signer), X509_CRL_get_issuer(list)) == 0
                    && X509_CRL_verify(list, X509_get0_pubkey(signer)) == 1
            }
        }
    }

    private static func hasIssued(_ issuer: OpaquePointer, _ authority: OpaquePointer) -> Bool {
        X509_self_signed(authority, 0) == 0
            && X509_NAME_cmp(X509_get_subject_name(issuer), X509_get_issuer_name(authority)) == 0
            && X509_verify(authority, X509_get0_pubkey(issuer)) == 1
    }
}
