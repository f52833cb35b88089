//! The atoms of UCUM that are known here, by code, in terms of metre, gram, second, kelvin and radian.

use super::ratio::Ratio;

/// Exponents of metre, gram, second, kelvin and radian.
pub(super) type Dimension = [i8; 5];

pub(super) struct Atom {
    pub(super) code: &'static str,
    /// Whether metric prefixes may stand before it.
    pub(super) metric: bool,
    pub(super) dimension: Dimension,
    pub(super) ratio: Ratio,
}

const LENGTH: Dimension = [1, 0, 0, 0, 0];
const VOLUME: Dimension = [3, 0, 0, 0, 0];
const MASS: Dimension = [0, 1, 0, 0, 0];
const TIME: Dimension = [0, 0, 1, 0, 0];
const TEMPERATURE: Dimension = [0, 0, 0, 1, 0];
const ANGLE: Dimension = [0, 0, 0, 0, 1];
const SPEED: Dimension = [1, 0, -1, 0, 0];
const FREQUENCY: Dimension = [0, 0, -1, 0, 0];
const ACCELERATION: Dimension = [1, 0, -2, 0, 0];
const FORCE: Dimension = [1, 1, -2, 0, 0];
const PRESSURE: Dimension = [-1, 1, -2, 0, 0];
const ENERGY: Dimension = [2, 1, -2, 0, 0];
const POWER: Dimension = [2, 1, -3, 0, 0];

const fn metric(code: &'static str, dimension: Dimension, number: u128, ten: i32) -> Atom {
    Atom {
        code,
        metric: true,
        dimension,
        ratio: Ratio::new(number, 1, ten),
    }
}

const fn plain(code: &'static str, dimension: Dimension, number: u128, ten: i32) -> Atom {
    Atom {
        code,
        metric: false,
        dimension,
        ratio: Ratio::new(number, 1, ten),
    }
}

const fn fraction(code: &'static str, dimension: Dimension, ratio: Ratio) -> Atom {
    Atom {
        code,
        metric: false,
        dimension,
        ratio,
    }
}

/// Each with its value in the base units, as UCUM defines it.
pub(super) const ATOMS: [Atom; 73] = [
    metric("m", LENGTH, 1, 0),
    metric("g", MASS, 1, 0),
    metric("s", TIME, 1, 0),
    metric("K", TEMPERATURE, 1, 0),
    metric("rad", ANGLE, 1, 0),
    metric("Hz", FREQUENCY, 1, 0),
    metric("N", FORCE, 1, 3),
    metric("Pa", PRESSURE, 1, 3),
    metric("J", ENERGY, 1, 3),
    metric("W", POWER, 1, 3),
    metric("l", VOLUME, 1, -3),
    metric("L", VOLUME, 1, -3),
    metric("t", MASS, 1, 6),
    metric("bar", PRESSURE, 1, 8),
    metric("dyn", FORCE, 1, -2),
    metric("erg", ENERGY, 1, -4),
    metric("m[Hg]", PRESSURE, 133_322, 3),
    metric("m[H2O]", PRESSURE, 980_665, 1),
    metric("cal", ENERGY, 4184, 0),
    metric("cal_th", ENERGY, 4184, 0),
    metric("cal_IT", ENERGY, 41_868, -1),
    metric("eV", ENERGY, 1_602_176_634, -25),
    metric("gf", FORCE, 980_665, -5),
    plain("min", TIME, 60, 0),
    plain("h", TIME, 3600, 0),
    plain("d", TIME, 86_400, 0),
    plain("wk", TIME, 604_800, 0),
    plain("mo", TIME, 26_298, 2),
    plain("mo_j", TIME, 26_298, 2),
    plain("a", TIME, 315_576, 2),
    plain("a_j", TIME, 315_576, 2),
    fraction("deg", ANGLE, Ratio::new(1, 180, 0).times_pi()),
    fraction("'", ANGLE, Ratio::new(1, 10_800, 0).times_pi()),
    fraction("''", ANGLE, Ratio::new(1, 648_000, 0).times_pi()),
    fraction("gon", ANGLE, Ratio::new(1, 200, 0).times_pi()),
    fraction("circ", ANGLE, Ratio::new(2, 1, 0).times_pi()),
    fraction("[degR]", TEMPERATURE, Ratio::new(5, 9, 0)),
    plain("atm", PRESSURE, 101_325, 3),
    plain("att", PRESSURE, 980_665, 2),
    fraction(
        "[psi]",
        PRESSURE,
        Ratio::new(44_482_216_152_605, 64_516, -2),
    ),
    plain("[in_i'Hg]", PRESSURE, 33_863_788, -1),
    plain("[in_i'H2O]", PRESSURE, 24_908_891, -2),
    plain("[in_i]", LENGTH, 254, -4),
    plain("[ft_i]", LENGTH, 3048, -4),
    plain("[yd_i]", LENGTH, 9144, -4),
    plain("[mi_i]", LENGTH, 1_609_344, -3),
    plain("[nmi_i]", LENGTH, 1852, 0),
    plain("[fth_i]", LENGTH, 18_288, -4),
    plain("[mil_i]", LENGTH, 254, -7),
    plain("[cin_i]", VOLUME, 16_387_064, -12),
    plain("[cft_i]", VOLUME, 28_316_846_592, -12),
    plain("[cyd_i]", VOLUME, 764_554_857_984, -12),
    plain("[gal_us]", VOLUME, 3_785_411_784, -12),
    plain("[qt_us]", VOLUME, 946_352_946, -12),
    plain("[pt_us]", VOLUME, 473_176_473, -12),
    plain("[foz_us]", VOLUME, 295_735_295_625, -16),
    plain("[bbl_us]", VOLUME, 158_987_294_928, -12),
    plain("[gal_br]", VOLUME, 454_609, -8),
    plain("[pt_br]", VOLUME, 56_826_125, -11),
    plain("[lb_av]", MASS, 45_359_237, -5),
    plain("[oz_av]", MASS, 28_349_523_125, -9),
    plain("[gr]", MASS, 6_479_891, -8),
    plain("[stone_av]", MASS, 635_029_318, -5),
    plain("[ston_av]", MASS, 90_718_474, -2),
    plain("[lton_av]", MASS, 10_160_469_088, -4),
    plain("[car_m]", MASS, 2, -1),
    plain("[g]", ACCELERATION, 980_665, -5),
    fraction("[kn_i]", SPEED, Ratio::new(1852, 3600, 0)),
    plain("[lbf_av]", FORCE, 44_482_216_152_605, -10),
    plain("[HP]", POWER, 74_569_987_158_227_022, -11),
    plain("[Btu_IT]", ENERGY, 105_505_585_262, -5),
    plain("[Btu]", ENERGY, 105_435, 1),
    plain("[Cal]", ENERGY, 4184, 3),
];

/// What people write, and how UCUM does.
pub(super) const FAMILIAR: [(&str, &str); 34] = [
    ("°C", "Cel"),
    ("C", "Cel"),
    ("degC", "Cel"),
    ("celsius", "Cel"),
    ("°F", "[degF]"),
    ("F", "[degF]"),
    ("degF", "[degF]"),
    ("fahrenheit", "[degF]"),
    ("kelvin", "K"),
    ("psi", "[psi]"),
    ("PSI", "[psi]"),
    ("mmHg", "mm[Hg]"),
    ("inHg", "[in_i'Hg]"),
    ("mph", "[mi_i]/h"),
    ("kmh", "km/h"),
    ("km/hr", "km/h"),
    ("kph", "km/h"),
    ("kn", "[kn_i]"),
    ("kWh", "kW.h"),
    ("Wh", "W.h"),
    ("m³/h", "m3/h"),
    ("m³", "m3"),
    ("gal", "[gal_us]"),
    ("gpm", "[gal_us]/min"),
    ("cfm", "[cft_i]/min"),
    ("lpm", "L/min"),
    ("hp", "[HP]"),
    ("BTU", "[Btu_IT]"),
    ("in", "[in_i]"),
    ("ft", "[ft_i]"),
    ("mi", "[mi_i]"),
    ("lb", "[lb_av]"),
    ("°", "deg"),
    ("sec", "s"),
];

/// Metric prefixes and their powers of 10; `da` stands before `d`.
pub(super) const PREFIXES: [(&str, i32); 20] = [
    ("da", 1),
    ("Y", 24),
    ("Z", 21),
    ("E", 18),
    ("P", 15),
    ("T", 12),
    ("G", 9),
    ("M", 6),
    ("k", 3),
    ("h", 2),
    ("d", -1),
    ("c", -2),
    ("m", -3),
    ("u", -6),
    ("n", -9),
    ("p", -12),
    ("f", -15),
    ("a", -18),
    ("z", -21),
    ("y", -24),
];
