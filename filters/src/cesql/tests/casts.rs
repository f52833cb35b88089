use super::check;

#[test]
fn integers_are_read_with_sign_and_zeros_and_nothing_else() {
    check(&[
        ("INT('1')", "1"),
        ("INT('-1')", "-1"),
        ("INT('+1')", "1"),
        ("INT('0010')", "10"),
        ("INT('-0')", "0"),
        ("INT('2147483647')", "2147483647"),
        ("INT('-2147483648')", "-2147483648"),
        ("INT(1)", "1"),
        ("INT(TRUE)", "1"),
        ("INT(FALSE)", "0"),
        ("INT('')", "0 cast"),
        ("INT('+')", "0 cast"),
        ("INT('--1')", "0 cast"),
        ("INT(' 1')", "0 cast"),
        ("INT('1.0')", "0 cast"),
        ("INT('1e3')", "0 cast"),
        ("INT('٣')", "0 cast"),
        ("INT('2147483648')", "0 cast"),
        ("INT('-2147483649')", "0 cast"),
        ("INT('ABC')", "0 cast"),
        ("INT('true')", "0 cast"),
        ("INT(missing)", "0 missingAttribute"),
    ]);
}

#[test]
fn booleans_are_read_in_any_case() {
    check(&[
        ("BOOL('TRUE')", "true"),
        ("BOOL(\"false\")", "false"),
        ("BOOL('tRuE')", "true"),
        ("BOOL(TRUE)", "true"),
        ("BOOL(FALSE)", "false"),
        ("BOOL(1)", "true"),
        ("BOOL(-50)", "true"),
        ("BOOL(0)", "false"),
        ("BOOL('1')", "false cast"),
        ("BOOL('')", "false cast"),
        ("BOOL(' true')", "false cast"),
        ("BOOL('ABC')", "false cast"),
    ]);
}

#[test]
fn every_value_has_a_text() {
    check(&[
        ("STRING(TRUE)", "'true'"),
        ("STRING(FALSE)", "'false'"),
        ("STRING(1)", "'1'"),
        ("STRING(-1)", "'-1'"),
        ("STRING(0010)", "'10'"),
        ("STRING(+10)", "'10'"),
        ("STRING(-2147483648)", "'-2147483648'"),
        ("STRING('abc')", "'abc'"),
        ("STRING(int)", "'10'"),
        ("STRING(sequence + 1)", "'11'"),
        ("STRING(missing)", "'' missingAttribute"),
    ]);
}

#[test]
fn whether_a_cast_succeeds_can_be_asked() {
    check(&[
        ("IS_INT('10')", "true"),
        ("IS_INT('+010')", "true"),
        ("IS_INT('1.0')", "false"),
        ("IS_INT('2147483648')", "false"),
        ("IS_INT(10)", "true"),
        ("IS_INT(TRUE)", "true"),
        ("IS_INT(word)", "false"),
        ("IS_INT(missing)", "false missingAttribute"),
        ("IS_BOOL('True')", "true"),
        ("IS_BOOL('yes')", "false"),
        ("IS_BOOL(TRUE)", "true"),
        ("IS_BOOL(7)", "true"),
        ("IS_BOOL(missing)", "false missingAttribute"),
        ("IS_INT(sequence) AND sequence = 10", "true"),
        ("IS_INT(word) AND word = 10", "false"),
    ]);
}
