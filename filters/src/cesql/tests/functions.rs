use super::{
    super::{Expression, MAX_TEXT_BYTES},
    check, event,
};

#[test]
fn texts_are_measured_and_changed_by_character() {
    check(&[
        ("LENGTH('abc')", "3"),
        ("LENGTH('')", "0"),
        ("LENGTH(subject)", "5"),
        ("LENGTH(TRUE)", "4"),
        ("LENGTH(-10)", "3"),
        ("LENGTH('👩‍🚀')", "3"),
        ("LOWER('AbC')", "'abc'"),
        ("LOWER('ÄÖ')", "'äö'"),
        ("UPPER('AbC')", "'ABC'"),
        ("UPPER(subject)", "'GRÖSSE'"),
        ("UPPER(TRUE)", "'TRUE'"),
        ("TRIM('   a b c   ')", "'a b c'"),
        ("TRIM('a b c')", "'a b c'"),
        ("TRIM('\u{3000}\u{a0}\t\n\u{85}a\u{2009}')", "'a'"),
        ("TRIM('\u{1}a\u{200b}')", "'\u{1}a\u{200b}'"),
        ("TRIM('')", "''"),
        ("trim(Lower('  A '))", "'a'"),
        ("LENGTH(missing)", "0 missingAttribute"),
        ("LOWER(missing)", "'' missingAttribute"),
    ]);
}

#[test]
fn texts_are_put_together() {
    check(&[
        ("CONCAT()", "''"),
        ("CONCAT('a')", "'a'"),
        ("CONCAT('a', 1, TRUE)", "'a1true'"),
        ("CONCAT_WS(',')", "''"),
        ("CONCAT_WS(',', 'a')", "'a'"),
        ("CONCAT_WS(',', 'a', 'b', 'c')", "'a,b,c'"),
        ("CONCAT_WS(',', '', '')", "','"),
        ("CONCAT_WS('', 'a', 'b')", "'ab'"),
        ("CONCAT_WS(0, 1, 2)", "'102'"),
        ("CONCAT_WS()", "false missingFunction"),
        ("CONCAT('a', missing)", "'' missingAttribute"),
        ("CONCAT_WS(missing, 'a')", "'' missingAttribute"),
    ]);
}

#[test]
fn parts_of_texts_are_cut_by_character() {
    check(&[
        ("LEFT('abc', 2)", "'ab'"),
        ("LEFT('abc', 3)", "'abc'"),
        ("LEFT('abc', 10)", "'abc'"),
        ("LEFT('abc', 0)", "''"),
        ("LEFT('', 0)", "''"),
        ("LEFT(subject, 3)", "'Grö'"),
        ("LEFT(12345, '2')", "'12'"),
        ("LEFT('abc', -2)", "'abc' functionEvaluation"),
        ("LEFT('abc', 'x')", "'' cast"),
        ("LEFT(missing, 2)", "'' missingAttribute"),
        ("RIGHT('abc', 2)", "'bc'"),
        ("RIGHT('abc', 3)", "'abc'"),
        ("RIGHT('abc', 10)", "'abc'"),
        ("RIGHT('abc', 0)", "''"),
        ("RIGHT('', 0)", "''"),
        ("RIGHT(subject, 3)", "'öße'"),
        ("RIGHT('abc', -2)", "'abc' functionEvaluation"),
        ("SUBSTRING('abcdef', 1)", "'abcdef'"),
        ("SUBSTRING('abcdef', 6)", "'f'"),
        ("SUBSTRING('Sakila', -3)", "'ila'"),
        ("SUBSTRING('abc', -3)", "'abc'"),
        ("SUBSTRING('abc', 0)", "''"),
        ("SUBSTRING('', 0)", "''"),
        ("SUBSTRING('abc', 4)", "'' functionEvaluation"),
        ("SUBSTRING('abc', -4)", "'' functionEvaluation"),
        ("SUBSTRING('', 1)", "'' functionEvaluation"),
        ("SUBSTRING('abc', -2147483648)", "'' functionEvaluation"),
        ("SUBSTRING('abcdef', 2, 4)", "'bcde'"),
        ("SUBSTRING('abcdef', 1, 6)", "'abcdef'"),
        ("SUBSTRING('abcdef', 5, 100)", "'ef'"),
        ("SUBSTRING('abcdef', 5, 0)", "''"),
        ("SUBSTRING('Sakila', -5, 3)", "'aki'"),
        ("SUBSTRING('abc', 0, 1)", "''"),
        ("SUBSTRING(subject, 3, 2)", "'öß'"),
        ("SUBSTRING(CONCAT('ab', 'cd'), 2, 2)", "'bc'"),
        ("SUBSTRING('abc', 4, 1)", "'' functionEvaluation"),
        ("SUBSTRING('abc', -4, 1)", "'' functionEvaluation"),
        ("SUBSTRING('abc', 1, -1)", "'' functionEvaluation"),
        ("SUBSTRING('abc', 0, -1)", "'' functionEvaluation"),
    ]);
}

#[test]
fn numbers_lose_their_sign() {
    check(&[
        ("ABS(10)", "10"),
        ("ABS(-10)", "10"),
        ("ABS('-10')", "10"),
        ("ABS(TRUE)", "1"),
        ("ABS(0)", "0"),
        ("ABS(-2147483648)", "2147483647 math"),
        ("ABS(least)", "2147483647 math"),
        ("ABS(word)", "0 cast"),
    ]);
}

#[test]
fn a_failing_function_gives_its_own_value_only_as_the_whole_expression() {
    check(&[
        ("LEFT('abc', -1)", "'abc' functionEvaluation"),
        ("(LEFT('abc', -1))", "'abc' functionEvaluation"),
        ("CONCAT(LEFT('abc', -1))", "'' functionEvaluation"),
        ("LEFT('abc', -1) = 'abc'", "false functionEvaluation"),
        ("LENGTH(RIGHT('abc', -1))", "0 functionEvaluation"),
        ("ABS(-2147483648) + 0", "0 math"),
        ("NOT UNKNOWN()", "false missingFunction"),
        ("-UNKNOWN()", "0 missingFunction"),
        ("CONCAT(UNKNOWN())", "'' missingFunction"),
    ]);
}

#[test]
fn a_function_that_does_not_exist_fails_before_its_arguments() {
    check(&[
        ("UNKNOWN()", "false missingFunction"),
        ("UNKNOWN(missing)", "false missingFunction"),
        ("LENGTH()", "false missingFunction"),
        ("LENGTH('a', 'b')", "false missingFunction"),
        ("SUBSTRING('a')", "false missingFunction"),
        ("SUBSTRING('a', 1, 1, 1)", "false missingFunction"),
        ("UNKNOWN() OR TRUE", "false missingFunction"),
        ("TRUE OR UNKNOWN()", "true"),
    ]);
}

#[test]
fn functions_that_do_not_exist_are_named_with_the_nearest_one() {
    let expression = Expression::parse("LENGHT(id) > 2 AND (LEFT(id) = 'a' OR NOT foo_bar())");
    let unknown = expression.expect("an expression").unknown_functions();
    let shown: Vec<String> = unknown.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "byte 0: there is no function LENGHT of 1 arguments; did you mean `LENGTH`?",
            "byte 20: there is no function LEFT of 1 arguments",
            "byte 42: there is no function foo_bar of 0 arguments",
        ]
    );
    let known = Expression::parse("LENGTH(id) > 2").expect("an expression");
    assert!(known.unknown_functions().is_empty());
}

#[test]
fn a_text_that_grows_too_long_is_a_generic_error() {
    let mut event = event();
    event.subject = Some("ß".repeat(30_000));
    let concatenated = |count: usize| {
        let list = vec!["subject"; count].join(", ");
        Expression::parse(&format!("CONCAT({list})")).expect("an expression")
    };
    let most = MAX_TEXT_BYTES / 60_000;
    let fits = concatenated(most);
    assert_eq!(fits.evaluate(&event).value.to_string().len(), most * 60_000);

    let too_long = concatenated(most + 1);
    let evaluation = too_long.evaluate(&event);
    assert_eq!(evaluation.value.to_string(), "");
    let class = evaluation.error.map(|error| error.class().as_str());
    assert_eq!(class, Some("generic"));
}
