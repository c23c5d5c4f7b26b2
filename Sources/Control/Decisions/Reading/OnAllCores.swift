import Foundation
import Synchronization

/// How much can be done side by side.
var coreCount: Int { ProcessInfo.processInfo.activeProcessorCount }

/// Does pure work on all cores and gives what came of it in the order of the elements, whoever was done first.
///
/// - Parameter work: is called for parts that stand behind each other, side by side; what it keeps for itself is its
///   part's alone.
func onAllCores<Element: Sendable, Product: Sendable>(
    _ elements: [Element], _ work: @Sendable (ArraySlice<Element>) -> [Product]
) -> [Product] {
    // Several for each core: some elements cost a thousand times what others do.
    let partsPerCore = 4
    let parts = min(coreCount * partsPerCore, elements.count)
    guard parts > 1 else { return work(elements[...]) }
    let products = Mutex([[Product]](repeating: [], count: parts))
    DispatchQueue.concurrentPerform(iterations: parts) { part in
        let bounds = (part * elements.count / parts)..<((part + 1) * elements.count / parts)
        let own = work(elements[bounds])
        products.withLock { $0[part] = own }
    }
    return products.withLock { $0.flatMap { $0 } }
}

/// Pure work that was begun and is waited for later.
final class InBackground<Product: Sendable>: Sendable {
    private let product = Mutex<Product?>(nil)
    private let done = DispatchSemaphore(value: 0)

    init(_ work: @escaping @Sendable () -> Product) {
        DispatchQueue.global().async { [self] in
            let product = work()
            self.product.withLock { $0 = product }
            done.signal()
        }
    }

    /// What came of it. Once.
    func wait() -> Product {
        done.wait()
        return product.withLock { product in
            guard let made = product.take() else { preconditionFailure("waited for twice") }
            return made
        }
    }
}
