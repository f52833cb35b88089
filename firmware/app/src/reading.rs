use wire::Event;

/// What a sensor measured at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Event)]
#[event(type = "edge.reading.v1", version = 1)]
pub struct Reading {
    /// The temperature in degrees Celsius.
    pub temperature: f32,
    /// The relative humidity in percent.
    pub humidity: f32,
}
