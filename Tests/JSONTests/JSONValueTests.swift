import JSON
import Testing

@Suite("Values and objects")
struct JSONValueTests {
    @Test func `an accessor answers only for its own kind`() {
        let values: [JSONValue] = [nil, true, 1, 1.5, "1", [1], ["a": 1]]
        #expect(values.map(\.isNull) == [true, false, false, false, false, false, false])
        #expect(values.map(\.bool) == [nil, true, nil, nil, nil, nil, nil])
        #expect(values.map(\.integer) == [nil, nil, 1, nil, nil, nil, nil])
        #expect(values.map(\.number) == [nil, nil, 1, 1.5, nil, nil, nil])
        #expect(values.map(\.string) == [nil, nil, nil, nil, "1", nil, nil])
        #expect(values.map { $0.array != nil } == [false, false, false, false, false, true, false])
        #expect(values.map { $0["a"] != nil } == [false, false, false, false, false, false, true])
    }

    @Test func `an integral number is an integer, and only inside 64 bits`() {
        #expect(JSONValue.number(1e3).integer == 1000)
        #expect(JSONValue.number(-0.0).integer == 0)
        #expect(JSONValue.number(9_223_372_036_854_774_784).integer == 9_223_372_036_854_774_784)
        #expect(JSONValue.number(9_223_372_036_854_775_808).integer == nil)
        #expect(JSONValue.number(.infinity).integer == nil)
    }

    @Test func `names and strings are compared by code point, so a look-alike satisfies nothing`() {
        let kelvin: JSONObject = ["\u{212A}id": 1]
        #expect("\u{212A}id" == "Kid")
        #expect(kelvin["Kid"] == nil)
        #expect(kelvin["\u{212A}id"] == 1)
        #expect(JSONValue.string("\u{212A}") != JSONValue.string("K"))
    }

    @Test func `the same holds for an object with many members`() {
        var object = JSONObject((0..<40).map { ("n\($0)", .integer(Int64($0))) })
        object["\u{212A}id"] = 1
        #expect(object["Kid"] == nil)
        #expect(object["\u{212A}id"] == 1)
        object["Kid"] = 2
        #expect(object.count == 42)
    }

    @Test func `setting keeps the place, removing closes the gap, null is a value`() {
        var object: JSONObject = ["a": 1, "b": 2, "c": 3]
        object["b"] = .null
        #expect(object.names == ["a", "b", "c"])
        #expect(object["b"] == .null)
        object["a"] = nil
        object["missing"] = nil
        #expect(object.names == ["b", "c"])
        #expect(object["c"] == 3)
    }

    @Test func `a wide object stays right while members come and go`() {
        var object = JSONObject()
        for number in 0..<100 { object["n\(number)"] = .integer(Int64(number)) }
        for number in stride(from: 0, to: 100, by: 2) { object["n\(number)"] = nil }
        for number in 0..<100 {
            #expect(object["n\(number)"] == (number % 2 == 0 ? nil : .integer(Int64(number))))
        }
        #expect(object.count == 50)
    }

    @Test func `equality and hash ignore the order of members`() {
        let left: JSONValue = ["a": 1, "b": [true, nil]]
        let right: JSONValue = ["b": [true, nil], "a": 1]
        #expect(left == right)
        #expect(left.hashValue == right.hashValue)
        #expect(left != ["a": 1])
        #expect(left != ["a": 1, "b": [nil, true]])
    }

    @Test func `what is not finite is written as null`() {
        #expect(
            JSONValue.array([.number(.nan), .number(.infinity), .number(-1.5)]).serializedText()
                == "[null,null,-1.5]")
    }

    @Test func `text is written with the fewest escapes`() {
        #expect(
            JSONValue.string("\"\\/\n\u{1F}\u{7F}\u{E9}").serializedText()
                == "\"\\\"\\\\/\\u000a\\u001f\u{7F}\u{E9}\"")
    }
}
