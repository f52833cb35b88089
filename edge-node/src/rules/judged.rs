use filters::{
    decode::{Decoding, View},
    rules::{Cause, Fate, Ruling},
};
use spool::{CursorId, Full, Lane, Seq};

use super::settled::Settled;

/// What a set of rules makes of one publish; to be counted once it is appended, else to be taken back.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) lane: Lane,
    pub(crate) owed: OwedUplinks,
    /// As the record keeps it.
    pub(crate) settled: Vec<u8>,
    /// Whether a stage has something of it that has to survive with it.
    pub(crate) is_remembered: bool,
    /// Whether it cannot be taken in yet: a stage that it is input of is not in the log, or has too much derived that waits.
    pub(crate) waits: bool,
    /// What `settled` is the text of.
    pub(super) decision: Settled,
    /// The numbers of stages that are not told of it, since its record has no room for that.
    pub(super) untold: Vec<u32>,
    /// What decoders made of the payload.
    pub(super) decoding: Decoding,
    pub(super) ruling: Option<Ruling>,
}

/// The uplinks whose cursors an event is owed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OwedUplinks {
    /// Those whose `from` and `lanes` take it.
    Accepting,
    /// These.
    Named(Vec<CursorId>),
    None,
}

/// What becomes of a publish that fits no transaction with what is in its own already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crowded {
    /// It is taken in a transaction of its own.
    Waits,
    /// It is refused: whoever sent it sends less at once.
    Refused,
    /// Uplinks get a dead letter in place of the forms made for them.
    Lessened,
}

impl Judged {
    /// No rule looked at it.
    pub(crate) fn untouched(lane: Lane) -> Judged {
        Judged {
            lane,
            owed: OwedUplinks::Accepting,
            settled: Vec::new(),
            is_remembered: false,
            waits: false,
            decision: Settled::default(),
            untold: Vec::new(),
            decoding: Decoding::default(),
            ruling: None,
        }
    }

    /// The payload as decoders show it.
    pub(crate) fn view(&self) -> &View {
        &self.decoding.view
    }

    /// Appends what is settled, or less where the log never has room for so much: a publish that is within its bound is not refused for what is
    /// made of it. `crowded` is for one that is not alone in its transaction: stages are told of that, or it is not appended.
    pub(crate) fn append(
        &mut self,
        crowded: Option<Crowded>,
        mut append: impl FnMut(&[u8]) -> Result<Seq, Full>,
    ) -> Result<Seq, Full> {
        let mut appended = append(&self.settled);
        if appended == Err(Full::TooLarge) {
            match crowded {
                Some(Crowded::Waits) => return Err(Full::Waiting),
                Some(Crowded::Refused) => return appended,
                Some(Crowded::Lessened) | None => {}
            }
        }
        while appended == Err(Full::TooLarge) && self.settle_for_less(crowded.is_none()) {
            appended = append(&self.settled);
        }
        appended
    }

    /// Leaves out the forms, so that the uplinks get a dead letter, or else, of one that is alone, what stages are to be told. `false` if there is
    /// neither.
    fn settle_for_less(&mut self, is_alone: bool) -> bool {
        if !self.decision.leave_out_forms() {
            if !is_alone {
                return false;
            }
            self.untold = self.decision.inputs.untell();
            if self.untold.is_empty() {
                return false;
            }
        }
        self.settled = self.decision.encode();
        true
    }

    /// Whether decoders learnt of it, so that its record has to be in the log whoever it is owed to.
    pub(crate) fn is_birth(&self) -> bool {
        self.decoding.is_kept
    }

    /// Whether a stage decided that it goes no further, by what it remembers of events before it.
    pub(crate) fn is_suppressed(&self) -> bool {
        let fate = self.ruling.as_ref().map(|it| &it.fate);
        let by_stage = |cause: &Cause| *cause == Cause::Stage;
        matches!(fate, Some(Fate::Dropped { cause, .. }) if by_stage(cause))
    }

    /// Whether it is owed to no uplink and only kept for who else hears it.
    pub(crate) fn is_dropped(&self) -> bool {
        self.owed == OwedUplinks::None
    }
}
