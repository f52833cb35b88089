//! The status codes of EventMesh's answers. The status of the gRPC call is OK even where these say otherwise.

/// Done; a publisher may forget the event.
pub const SUCCESS: &str = "0";
/// Too busy; try again.
pub const OVERLOAD: &str = "1";
/// What every request says of its sender is not right.
pub const HEADER: &str = "6";
/// The request itself is not right.
pub const BODY: &str = "7";
/// The mesh is going down.
pub const STOPPING: &str = "8";
/// Nothing of a batch was stored.
pub const BATCH_PUBLISH: &str = "10";
/// The event was not stored; the message says why.
pub const SEND: &str = "14";
/// Not subscribed.
pub const SUBSCRIBE: &str = "17";
/// Not unsubscribed.
pub const UNSUBSCRIBE: &str = "18";
/// Not a valid heartbeat.
pub const HEARTBEAT: &str = "19";
/// Not allowed.
pub const ACL: &str = "20";
/// Over the rate; slow down and try again.
pub const RATE: &str = "21";
/// Requests that wait for a reply are not served.
pub const REQUEST_REPLY: &str = "22";
/// The subscriber is not known; it has to subscribe again.
pub const RESUBSCRIBE: &str = "30";
