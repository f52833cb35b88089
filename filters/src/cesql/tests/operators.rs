use super::{super::Expression, check, event};

#[test]
fn logic_takes_the_right_side_only_where_the_left_does_not_decide() {
    check(&[
        ("TRUE AND TRUE", "true"),
        ("TRUE AND FALSE", "false"),
        ("FALSE AND TRUE", "false"),
        ("FALSE AND FALSE", "false"),
        ("TRUE OR TRUE", "true"),
        ("TRUE OR FALSE", "true"),
        ("FALSE OR TRUE", "true"),
        ("FALSE OR FALSE", "false"),
        ("TRUE XOR TRUE", "false"),
        ("TRUE XOR FALSE", "true"),
        ("FALSE XOR TRUE", "true"),
        ("FALSE XOR FALSE", "false"),
        ("FALSE AND missing", "false"),
        ("FALSE AND 1 / 0 = 1", "false"),
        ("TRUE AND missing", "false missingAttribute"),
        ("TRUE AND 1 / 0 = 1", "false math"),
        ("TRUE OR missing", "true"),
        ("TRUE OR 1 / 0 = 1", "true"),
        ("FALSE OR missing", "false missingAttribute"),
        ("TRUE XOR missing", "false missingAttribute"),
        ("FALSE XOR missing", "false missingAttribute"),
        ("missing AND FALSE", "false missingAttribute"),
        ("missing OR TRUE", "false missingAttribute"),
        (
            "missing = 'a' OR type = 'com.example.reading'",
            "false missingAttribute",
        ),
        ("type = 'com.example.reading' OR missing = 'a'", "true"),
        ("TRUE AND 'TRUE' AND 1 AND yes", "true"),
        ("TRUE AND word", "false cast"),
        ("word OR TRUE", "false cast"),
        ("TRUE OR word", "true"),
    ]);
}

#[test]
fn logic_has_one_precedence_from_left_to_right() {
    check(&[
        ("TRUE OR TRUE AND FALSE", "false"),
        ("TRUE OR (TRUE AND FALSE)", "true"),
        ("TRUE XOR TRUE OR TRUE", "true"),
        ("TRUE XOR (TRUE OR TRUE)", "false"),
        ("TRUE OR FALSE XOR TRUE", "false"),
        ("FALSE AND TRUE OR TRUE", "true"),
        ("FALSE AND (TRUE OR TRUE)", "false"),
        // The right side of the first AND is skipped, that of OR is not.
        ("FALSE AND missing OR TRUE", "true"),
        ("FALSE AND missing OR missing", "false missingAttribute"),
    ]);
}

#[test]
fn unary_operators_bind_tighter_than_all_that_stands_between_operands() {
    check(&[
        ("NOT TRUE", "false"),
        ("NOT FALSE", "true"),
        ("NOT 'FALSE'", "true"),
        ("NOT 10", "false"),
        ("NOT 0", "true"),
        ("NOT NOT TRUE", "true"),
        ("NOT word", "false cast"),
        ("NOT missing", "false missingAttribute"),
        // (NOT 1) = 1 is false = true, where NOT (1 = 2) would be true.
        ("NOT 1 = 2", "false"),
        ("NOT (1 = 2)", "true"),
        ("NOT TRUE OR TRUE", "true"),
        ("NOT EXISTS missing", "true"),
        ("NOT TRUE LIKE 'fal%'", "true"),
        ("NOT 1 IN (FALSE)", "true"),
        ("NOT -1", "false"),
        ("-NOT TRUE", "0"),
        ("-10", "-10"),
        ("--10", "10"),
        ("- 10", "-10"),
        ("---10", "-10"),
        ("-'10'", "-10"),
        ("-TRUE", "-1"),
        ("-sequence", "-10"),
        ("-word", "0 cast"),
        ("-missing", "0 missingAttribute"),
        ("-2147483648", "-2147483648"),
        ("--2147483648", "0 math"),
        ("-least", "0 math"),
    ]);
}

#[test]
fn arithmetic_stays_within_32_bits() {
    check(&[
        ("4 * 2 + 4 / 2", "10"),
        ("4 * (2 + 4) / 2", "12"),
        ("2 + 3 * 4 - 5", "9"),
        ("10 - 3 - 2", "5"),
        ("10 - (3 - 2)", "9"),
        ("100 / 5 / 2", "10"),
        ("7 % 4 * 2", "6"),
        ("4-1", "3"),
        ("4 -1", "3"),
        ("4+1", "5"),
        ("4 - -1", "5"),
        ("4--1", "5"),
        ("-4 + -1", "-5"),
        ("+4 + +1", "5"),
        ("5 / 3", "1"),
        ("-5 / 3", "-1"),
        ("5 / -3", "-1"),
        ("5 % 3", "2"),
        ("-5 % 3", "-2"),
        ("5 % -3", "2"),
        ("5 / 0", "0 math"),
        ("5 % 0", "0 math"),
        ("2147483647 + 1", "0 math"),
        ("-2147483648 - 1", "0 math"),
        ("65536 * 32768", "0 math"),
        ("46341 * -46341", "0 math"),
        ("least / -1", "0 math"),
        ("least % -1", "0"),
        ("2147483647 + 1 - 1", "0 math"),
        ("'5' + 3", "8"),
        ("5 + '3'", "8"),
        ("5 + TRUE", "6"),
        ("sequence * plus", "100"),
        ("'5avc4' + 10", "0 cast"),
        ("10 + ''", "0 cast"),
        ("missing / 0", "0 missingAttribute"),
        ("missing % 0", "0 missingAttribute"),
        ("1 / missing", "0 missingAttribute"),
        ("missing * 5", "0 missingAttribute"),
        // Operands are evaluated before they are cast.
        ("word + missing", "0 missingAttribute"),
    ]);
}

#[test]
fn equality_casts_the_left_side_to_the_type_of_the_right() {
    check(&[
        ("TRUE = TRUE", "true"),
        ("TRUE = FALSE", "false"),
        ("2 = 2", "true"),
        ("1 = 2", "false"),
        ("'abc' = 'abc'", "true"),
        ("'abc' = 'ABC'", "false"),
        ("'abc' = \"abc\"", "true"),
        ("TRUE != FALSE", "true"),
        ("TRUE <> TRUE", "false"),
        ("1 != 2", "true"),
        ("2 <> 2", "false"),
        ("'abc' != '123'", "true"),
        ("'abc' <> 'abc'", "false"),
        ("sequence = 10", "true"),
        ("plus = 10", "true"),
        ("int = 10", "true"),
        ("sequence = '10'", "false"),
        ("sequence = '010'", "true"),
        ("10 = sequence", "false"),
        ("10 = int", "true"),
        ("int = '10'", "true"),
        ("int = '010'", "false"),
        ("flag = 'true'", "true"),
        ("flag = 1", "true"),
        ("true = 'TRUE'", "false"),
        ("'TRUE' = true", "true"),
        ("yes = TRUE", "true"),
        ("2 = TRUE", "true"),
        ("TRUE = 2", "false"),
        ("TRUE = \"true\" AND FALSE = \"false\"", "true"),
        ("TRUE = \"TRUE\" OR FALSE = \"FALSE\"", "false"),
        ("word = 1", "false cast"),
        ("word != 1", "false cast"),
        ("word = TRUE", "false cast"),
        ("missing = 2", "false missingAttribute"),
        ("missing != 2", "false missingAttribute"),
        ("missing <> 2", "false missingAttribute"),
        ("2 = missing", "false missingAttribute"),
        ("1 = 1 = TRUE", "true"),
        ("1 = 2 = FALSE", "true"),
    ]);
}

#[test]
fn order_is_one_of_integers() {
    check(&[
        ("1 < 2", "true"),
        ("2 < 2", "false"),
        ("2 <= 2", "true"),
        ("3 <= 2", "false"),
        ("2 > 1", "true"),
        ("2 > 2", "false"),
        ("2 >= 2", "true"),
        ("2 >= 3", "false"),
        ("-1 < 0", "true"),
        ("'9' < '10'", "true"),
        ("sequence > 9", "true"),
        ("9 < plus", "true"),
        ("TRUE > FALSE", "true"),
        ("1 < 2 = TRUE", "true"),
        ("3 > 2 > 0", "true"),
        ("2 * 3 > 2 + 3", "true"),
        ("word < 1", "false cast"),
        ("1 < word", "false cast"),
        ("missing <= 2", "false missingAttribute"),
        ("2 >= missing", "false missingAttribute"),
        ("int(sequence) < int('1000') and int(plus) < 1000", "true"),
    ]);
}

#[test]
fn a_set_is_searched_from_left_to_right_with_the_type_of_the_left_side() {
    check(&[
        ("123 IN (1, 2, 123)", "true"),
        ("123 IN (1, 2)", "false"),
        ("'abc' IN ('abc')", "true"),
        ("'abc' IN ('ABC', 'ab')", "false"),
        ("'abc' NOT IN ('ABC', 'ab')", "true"),
        ("123 NOT IN (1, 123)", "false"),
        ("'true' IN (TRUE, 'false')", "true"),
        ("'TRUE' IN (TRUE)", "false"),
        ("TRUE IN ('TRUE', 'false')", "true"),
        ("1 IN ('1', '2')", "true"),
        ("'1' IN (1, 2)", "true"),
        ("'01' IN (1)", "false"),
        ("sequence IN (10)", "false"),
        ("int IN ('010')", "true"),
        ("word IN (id, 'a', word)", "true"),
        ("5 IN (2 + 3)", "true"),
        ("2 + 3 IN (5)", "2"),
        ("1 IN ('abc', 1)", "false cast"),
        ("1 IN (1, 'abc')", "true"),
        ("1 NOT IN ('abc')", "false cast"),
        ("missing IN ('a')", "false missingAttribute"),
        ("missing NOT IN ('a')", "false missingAttribute"),
        ("word IN (missing, 'abc')", "false missingAttribute"),
        ("word IN ('abc', missing)", "true"),
        ("'a' IN ('a') IN (TRUE)", "true"),
    ]);
}

#[test]
fn exists_reads_no_value() {
    check(&[
        ("EXISTS id", "true"),
        ("EXISTS source", "true"),
        ("EXISTS type", "true"),
        ("EXISTS specversion", "true"),
        ("EXISTS subject", "true"),
        ("EXISTS time", "true"),
        ("EXISTS datacontenttype", "false"),
        ("EXISTS dataschema", "false"),
        ("EXISTS data", "false"),
        ("EXISTS int", "true"),
        ("EXISTS missing", "false"),
        ("EXISTS 1", "false"),
        ("exists SUBJECT", "true"),
        ("EXISTS missing AND missing = 'a'", "false"),
        ("EXISTS missing OR TRUE", "true"),
        ("EXISTS id = TRUE", "true"),
        ("EXISTS id LIKE 'tr%'", "true"),
    ]);
}

#[test]
fn attributes_are_read_by_name_in_any_case() {
    check(&[
        ("id", "'id-1'"),
        ("ID", "'id-1'"),
        ("source", "'/plant/pump-7'"),
        ("Type", "'com.example.reading'"),
        ("specversion", "'1.0'"),
        ("subject", "'Größe'"),
        ("time", "'2026-11-21T10:00:00.500+01:00'"),
        ("SEQUENCE", "'010'"),
        ("int", "10"),
        ("flag", "true"),
        ("bytes", "'AAEC'"),
        ("missing", "false missingAttribute"),
        ("(missing)", "false missingAttribute"),
        ("datacontenttype", "false missingAttribute"),
        ("data", "false missingAttribute"),
    ]);
}

#[test]
fn only_true_passes_a_filter() {
    let event = event();
    for (text, passes) in [
        ("TRUE", true),
        ("flag", true),
        ("1", false),
        ("'true'", false),
        ("yes", false),
        ("FALSE", false),
        ("missing", false),
    ] {
        let expression = Expression::parse(text).expect("an expression");
        assert_eq!(expression.passes(&event), passes, "{text}");
    }
}
