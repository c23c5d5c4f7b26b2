// swift-tools-version: 6.2
import PackageDescription

// Only Access and one program: what deciding costs, without the gateway.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"), .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    name: "decide",
    targets: [
        .target(name: "Access", swiftSettings: settings),
        .executableTarget(name: "decide", dependencies: ["Access"], swiftSettings: settings),
    ])
