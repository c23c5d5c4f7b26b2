import JSON

/// One key of the ring and its form on disk: one JSON object per file.
struct KeyEntry: Sendable {
    enum Material: Sendable {
        case signing(SigningKey)
        case secret([UInt8])
    }

    static let version: Int64 = 1
    let purpose: KeyRing.Purpose
    /// 1 and up; the highest of a purpose is the next key.
    let number: Int
    let material: Material

    /// nil for a secret of plain bytes.
    var signingKey: SigningKey? {
        guard case .signing(let key) = material else { return nil }
        return key
    }

    static func generated(_ purpose: KeyRing.Purpose, number: Int) -> KeyEntry {
        if let count = purpose.secretBytes {
            return KeyEntry(purpose: purpose, number: number, material: .secret(Random.bytes(count)))
        }
        guard let key = try? SigningKey.generateP256().namedByThumbprint() else {
            preconditionFailure("a fresh key on P-256 was refused")
        }
        return KeyEntry(purpose: purpose, number: number, material: .signing(key))
    }

    private init(purpose: KeyRing.Purpose, number: Int, material: Material) {
        self.purpose = purpose
        self.number = number
        self.material = material
    }

    /// Reads what `serialized()` wrote. Purpose and number must be those of the file's name, so that swapped
    /// files are noticed.
    init(parsing bytes: [UInt8], purpose: KeyRing.Purpose, number: Int) throws(SignatureError) {
        let document: JSONObject?
        do throws(JSONError) {
            document = try JSONValue(parsing: bytes, limits: .token).object
        } catch {
            throw SignatureError("\(error)")
        }
        guard let document, document["version"] == .integer(Self.version) else {
            throw SignatureError("not a key file of version \(Self.version)")
        }
        guard document["purpose"]?.string == purpose.rawValue, document["number"]?.integer == Int64(number)
        else {
            throw SignatureError("purpose or number is not the one of the file's name")
        }
        self.purpose = purpose
        self.number = number
        if let count = purpose.secretBytes {
            guard let secret = document["secret"]?.string.flatMap(Base64URL.decode), secret.count == count
            else {
                throw SignatureError("secret is not \(count) bytes of base64url")
            }
            material = .secret(secret)
        } else {
            guard let pem = document["private_key"]?.string else {
                throw SignatureError("private_key is missing")
            }
            let key = try SigningKey(pem: Array(pem.utf8)).namedByThumbprint()
            guard key.publicKey.algorithm == .es256 else {
                throw SignatureError("private_key is not on P-256")
            }
            material = .signing(key)
        }
    }

    func serialized() -> [UInt8] {
        var document: JSONObject = [
            "version": .integer(Self.version), "purpose": .string(purpose.rawValue),
            "number": .integer(Int64(number)),
        ]
        switch material {
        case .signing(let key): document["private_key"] = .string(String(decoding: key.pem, as: UTF8.self))
        case .secret(let bytes): document["secret"] = .string(Base64URL.encode(bytes))
        }
        return document.serialized() + [0x0A]
    }
}
