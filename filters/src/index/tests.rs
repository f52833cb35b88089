mod bounds;
mod quamina;
mod random;
mod why;
