use crate::Reading;

/// Something that measures. Its drivers stand on embedded-hal-async, so that any board's pins will do.
#[expect(
    async_fn_in_trait,
    reason = "a board has one executor and its tasks are not sent between threads"
)]
pub trait Sensor {
    /// Measures once. May be cancelled; the next call begins anew.
    ///
    /// # Errors
    ///
    /// The sensor does not answer or contradicts itself: what it says of that. It is asked again when the next
    /// reading is due.
    async fn read(&mut self) -> Result<Reading, &'static str>;
}
