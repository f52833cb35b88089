mod bounds;
mod quamina;
mod random;
