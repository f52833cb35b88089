use super::{
    atom::{ATOMS, Atom, Dimension, FAMILIAR, PREFIXES},
    ratio::Ratio,
};
use crate::transform::Decimal;

/// Bytes of a code.
const MAX_CODE_BYTES: usize = 64;

/// Why there is no conversion. Whoever wrote the code has to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{code}`: {problem}")]
pub struct UnitError {
    /// As it was written; of a conversion both codes.
    pub code: String,
    /// What is wrong.
    pub problem: UnitProblem,
}

/// What is wrong with a unit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitProblem {
    /// Not known here.
    #[error("{}", unknown(.part, *.familiar))]
    Unknown {
        /// The part that is not known.
        part: String,
        /// What UCUM writes for it.
        familiar: Option<&'static str>,
    },
    /// `Cel`, `[degF]` and `[degRe]` have a zero of their own.
    #[error("a temperature with a zero of its own stands alone; differences are in K or [degR]")]
    NotAlone,
    /// Not of the same dimension.
    #[error("they measure different things")]
    Different,
    /// Beyond what is computed exactly.
    #[error("the factor has too many digits")]
    TooLarge,
}

fn unknown(part: &str, familiar: Option<&str>) -> String {
    match familiar {
        Some(code) => format!("`{part}` is no unit of UCUM; did you mean `{code}`?"),
        None => format!("`{part}` is no unit of UCUM that is known here"),
    }
}

/// A unit in terms of the base units: `base = (x + offset) × ratio`.
pub(super) struct Unit {
    pub(super) dimension: Dimension,
    pub(super) ratio: Ratio,
    pub(super) offset: Decimal,
}

impl Unit {
    pub(super) fn parse(code: &str) -> Result<Unit, UnitError> {
        let wrong = |problem| UnitError {
            code: code.chars().take(MAX_CODE_BYTES).collect(),
            problem,
        };
        if let Some(unit) = special(code) {
            return Ok(unit);
        }
        if code.is_empty() || code.len() > MAX_CODE_BYTES {
            return Err(wrong(not_known(code)));
        }
        product(code).map_err(|problem| match (&problem, familiar(code)) {
            (UnitProblem::Unknown { .. }, Some(_)) => wrong(not_known(code)),
            _ => wrong(problem),
        })
    }
}

/// Temperatures whose 0 is not that of the kelvin.
fn special(code: &str) -> Option<Unit> {
    let (ratio, offset) = match code {
        "Cel" => (Ratio::ONE, Decimal::new(27_315, -2)),
        "[degF]" => (Ratio::new(5, 9, 0), Decimal::new(45_967, -2)),
        "[degRe]" => (Ratio::new(5, 4, 0), Decimal::new(21_852, -2)),
        _ => return None,
    };
    Some(Unit {
        dimension: [0, 0, 0, 1, 0],
        ratio,
        offset,
    })
}

fn product(code: &str) -> Result<Unit, UnitProblem> {
    let mut dimension: Dimension = [0; 5];
    let mut ratio = Ratio::ONE;
    let mut sign = 1;
    let mut rest = code;
    if let Some(behind) = rest.strip_prefix('/') {
        (sign, rest) = (-1, behind);
    }
    loop {
        let end = rest.find(['.', '/']).unwrap_or(rest.len());
        let (part, behind) = rest.split_at(end);
        let (factor, exponents) = component(part, sign)?;
        ratio = ratio.times(factor).ok_or(UnitProblem::TooLarge)?;
        for (sum, exponent) in dimension.iter_mut().zip(exponents) {
            *sum = sum.checked_add(exponent).ok_or(UnitProblem::TooLarge)?;
        }
        sign = if behind.starts_with('/') { -1 } else { 1 };
        match behind.get(1..) {
            Some(behind) => rest = behind,
            None => break,
        }
    }
    Ok(Unit {
        dimension,
        ratio,
        offset: Decimal::ZERO,
    })
}

/// A number, or an atom with prefix and exponent.
fn component(part: &str, sign: i8) -> Result<(Ratio, Dimension), UnitProblem> {
    let name = part.trim_end_matches(|it: char| it.is_ascii_digit());
    if name.is_empty() {
        let number = part.parse::<u32>().ok().filter(|it| *it > 0);
        let number = Ratio::new(number.ok_or_else(|| not_known(part))?.into(), 1, 0);
        let ratio = number.power(sign).ok_or(UnitProblem::TooLarge)?;
        return Ok((ratio, [0; 5]));
    }
    let digits = part.get(name.len()..).unwrap_or_default();
    let (name, exponent) = match name.strip_suffix('-') {
        _ if digits.is_empty() => (name, Ok(1)),
        Some(name) => (name, format!("-{digits}").parse()),
        None => (name.strip_suffix('+').unwrap_or(name), digits.parse()),
    };
    let exponent = exponent.ok().and_then(|it: i8| it.checked_mul(sign));
    let exponent = exponent.ok_or(UnitProblem::TooLarge)?;
    if special(name).is_some() {
        return Err(UnitProblem::NotAlone);
    }
    let (atom, prefix) = find(name).ok_or_else(|| not_known(name))?;
    let ratio = atom.ratio.times(Ratio::new(1, 1, prefix));
    let ratio = ratio
        .and_then(|it| it.power(exponent))
        .ok_or(UnitProblem::TooLarge)?;
    let mut dimension = atom.dimension;
    for each in &mut dimension {
        *each = each.checked_mul(exponent).ok_or(UnitProblem::TooLarge)?;
    }
    Ok((ratio, dimension))
}

/// The atom, and the power of 10 that its prefix stands for.
fn find(name: &str) -> Option<(&'static Atom, i32)> {
    let named = |name: &str| ATOMS.iter().find(|atom| atom.code == name);
    if let Some(atom) = named(name) {
        return Some((atom, 0));
    }
    PREFIXES.iter().find_map(|(prefix, ten)| {
        let atom = name.strip_prefix(prefix).and_then(named)?;
        atom.metric.then_some((atom, *ten))
    })
}

fn not_known(part: &str) -> UnitProblem {
    UnitProblem::Unknown {
        part: part.chars().take(MAX_CODE_BYTES).collect(),
        familiar: familiar(part),
    }
}

fn familiar(part: &str) -> Option<&'static str> {
    let found = FAMILIAR.iter().find(|(written, _)| *written == part);
    found.map(|(_, code)| *code)
}
