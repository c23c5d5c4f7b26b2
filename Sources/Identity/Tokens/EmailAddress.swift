/// E-mail addresses as the store keeps them.
public enum EmailAddress {
    /// Lower-cases ASCII only: Unicode would turn U+212A into "k", and one mailbox into another person's.
    public static func folded(_ text: String) -> String {
        String(decoding: text.utf8.map { (0x41...0x5a).contains($0) ? $0 + 0x20 : $0 }, as: UTF8.self)
    }
}
