use super::{
    super::{Expression, MAX_DEPTH, MAX_EXPRESSION_BYTES, MAX_LIKE_BYTES},
    check, event,
};

#[test]
fn literals_are_what_they_say() {
    check(&[
        ("TRUE", "true"),
        ("false", "false"),
        ("0", "0"),
        ("007", "7"),
        ("+1", "1"),
        ("2147483647", "2147483647"),
        ("'abc'", "'abc'"),
        ("\"AbC\"", "'AbC'"),
        ("''", "''"),
        (r#"'a"b\'c'"#, r#"'a"b'c'"#),
        (r#""a'b\"c""#, r#"'a'b"c'"#),
        (r"'a\nb'", r"'a\nb'"),
        (r"'a\\'", r"'a\\'"),
        (r#"'a\"b'"#, r#"'a\"b'"#),
        ("'AND OR ( '", "'AND OR ( '"),
        ("'ß\n'", "'ß\n'"),
        (" \t\r\n1 \n", "1"),
        ("((1))", "1"),
    ]);
}

#[test]
fn words_need_no_blank_beside_symbols() {
    check(&[
        ("'a'LIKE'a'", "true"),
        ("word='abc'AND(2)=2", "true"),
        ("NOT(1)=2", "false"),
        ("(1)IN(1)", "true"),
    ]);
}

#[test]
fn a_bad_text_is_refused_with_its_place_and_the_nearest_word() {
    for (text, expected) in [
        (
            "",
            "line 1, column 1: expected an attribute, a value, a function or `(`, found the end",
        ),
        (
            "  ",
            "line 1, column 3: expected an attribute, a value, a function or `(`, found the end",
        ),
        (
            "type LIEK 'a%'",
            "line 1, column 6: expected an operator (AND, OR, XOR, =, !=, <, LIKE, IN, +, …) or the end, found `LIEK`; did you mean `LIKE`?",
        ),
        (
            "a = 1\n  adn b = 2",
            "line 2, column 3: expected an operator (AND, OR, XOR, =, !=, <, LIKE, IN, +, …) or the end, found `adn`; did you mean `AND`?",
        ),
        (
            "a == 1",
            "line 1, column 3: `==` has no meaning here; did you mean `=`?",
        ),
        (
            "a && b",
            "line 1, column 3: `&&` has no meaning here; did you mean `AND`?",
        ),
        (
            "a || b",
            "line 1, column 3: `||` has no meaning here; did you mean `OR`?",
        ),
        (
            "!a",
            "line 1, column 1: `!` has no meaning here; did you mean `NOT`?",
        ),
        ("a ; b", "line 1, column 3: `;` has no meaning here"),
        ("größe = 1", "line 1, column 3: `ö` has no meaning here"),
        ("'ß' ß", "line 1, column 5: `ß` has no meaning here"),
        (
            "'abc",
            "line 1, column 1: the text that begins here has no closing '",
        ),
        (
            r"'abc\'",
            "line 1, column 1: the text that begins here has no closing '",
        ),
        (
            "'it''s'",
            r"line 1, column 5: two texts stand side by side; a quote inside a text is written \'",
        ),
        (
            "(1",
            "line 1, column 3: expected an operator, `,` or `)`, found the end",
        ),
        (
            "(1, 2)",
            "line 1, column 3: expected `)`: only IN and functions take several values, found `,`",
        ),
        (
            "1)",
            "line 1, column 2: expected an operator (AND, OR, XOR, =, !=, <, LIKE, IN, +, …) or the end, found `)`",
        ),
        (
            "id LIKE id",
            "line 1, column 9: expected a text in quotes after LIKE, found `id`",
        ),
        (
            "id LIKE 1",
            "line 1, column 9: expected a text in quotes after LIKE, found `1`",
        ),
        (
            "id IN 'a'",
            "line 1, column 7: expected `(` after IN, as in `IN ('a', 'b')`, found the text 'a'",
        ),
        (
            "id IN ()",
            "line 1, column 8: expected a value: the set after IN is never empty, found `)`",
        ),
        (
            "id NOT = 1",
            "line 1, column 8: expected LIKE or IN after NOT, found `=`",
        ),
        (
            "id NOT LKE 'a'",
            "line 1, column 8: expected LIKE or IN after NOT, found `LKE`; did you mean `LIKE`?",
        ),
        (
            "EXISTS (id)",
            "line 1, column 8: expected the name of an attribute after EXISTS, found `(`",
        ),
        (
            "EXISTS",
            "line 1, column 7: expected the name of an attribute after EXISTS, found the end",
        ),
        (
            "EXISTS and",
            "line 1, column 8: `and` is no attribute name; use 1 to 64 of a-z and 0-9",
        ),
        (
            "my_ext = 1",
            "line 1, column 1: `my_ext` is no attribute name; use 1 to 64 of a-z and 0-9",
        ),
        (
            "F1(2)",
            "line 1, column 1: expected a function's name, of letters and `_`, found `F1`",
        ),
        (
            "_f(2)",
            "line 1, column 1: expected a function's name, of letters and `_`, found `_f`",
        ),
        (
            "1 +",
            "line 1, column 4: expected an attribute, a value, a function or `(`, found the end",
        ),
        (
            "AND 1",
            "line 1, column 1: expected an attribute, a value, a function or `(`, found `AND`",
        ),
        (
            "+ 1",
            "line 1, column 3: expected digits right behind the sign `+`, found `1`",
        ),
        (
            "2147483648",
            "line 1, column 1: `2147483648` is no integer between -2147483648 and 2147483647",
        ),
        (
            "1 = -2147483649",
            "line 1, column 5: `-2147483649` is no integer between -2147483648 and 2147483647",
        ),
        (
            "- 2147483648",
            "line 1, column 3: `2147483648` is no integer between -2147483648 and 2147483647",
        ),
        (
            "CONCAT('a',)",
            "line 1, column 12: expected an attribute, a value, a function or `(`, found `)`",
        ),
        ("1.5 > 1", "line 1, column 2: `.` has no meaning here"),
    ] {
        let error = Expression::parse(text).expect_err(text);
        assert_eq!(error.to_string(), expected, "{text}");
    }
}

#[test]
fn errors_show_no_more_of_a_text_than_a_line_bears() {
    let error = Expression::parse(&format!("1 {}", "a".repeat(60_000))).expect_err("no operator");
    assert!(error.to_string().len() < 250, "{error}");
}

#[test]
fn an_evaluation_error_names_the_part_that_failed() {
    let text = "TRUE AND LEFT('abc', -1) = 'a'";
    let expression = Expression::parse(text).expect("an expression");
    let event = event();
    let error = expression.evaluate(&event).error.expect("an error");
    assert_eq!(error.part(text), "LEFT('abc', -1)");
    assert_eq!(error.to_string(), "byte 9: the length is negative");
}

#[test]
fn depth_is_bounded_whatever_it_is_made_of() {
    let nested = |open: &str, inner: &str, close: &str, times: usize| {
        format!("{}{inner}{}", open.repeat(times), close.repeat(times))
    };
    for (open, inner, close) in [
        ("(", "1", ")"),
        ("NOT ", "1", ""),
        ("- ", "1", ""),
        ("ABS(", "1", ")"),
        ("1 = (", "1", ")"),
        ("1 IN (", "1", ")"),
        ("", "1", " LIKE '1'"),
        ("", "1", " NOT IN (1)"),
    ] {
        let fits = nested(open, inner, close, MAX_DEPTH - 1);
        Expression::parse(&fits).unwrap_or_else(|error| panic!("{fits}: {error}"));
        for times in [MAX_DEPTH + 1, 5_000] {
            let error = Expression::parse(&nested(open, inner, close, times)).expect_err(open);
            let expected = "an expression is nested at most 64 deep";
            assert!(error.to_string().ends_with(expected), "{open}: {error}");
        }
    }
}

#[test]
fn a_long_chain_is_not_deep() {
    let event = event();
    let any = vec!["id = 'a'"; 5_000].join(" OR ");
    assert!(any.len() < MAX_EXPRESSION_BYTES);
    let any = Expression::parse(&format!("{any} OR TRUE")).expect("an expression");
    assert!(any.passes(&event));

    let sum = vec!["1"; 10_000].join("+");
    let sum = Expression::parse(&sum).expect("an expression");
    assert_eq!(sum.evaluate(&event).value.to_string(), "10000");
}

#[test]
fn size_is_bounded() {
    let text = format!("'{}'", "a".repeat(MAX_EXPRESSION_BYTES - 2));
    Expression::parse(&text).expect("the longest expression");
    let error = Expression::parse(&format!("{text} ")).expect_err("one byte more");
    assert_eq!(
        error.to_string(),
        "line 1, column 1: an expression has at most 65536 bytes"
    );

    let like = |bytes| Expression::parse(&format!("id LIKE '{}'", "a".repeat(bytes)));
    like(MAX_LIKE_BYTES).expect("the longest pattern");
    let error = like(MAX_LIKE_BYTES + 1).expect_err("one byte more");
    assert_eq!(
        error.to_string(),
        "line 1, column 9: the text after LIKE has at most 1024 bytes"
    );
}

#[test]
fn an_expression_shows_itself_as_it_was_written() {
    let text = " type  like 'a%' ";
    let expression: Expression = text.parse().expect("an expression");
    assert_eq!(expression.as_str(), text);
    assert_eq!(expression.to_string(), text);
}
