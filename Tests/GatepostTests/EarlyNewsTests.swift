import Synchronization
import Testing

@testable import gatepost

@Suite("What data processes say while the control process begins")
struct EarlyNewsTests {
    /// Texts of lower case count at once.
    private func makeNews() -> (EarlyNews<Int, String>, () -> [String]) {
        let taken = Heard()
        let news = EarlyNews<Int, String>(countsAtOnce: { $0 == $0.lowercased() }) { news, plane, _ in
            taken.list.withLock { $0.append("\(news)\(plane)") }
        }
        return (news, { taken.list.withLock { $0 } })
    }

    private final class Heard: Sendable {
        let list = Mutex<[String]>([])
    }

    @Test func `a joining reaches the plane as soon as there is one, a question only when it is open`() {
        let (news, taken) = makeNews()
        news.tell("a")
        news.tell("B")
        #expect(taken().isEmpty)
        news.begin(1)
        #expect(taken() == ["a1"])
        news.tell("C")
        news.tell("d")
        #expect(taken() == ["a1", "d1"])
        news.open(1)
        #expect(taken() == ["a1", "d1", "B1", "C1"], "in the order in which they came")
        news.tell("E")
        news.tell("f")
        #expect(taken().suffix(2) == ["E1", "f1"])
    }

    @Test func `nothing is lost or overtakes while it opens`() async {
        for _ in 0..<50 {
            let (news, taken) = makeNews()
            async let told: Void = Task.detached { for number in 0..<500 { news.tell("N\(number)-") } }.value
            news.begin(1)
            news.open(1)
            await told
            #expect(Set(taken()).count == 500 && taken().count == 500)
        }
    }
}
