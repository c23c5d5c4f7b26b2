import JSON

extension SignalledCertificate {
    static let issuerBytesMax = 1_024
    static let serialBytesMax = 128

    /// `x509_issuer` and `x509_serial` of an event; nil unless both are there. A serial number alone is on certificates
    /// of many authorities.
    init?(_ members: JSONObject) {
        guard let issuer = members["x509_issuer"]?.string, let serial = members["x509_serial"]?.string,
            (1...Self.issuerBytesMax).contains(issuer.utf8.count),
            (1...Self.serialBytesMax).contains(serial.utf8.count)
        else { return nil }
        self.init(issuer: issuer, serial: serial)
    }
}
