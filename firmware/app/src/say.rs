/// Reports to whom the features name: defmt, else log, else nobody. Arguments are texts and numbers, which both print.
macro_rules! say {
    ($text:literal $(, $argument:expr)* $(,)?) => {{
        #[cfg(feature = "defmt")]
        defmt::info!($text $(, $argument)*);
        #[cfg(all(feature = "log", not(feature = "defmt")))]
        log::info!($text $(, $argument)*);
        #[cfg(not(any(feature = "defmt", feature = "log")))]
        {
            $(let _ = &$argument;)* // nobody listens
        }
    }};
}
