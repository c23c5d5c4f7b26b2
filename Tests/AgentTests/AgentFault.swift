/// One way to write an agent wrong.
enum AgentFault: String, CaseIterable, Sendable {
    // Who may ask, and how.
    case listensElsewhere, ignoresHost, reflectsOrigin, matchesOriginByPrefix, ignoresOriginCase,
        countsNoOrigins
    case routesLoosely, takesForms, readsAnyLength, takesAnyFraming, takesBadHeads, isTooStrict
    case saysNotFound, namesItself, allowsCredentials, allowsEveryField, forgetsVary
    // Which challenges are believed.
    case refusesBodiesSilently, takesDoubledMembers, trustsNobody, ignoresSignatures, confusesAlgorithms
    case takesNoAlgorithm, readsTokensLoosely, takesAnyKid, pinsOneKey, trustsHeaderKey
    case ignoresCritical, ignoresType, ignoresIssuer, ignoresAudience, ignoresOriginClaim, ignoresReturn
    case ignoresVersions, ignoresForm, takesShortNonces, acceptsExpired, acceptsFuture, acceptsLongLives
    case answersTwice, remembersRefused
    // What is answered.
    case tellsEverything, tellsUser, hashesOther, copiesCounter, livesLong, namesOtherTransport, sendsOldNonce
    case hidesTime, answersAsAnother, seesTomorrow, sendsCertificateToo, forgetsOwnKey, namesItselfStated
    case sendsStatementAlways
    // Visits.
    case followsNavigation, navigatesUnbound, popupPostsToAll, popupHasNoPolicy, popupTakesAnyScript
    case popupPartsFromOpener, popupTakesAnyOrigin, popupTakesAnyReturn, popupFramed, popupHidesErrors
    case probeUsesUp, probeTakesExpired, probeOpened, probeReadable
    // Limits, and what takes time.
    case hasNoRate, readsOnce, answersPipelined, neverTimesOut, waitsAnew
    case forgetsCounter, neverRenews, followsForeignRoot, followsOlder, ignoresAnnouncements
}
