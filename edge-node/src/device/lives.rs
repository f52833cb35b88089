//! Lives of a device whose outbox is that of the crate `firmware`, on its flash model, and whose node is [`Registry`] and
//! [`Link`]: the power is cut at operations of the flash, and what does not come is in the ledger, to the event.

#[path = "../../../firmware/tests/outbox/device.rs"]
mod device;
#[expect(dead_code, reason = "what age and wear do is tested in `firmware`")]
#[path = "../../../firmware/tests/outbox/flash.rs"]
mod flash;
mod node;
#[path = "../../../firmware/tests/outbox/power_cut.rs"]
mod power_cut;
