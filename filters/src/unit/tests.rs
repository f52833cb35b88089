use super::{
    Conversion,
    atom::{ATOMS, FAMILIAR},
    code::Unit,
};

fn converted(value: &str, from: &str, to: &str) -> String {
    let conversion = Conversion::new(from, to).unwrap_or_else(|error| panic!("{error}"));
    let result = conversion
        .convert(value)
        .unwrap_or_else(|| panic!("`{value}` is no number"));
    result.unwrap_or_else(|error| panic!("{value} {from}: {error}"))
}

/// Values from the definitions of UCUM, SI and the international yard and pound.
#[test]
fn every_kind_is_converted() {
    for (value, from, to, expected) in [
        // Temperature.
        ("0", "Cel", "K", "273.15"),
        ("100", "Cel", "[degF]", "212"),
        ("212", "[degF]", "Cel", "100"),
        ("32", "[degF]", "Cel", "0"),
        ("-40", "[degF]", "Cel", "-40"),
        ("-459.67", "[degF]", "K", "0"),
        ("98.6", "[degF]", "Cel", "37"),
        ("100.5", "[degF]", "Cel", "38.05555555555556"),
        ("80", "[degRe]", "Cel", "100"),
        ("9", "[degR]", "K", "5"),
        ("300", "K", "mK", "300000"),
        // Pressure.
        ("1013.25", "hPa", "atm", "1"),
        ("1", "bar", "kPa", "100"),
        ("1", "[psi]", "Pa", "6894.757293168361"),
        ("760", "mm[Hg]", "Pa", "101324.72"),
        ("1", "[in_i'Hg]", "Pa", "3386.3788"),
        ("10", "cm[H2O]", "Pa", "980.665"),
        ("1", "att", "Pa", "98066.5"),
        // Length.
        ("1", "[in_i]", "mm", "25.4"),
        ("1", "[mi_i]", "km", "1.609344"),
        ("1", "[nmi_i]", "m", "1852"),
        ("3", "[ft_i]", "[yd_i]", "1"),
        ("12", "[in_i]", "[ft_i]", "1"),
        ("5", "um", "nm", "5000"),
        // Volume.
        ("1", "[gal_us]", "L", "3.785411784"),
        ("1", "[gal_us]", "[cin_i]", "231"),
        ("1", "m3", "l", "1000"),
        ("1", "mL", "cm3", "1"),
        ("42", "[gal_us]", "[bbl_us]", "1"),
        ("1", "[cft_i]", "[cin_i]", "1728"),
        ("128", "[foz_us]", "[gal_us]", "1"),
        // Mass.
        ("1", "[lb_av]", "g", "453.59237"),
        ("16", "[oz_av]", "[lb_av]", "1"),
        ("7000", "[gr]", "[lb_av]", "1"),
        ("1", "t", "kg", "1000"),
        ("2000", "[lb_av]", "[ston_av]", "1"),
        // Flow.
        ("6", "m3/h", "L/min", "100"),
        ("1", "[gal_us]/min", "L/min", "3.785411784"),
        ("1", "kg/s", "t/h", "3.6"),
        // Speed.
        ("36", "km/h", "m/s", "10"),
        ("1", "m/s", "km/h", "3.6"),
        ("1", "km/h", "m/s", "0.2777777777777778"),
        ("60", "[mi_i]/h", "km/h", "96.56064"),
        ("1", "[kn_i]", "km/h", "1.852"),
        // Energy and power.
        ("1", "kW.h", "MJ", "3.6"),
        ("1", "kcal", "J", "4184"),
        ("1", "[Btu_IT]", "J", "1055.05585262"),
        ("1", "J", "N.m", "1"),
        ("1", "[HP]", "W", "745.69987158227022"),
        ("1", "kJ/s", "kW", "1"),
        ("1", "[ft_i].[lbf_av]/s", "W", "1.3558179483314004"),
        // Angle: π is rounded, what it cancels out of is exact.
        ("180", "deg", "rad", "3.141592653589793"),
        ("90", "deg", "gon", "100"),
        ("1", "circ", "deg", "360"),
        ("1", "deg", "'", "60"),
        ("1", "circ/min", "deg/s", "6"),
        ("3.141592653589793", "rad", "deg", "180"),
        // Time.
        ("1", "wk", "h", "168"),
        ("1.5", "h", "min", "90"),
        ("1", "a", "d", "365.25"),
        ("1", "/min", "Hz", "0.01666666666666667"),
        ("1000", "m.s-2", "km.s-2", "1"),
        ("2", "10.L", "L", "20"),
    ] {
        assert_eq!(
            converted(value, from, to),
            expected,
            "{value} {from} in {to}"
        );
    }
}

#[test]
fn integers_stay_exact() {
    assert_eq!(
        converted("9007199254740993", "km", "m"),
        "9007199254740993000"
    );
    assert_eq!(
        converted("-9007199254740993", "m", "mm"),
        "-9007199254740993000"
    );
    assert_eq!(converted("0", "m", "[ft_i]"), "0");
}

#[test]
fn between_equal_units_a_number_keeps_its_text() {
    for (from, to) in [("Cel", "Cel"), ("L", "l"), ("N.m", "J"), ("m3/s", "m3.s-1")] {
        assert_eq!(converted("30.10", from, to), "30.10", "{from} in {to}");
    }
}

#[test]
fn there_and_back_is_the_same_number() {
    for (from, to) in [
        ("[degF]", "K"),
        ("[psi]", "bar"),
        ("km/h", "m/s"),
        ("[lb_av]", "kg"),
    ] {
        for value in ["-40", "0.1", "21.5", "123456.789"] {
            let there = converted(value, from, to);
            let back: f64 = converted(&there, to, from).parse().expect("a number");
            let value: f64 = value.parse().expect("a number");
            assert!(
                (back - value).abs() <= value.abs() * 1e-13 + 1e-12,
                "{value} {from}: {back}"
            );
        }
    }
}

#[test]
fn bad_units_are_refused_with_what_ucum_writes() {
    for (from, to, expected) in [
        (
            "°C",
            "K",
            "`°C`: `°C` is no unit of UCUM; did you mean `Cel`?",
        ),
        (
            "K",
            "F",
            "`F`: `F` is no unit of UCUM; did you mean `[degF]`?",
        ),
        (
            "kWh",
            "J",
            "`kWh`: `kWh` is no unit of UCUM; did you mean `kW.h`?",
        ),
        (
            "m³/h",
            "L/s",
            "`m³/h`: `m³/h` is no unit of UCUM; did you mean `m3/h`?",
        ),
        (
            "bar/foo",
            "Pa",
            "`bar/foo`: `foo` is no unit of UCUM that is known here",
        ),
        ("", "Pa", "``: `` is no unit of UCUM that is known here"),
        (
            "m//s",
            "m",
            "`m//s`: `` is no unit of UCUM that is known here",
        ),
        ("m.", "m", "`m.`: `` is no unit of UCUM that is known here"),
        (
            "0.m",
            "m",
            "`0.m`: `0` is no unit of UCUM that is known here",
        ),
        (
            "kmin",
            "s",
            "`kmin`: `kmin` is no unit of UCUM that is known here",
        ),
        (
            "Cel/min",
            "K/min",
            "`Cel/min`: a temperature with a zero of its own stands alone; differences are in K or [degR]",
        ),
        ("m", "s", "`m → s`: they measure different things"),
        ("N.m", "N", "`N.m → N`: they measure different things"),
        ("m99", "m", "`m99 → m`: they measure different things"),
        ("m999", "m", "`m999`: the factor has too many digits"),
        (
            "[ft_i]99",
            "m99",
            "`[ft_i]99`: the factor has too many digits",
        ),
    ] {
        let error = Conversion::new(from, to).expect_err(from);
        assert_eq!(error.to_string(), expected, "{from} → {to}");
    }
    assert!(Conversion::new(&"m.".repeat(40), "m").is_err());
}

#[test]
fn numbers_beyond_reach_and_what_is_no_number_are_told() {
    let conversion = Conversion::new("[degF]", "Cel").expect("a conversion");
    assert_eq!(conversion.convert("\"21\""), None);
    assert_eq!(conversion.convert("null"), None);
    for value in ["1e999999999", "1e300", &"123456789".repeat(5)] {
        let error = conversion
            .convert(value)
            .expect("a number")
            .expect_err(value);
        assert_eq!(
            error.to_string(),
            "a number has too many digits to compute with"
        );
    }
}

#[test]
fn the_table_is_sound() {
    for (index, atom) in ATOMS.iter().enumerate() {
        Unit::parse(atom.code).unwrap_or_else(|error| panic!("{error}"));
        let twice = ATOMS
            .iter()
            .skip(index + 1)
            .any(|other| other.code == atom.code);
        assert!(!twice, "{} is there twice", atom.code);
    }
    for (_, code) in FAMILIAR {
        Unit::parse(code).unwrap_or_else(|error| panic!("{error}"));
    }
}
