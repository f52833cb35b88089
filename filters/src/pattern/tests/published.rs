//! The examples of the documentation of EventBridge, of its Ruler, and of EventMesh.

use super::{matches, matches_data};
use crate::{DataView, EventView};

const EC2: &str = r#"{
    "version": "0", "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718", "detail-type": "EC2 Instance State-change Notification",
    "source": "aws.ec2", "account": "111122223333", "time": "2017-12-22T18:43:48Z", "region": "us-west-1",
    "resources": ["arn:aws:ec2:us-west-1:123456789012:instance/i-1234567890abcdef0"],
    "detail": {"instance-id": "i-1234567890abcdef0", "state": "terminated", "c-count": 5, "d-count": 9.5, "x-limit": 301.8,
        "sourceIPAddress": "10.0.0.123", "eventVersion": "", "responseElements": null, "FileName": "image.PNG"}
}"#;

#[test]
fn eventbridge_examples_match_as_documented() {
    for (pattern, expected) in [
        (
            r#"{"source": ["aws.ec2"], "detail-type": ["EC2 Instance State-change Notification"], "detail": {"state": ["terminated"]}}"#,
            true,
        ),
        (r#"{"source": ["aws.ec2", "aws.fargate"]}"#, true),
        (r#"{"source": ["aws.fargate"]}"#, false),
        (
            r#"{"resources": ["arn:aws:ec2:us-east-1:1:instance/x", "arn:aws:ec2:us-west-1:123456789012:instance/i-1234567890abcdef0"]}"#,
            true,
        ),
        (r#"{"time": [{"prefix": "2017-12-22"}]}"#, true),
        (r#"{"time": [{"prefix": "2017-10-02"}]}"#, false),
        (
            r#"{"detail-type": [{"prefix": {"equals-ignore-case": "ec2 INSTANCE"}}]}"#,
            true,
        ),
        (r#"{"detail": {"FileName": [{"suffix": ".png"}]}}"#, false),
        (
            r#"{"detail": {"FileName": [{"suffix": {"equals-ignore-case": ".png"}}]}}"#,
            true,
        ),
        (
            r#"{"detail": {"state": [{"anything-but": "initializing"}]}}"#,
            true,
        ),
        (r#"{"detail": {"x-limit": [{"anything-but": 123}]}}"#, true),
        (
            r#"{"detail": {"state": [{"anything-but": ["stopped", "overloaded", "terminated"]}]}}"#,
            false,
        ),
        (
            r#"{"detail": {"x-limit": [{"anything-but": [100, 200, 300, 301.80]}]}}"#,
            false,
        ),
        (
            r#"{"detail": {"state": [{"anything-but": {"equals-ignore-case": ["TERMINATED", "stopped"]}}]}}"#,
            false,
        ),
        (
            r#"{"detail": {"state": [{"anything-but": {"prefix": "init"}}]}}"#,
            true,
        ),
        (
            r#"{"detail": {"FileName": [{"anything-but": {"suffix": ".txt"}}]}}"#,
            true,
        ),
        (
            r#"{"detail": {"FileName": [{"anything-but": {"wildcard": "*.PNG"}}]}}"#,
            false,
        ),
        (
            r#"{"detail": {"c-count": [{"numeric": [">", 0, "<=", 5]}], "d-count": [{"numeric": ["<", 10]}], "x-limit": [{"numeric": ["=", 3.018e2]}]}}"#,
            true,
        ),
        (
            r#"{"detail": {"c-count": [{"numeric": [">", 0, "<", 5]}]}}"#,
            false,
        ),
        (
            r#"{"detail": {"sourceIPAddress": [{"cidr": "10.0.0.0/24"}]}}"#,
            true,
        ),
        (
            r#"{"detail": {"sourceIPAddress": [{"cidr": "10.0.1.0/24"}]}}"#,
            false,
        ),
        (r#"{"detail": {"state": [{"exists": true}]}}"#, true),
        (r#"{"detail": {"state": [{"exists": false}]}}"#, false),
        (r#"{"detail": {"no-such": [{"exists": false}]}}"#, true),
        (
            r#"{"detail-type": [{"equals-ignore-case": "ec2 instance state-change notification"}]}"#,
            true,
        ),
        (
            r#"{"resources": [{"wildcard": "arn:aws:ec2:us-west-1:*:instance/*"}]}"#,
            true,
        ),
        (
            r#"{"detail": {"eventVersion": [""], "responseElements": [null]}}"#,
            true,
        ),
        (
            r#"{"detail": {"$or": [{"c-count": [{"numeric": [">", 10]}]}, {"d-count": [{"numeric": ["<", 10]}]}, {"x-limit": [1]}]}}"#,
            true,
        ),
        (
            r#"{"source": ["aws.ec2"], "$or": [{"region": ["eu-west-1"]}, {"account": ["1"]}]}"#,
            false,
        ),
        (
            r#"{"time": [{"prefix": "2017-12-22"}], "detail": {"state": [{"anything-but": "initializing"}], "c-count": [{"numeric": [">", 0, "<=", 5]}], "d-count": [{"numeric": ["<", 10]}], "x-limit": [{"anything-but": [100, 200, 300]}]}}"#,
            true,
        ),
    ] {
        assert_eq!(matches_data(pattern, EC2), expected, "{pattern}");
    }
}

/// The rows of the table on the page "Comparison operators for use in event patterns" of EventBridge's user guide (`eb-create-pattern-operators`): the name of the
/// row, its pattern, data that it is for, and data that it is not for.
const OPERATORS: [(&str, &str, &str, &str); 24] = [
    (
        "And",
        r#"{"Location": ["New York"], "Day": ["Monday"]}"#,
        r#"{"Location": "New York", "Day": "Monday"}"#,
        r#"{"Location": "New York", "Day": "Tuesday"}"#,
    ),
    (
        "Anything-but",
        r#"{"state": [{"anything-but": "initializing"}]}"#,
        r#"{"state": "running"}"#,
        r#"{"state": "initializing"}"#,
    ),
    (
        "Anything-but (begins with)",
        r#"{"Region": [{"anything-but": {"prefix": "us-"}}]}"#,
        r#"{"Region": "eu-west-1"}"#,
        r#"{"Region": "us-east-1"}"#,
    ),
    (
        "Anything-but (ends with)",
        r#"{"FileName": [{"anything-but": {"suffix": ".png"}}]}"#,
        r#"{"FileName": "a.jpg"}"#,
        r#"{"FileName": "a.png"}"#,
    ),
    (
        "Anything-but (ignore case)",
        r#"{"state": [{"anything-but": {"equals-ignore-case": "initializing"}}]}"#,
        r#"{"state": "running"}"#,
        r#"{"state": "INITIALIZING"}"#,
    ),
    (
        "Anything-but using a wildcard",
        r#"{"FilePath": [{"anything-but": {"wildcard": "*/lib/*"}}]}"#,
        r#"{"FilePath": "/usr/bin/a"}"#,
        r#"{"FilePath": "/usr/lib/a"}"#,
    ),
    (
        "Begins with",
        r#"{"Region": [{"prefix": "us-"}]}"#,
        r#"{"Region": "us-east-1"}"#,
        r#"{"Region": "eu-us-1"}"#,
    ),
    (
        "Begins with (ignore case)",
        r#"{"service": [{"prefix": {"equals-ignore-case": "eventb"}}]}"#,
        r#"{"service": "EventBridge"}"#,
        r#"{"service": "Events"}"#,
    ),
    (
        "Empty",
        r#"{"LastName": [""]}"#,
        r#"{"LastName": ""}"#,
        r#"{"LastName": null}"#,
    ),
    (
        "Equals",
        r#"{"Name": ["Alice"]}"#,
        r#"{"Name": "Alice"}"#,
        r#"{"Name": "alice"}"#,
    ),
    (
        "Equals (ignore case)",
        r#"{"Name": [{"equals-ignore-case": "alice"}]}"#,
        r#"{"Name": "ALICE"}"#,
        r#"{"Name": "Alicia"}"#,
    ),
    (
        "Ends with",
        r#"{"FileName": [{"suffix": ".png"}]}"#,
        r#"{"FileName": "a.png"}"#,
        r#"{"FileName": "a.PNG"}"#,
    ),
    (
        "Ends with (ignore case)",
        r#"{"service": [{"suffix": {"equals-ignore-case": "tBridge"}}]}"#,
        r#"{"service": "EVENTBRIDGE"}"#,
        r#"{"service": "bridges"}"#,
    ),
    (
        "Exists",
        r#"{"ProductName": [{"exists": true}]}"#,
        r#"{"ProductName": "a"}"#,
        r#"{"Product": "a"}"#,
    ),
    (
        "Does not exist",
        r#"{"ProductName": [{"exists": false}]}"#,
        r#"{"Product": "a"}"#,
        r#"{"ProductName": "a"}"#,
    ),
    (
        "Not",
        r#"{"Weather": [{"anything-but": ["Raining"]}]}"#,
        r#"{"Weather": "Sunny"}"#,
        r#"{"Weather": "Raining"}"#,
    ),
    (
        "Null",
        r#"{"UserID": [null]}"#,
        r#"{"UserID": null}"#,
        r#"{"UserID": "null"}"#,
    ),
    (
        "Numeric (equals)",
        r#"{"Price": [{"numeric": ["=", 100]}]}"#,
        r#"{"Price": 1e2}"#,
        r#"{"Price": "100"}"#,
    ),
    (
        "Numeric (range)",
        r#"{"Price": [{"numeric": [">", 10, "<=", 20]}]}"#,
        r#"{"Price": 20}"#,
        r#"{"Price": 10}"#,
    ),
    (
        "Or",
        r#"{"PaymentType": ["Credit", "Debit"]}"#,
        r#"{"PaymentType": "Debit"}"#,
        r#"{"PaymentType": "Cash"}"#,
    ),
    (
        "Or (multiple fields), the first",
        r#"{"$or": [{"Location": ["New York"]}, {"Day": ["Monday"]}]}"#,
        r#"{"Location": "New York", "Day": "Tuesday"}"#,
        r#"{"Location": "Boston", "Day": "Tuesday"}"#,
    ),
    (
        "Or (multiple fields), the second",
        r#"{"$or": [{"Location": ["New York"]}, {"Day": ["Monday"]}]}"#,
        r#"{"Day": "Monday"}"#,
        r#"{}"#,
    ),
    (
        "Wildcard",
        r#"{"FileName": [{"wildcard": "dir/*.png"}]}"#,
        r#"{"FileName": "dir/a/b.png"}"#,
        r#"{"FileName": "a/dir/b.png"}"#,
    ),
    (
        "IP address",
        r#"{"sourceIPAddress": [{"cidr": "10.0.0.0/24"}]}"#,
        r#"{"sourceIPAddress": "10.0.0.255"}"#,
        r#"{"sourceIPAddress": "10.0.1.0"}"#,
    ),
];

#[test]
fn each_row_of_eventbridges_table_of_operators_holds() {
    for (row, pattern, data, other) in OPERATORS {
        assert!(matches_data(pattern, data), "{row}: {data}");
        assert!(!matches_data(pattern, other), "{row}: {other}");
    }
}

#[test]
fn ruler_matches_no_name_made_of_two_employees() {
    let data = r#"{"employees": [{"firstName": "John", "lastName": "Doe", "ids": ["1234", "1000"]}, {"firstName": "Anna", "lastName": "Smith"}, {"firstName": "Peter", "lastName": "Jones"}]}"#;
    assert!(!matches_data(
        r#"{"employees": {"firstName": ["Anna"], "lastName": ["Jones"]}}"#,
        data
    ));
    assert!(matches_data(
        r#"{"employees": {"firstName": ["Anna"], "lastName": ["Smith"]}}"#,
        data
    ));
    assert!(matches_data(
        r#"{"employees": {"firstName": ["John"], "ids": ["1000"]}}"#,
        data
    ));
}

#[test]
fn eventmesh_examples_match_as_documented() {
    let mut event = EventView {
        data: DataView::Json(
            br#"{"name": "test", "num": 5, "num1": 50.7, "nested": {"list": ["a", "b"]}}"#,
        ),
        ..EventView::default()
    };
    for (name, value) in [
        ("id", "5b26115b-73ce-a74a-4e0c-1f7ee8d40e0f"),
        ("source", "/mycontext"),
        ("type", "com.example.someevent"),
        ("subject", "larger-context"),
        ("specversion", "1.0"),
    ] {
        event.attributes.push(name, value);
    }
    for (pattern, expected) in [
        (r#"{"source": [{"prefix": "/my"}]}"#, true),
        (r#"{"source": [{"prefix": "event/mesh"}]}"#, false),
        (r#"{"source": [{"suffix": "context"}]}"#, true),
        (
            r#"{"type": [{"anything-but": "com.example.someevent"}]}"#,
            false,
        ),
        (r#"{"source": [{"anything-but": ["/other"]}]}"#, true),
        (
            r#"{"data": {"num": [{"numeric": [">", 1, "<=", 6]}]}}"#,
            true,
        ),
        (
            r#"{"data": {"num1": [{"numeric": [">", 40, "<", 100]}]}}"#,
            true,
        ),
        (r#"{"data": {"name": [{"numeric": [">", 1]}]}}"#, false),
        (
            r#"{"source": [{"exists": true}], "data": {"missing": [{"exists": false}]}}"#,
            true,
        ),
        (
            r#"{"source": ["/mycontext"], "data": {"name": ["test", "other"]}}"#,
            true,
        ),
        (r#"{"data": {"nested": {"list": ["b"]}}}"#, true),
        (r#"{"data": {"missing": ["null"]}}"#, false),
        (r#"{"data": {"num": ["5"]}}"#, false),
    ] {
        assert_eq!(matches(pattern, &event), expected, "{pattern}");
    }
}
