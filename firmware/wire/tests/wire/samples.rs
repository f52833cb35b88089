//! The messages of the test vectors.

use wire::{
    Mark, Stream, Versions,
    answer::{RefusalReason, Refused, Stored, Welcome},
    birth::{Device, Dropped, Loss, LossReason, StreamState},
    command::{Command, CommandId},
    envelope::Head,
    kind::{Announced, Field, Kind, KindId, Scalar, Shape},
};

pub(crate) const INCARNATION: u32 = 0xc0ff_ee01;
pub(crate) const EARLIER: u32 = 0xc0ff_ee00;

pub(crate) const READING: Announced<'static> = Announced::new(Kind {
    event_type: "pump.reading",
    version: 2,
    fields: &[
        Field {
            name: "celsius",
            scalar: Scalar::F32,
            shape: Shape::One,
        },
        Field {
            name: "bar",
            scalar: Scalar::U16,
            shape: Shape::Array(3),
        },
    ],
});
pub(crate) const ALARM: Announced<'static> = Announced::new(Kind {
    event_type: "pump.alarm",
    version: 1,
    fields: &[Field {
        name: "text",
        scalar: Scalar::Text,
        shape: Shape::UpTo(32),
    }],
});

pub(crate) fn stream(number: u8) -> Stream {
    Stream::new(number).unwrap()
}

pub(crate) fn mark(boot: u32, seq: u64) -> Mark {
    Mark { boot, seq }
}

pub(crate) fn first() -> Head {
    Head {
        incarnation: None,
        stream: stream(3),
        mark: mark(7, 300),
        uptime_ms: 90_000_000,
        kind: KindId([0xd4, 0x7a]),
    }
}

pub(crate) fn device() -> Device<'static> {
    Device {
        versions: Versions {
            oldest: 1,
            newest: 1,
        },
        incarnation: INCARNATION,
        boot: 7,
        uptime_ms: 1500,
        firmware: "1.4.2",
        configuration: 4,
        kinds: 2,
    }
}

pub(crate) fn streams() -> [StreamState; 2] {
    [
        StreamState {
            incarnation: EARLIER,
            stream: stream(3),
            last: mark(6, 299),
            oldest: mark(5, 12),
        },
        StreamState {
            incarnation: INCARNATION,
            stream: stream(3),
            last: mark(0, 0),
            oldest: mark(7, 1),
        },
    ]
}

pub(crate) fn dropped() -> [Dropped; 1] {
    [Dropped {
        incarnation: EARLIER,
        stream: stream(3),
        from: mark(5, 20),
        to: mark(6, 2),
        reason: LossReason::Unreadable,
    }]
}

pub(crate) fn losses() -> [Loss; 2] {
    [
        Loss {
            stream: stream(0),
            reason: LossReason::Outbox,
            count: 1000,
        },
        Loss {
            stream: stream(3),
            reason: LossReason::Ring,
            count: 2,
        },
    ]
}

pub(crate) fn welcome() -> Welcome {
    Welcome {
        version: 1,
        time_ms: Some(1_795_000_000_000),
        configuration: 5,
    }
}

pub(crate) fn stored() -> [Stored; 2] {
    [
        Stored {
            incarnation: EARLIER,
            stream: stream(3),
            mark: mark(6, 299),
        },
        Stored {
            incarnation: INCARNATION,
            stream: stream(0),
            mark: mark(7, 1),
        },
    ]
}

pub(crate) fn refused() -> Refused {
    Refused {
        incarnation: INCARNATION,
        stream: stream(3),
        mark: mark(7, 300),
        reason: RefusalReason::NoRoom,
        after_ms: 5000,
    }
}

pub(crate) const COMMAND_ID: CommandId = CommandId {
    origin: 0x0bad_cafe,
    seq: 129,
};

pub(crate) const RUN: Command<'static> = Command::Run {
    id: COMMAND_ID,
    name: "valve.open",
    data: &[1, 2],
};

pub(crate) const CONFIGURE: Command<'static> = Command::Configure {
    version: 5,
    data: &[9, 8, 7],
};
