// swift-tools-version: 6.2
import PackageDescription

// The module table of ARCHITECTURE.md. `ArchitectureTests` holds every `import` line against the same table,
// because the compiler lets undeclared imports pass in incremental builds.

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let yams: Target.Dependency = .product(name: "Yams", package: "Yams")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

func module(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: settings)
}

func program(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .executableTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: settings)
}

/// In the tests' program these go by way of Tests/CSimulatedKernel, which hands them on where nothing is simulated.
let simulatedCalls = [
    "socket", "eventfd", "epoll_create1", "connect", "accept4", "recv", "send", "read", "write", "shutdown",
    "close", "syscall",
    "setsockopt", "getsockopt", "getsockname", "bind", "listen", "epoll_ctl", "epoll_wait", "clock_gettime",
].flatMap { ["-Xlinker", "--wrap=\($0)"] }

let package = Package(
    name: "gatepost",
    products: [
        .executable(name: "gatepost", targets: ["gatepost"]),
        .executable(name: "gatepost-agent", targets: ["gatepost-agent"]),
        .executable(name: "gatepost-lab", targets: ["gatepost-lab"]),
    ],
    dependencies: [
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CNghttp2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
        .systemLibrary(name: "CLinux"),
        .target(name: "COpenSSLInit", dependencies: ["COpenSSL"]),

        module("Access", []),
        module("JSON", []),
        module("HTTP", []),
        module("Border", ["Access"]),
        module("DataPlane", ["Access", "HTTP", "JSON", "Border", "COpenSSL", "CNghttp2", "CLinux"]),
        module("Signatures", ["JSON", "COpenSSL"]),
        module("Fetch", ["CCurl", "COpenSSLInit"]),
        module("Store", ["Access", grdb]),
        module("Config", ["Access", yams]),
        module("Identity", ["Access", "JSON", "Signatures", "Fetch", "Store"]),
        module("Posture", ["Access", "JSON", "Signatures", "Fetch", "Store"]),
        module(
            "Control",
            ["Access", "JSON", "Border", "Config", "Identity", "Posture", "Store", "Signatures", "Fetch"]),

        program(
            "gatepost", ["DataPlane", "Control", "Border", "Config", "Access", "JSON", "CLinux", arguments]),
        program(
            "gatepost-agent", ["HTTP", "JSON", "Signatures", "Fetch", "CLinux", "COpenSSL", arguments],
            exclude: ["PROTOCOL.md", "Vectors"]),
        program("gatepost-lab", ["JSON", "Signatures", "Fetch", "Store", "Identity", "COpenSSL", arguments]),

        tests("AccessTests", ["Access"], exclude: ["Golden"]),
        tests("JSONTests", ["JSON"]),
        tests("HTTPTests", ["HTTP"]),
        tests("BorderTests", ["Border", "Access"]),
        .target(name: "CSimulatedKernel", path: "Tests/CSimulatedKernel"),
        .target(
            name: "ChildPrograms", dependencies: ["CLinux"], path: "Tests/ChildPrograms",
            swiftSettings: settings),
        tests("ChildProgramsTests", ["ChildPrograms"]),
        .testTarget(
            name: "DataPlaneTests",
            dependencies: [
                "DataPlane", "Border", "Access", "HTTP", "JSON", "COpenSSL", "CNghttp2", "CLinux",
                "CSimulatedKernel", "ChildPrograms",
            ],
            swiftSettings: settings, linkerSettings: [.unsafeFlags(simulatedCalls)]),
        tests("SignaturesTests", ["Signatures", "JSON"], exclude: ["Vectors"]),
        tests("FetchTests", ["Fetch", "COpenSSL", "ChildPrograms"]),
        tests("StoreTests", ["Store", "Access", grdb]),
        tests("ConfigTests", ["Config", "Access"], exclude: ["Golden"]),
        tests(
            "IdentityTests",
            ["Identity", "Access", "JSON", "Signatures", "Fetch", "Store", "ChildPrograms"]),
        tests(
            "PostureTests", ["Posture", "Access", "JSON", "Signatures", "Fetch", "Store", "ChildPrograms"]),
        tests(
            "ControlTests",
            [
                "Control", "Config", "Border", "Access", "JSON", "Store", "Identity", "Signatures", "Posture",
                "Fetch", "ChildPrograms", grdb,
            ], exclude: ["Browser"]),
        tests(
            "AgentTests",
            [
                "gatepost-agent", "Signatures", "JSON", "HTTP", "Fetch", "Posture", "Access", "Store",
                "ChildPrograms", arguments,
            ]),
        tests(
            "GatepostTests",
            [
                "gatepost", "DataPlane", "Control", "Config", "Border", "Access", "JSON", "Signatures",
                "CLinux",
                arguments,
            ]),
        tests("LabTests", ["gatepost-lab", "JSON", "Signatures", "Identity", "Store", arguments]),
        // Where connectors and the lab's emulators of their providers meet.
        tests(
            "ProviderTests",
            [
                "Posture", "Identity", "gatepost-lab", "Access", "JSON", "Signatures", "Fetch", "Store",
                "ChildPrograms",
            ]),
        // Where the relying party and the lab's OpenID Provider meet.
        tests(
            "RelyingPartyTests",
            ["Identity", "gatepost-lab", "Access", "JSON", "Signatures", "Fetch", "Store"]),
        tests("ArchitectureTests", ["ChildPrograms"]),
        tests("EndToEndTests", [], exclude: ["Attacks", "Golden"]),
    ]
)
