//! Readers beside a rewrite: from its rename on, a name leads to another file.

use std::sync::Mutex;

use super::{
    acting::{Acting, Call},
    cleaning::fill_and_drain_one,
    damaging::segment,
    *,
};
use crate::{
    files::Files,
    lists::Lists,
    segment::{Segment, parse_name, rewrite_name},
};

#[test]
fn segment_that_is_being_replaced_is_read_as_it_was() {
    let storage = Acting::on(Simulated::new(7));
    let over = Arc::new(storage.clone());
    let mut log = Log::over(over, storage.disk.clone(), options()).unwrap();
    let slow = fill_and_drain_one(&mut log, 3);
    log.spool.inner.seal_all().unwrap();
    let owed = all_of(&log, slow);
    let (spool, owed_then) = (log.spool.clone(), owed.clone());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = seen.clone();
    storage.act(move |call| {
        if let Call::Renamed { from, to } = call
            && from.ends_with(".rewrite")
        {
            // The records first, by an index that is known, then the index too.
            for index_is_known in [true, false] {
                let first = read_others(&spool, to, &owed_then);
                if !index_is_known {
                    spool.inner.lock().lists = Lists::default();
                }
                let entry = spool.read_at(first).unwrap();
                told.lock().unwrap().push((entry.map(|it| it.seq), first));
            }
        }
    });
    log.spool.inner.clean(3).unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 6);
    assert!(
        seen.iter().all(|(read, first)| *read == Some(*first)),
        "{seen:?}"
    );
    assert_eq!(log.spool.status().ledger, []);
    assert_eq!(all_of(&log, slow), owed);
}

#[test]
fn file_that_is_replaced_while_it_is_opened_is_given_as_it_was() {
    let both = [(segment(1), vec![1; 8]), (rewrite_name(1), vec![2; 8])];
    let storage = Acting::on(Simulated::with_files(7, both.into()));
    let (files, version) = (Arc::new(Files::default()), (1, 0));
    let (kept, disk) = (files.clone(), storage.disk.clone());
    storage.act(move |call| {
        assert_eq!(call, Call::Opening(&segment(1)));
        kept.keep(&disk, version).unwrap();
        disk.rename(&rewrite_name(1), &segment(1)).unwrap();
    });
    let given = files.open(&storage, version).unwrap();
    let mut bytes = [0; 8];
    given.read_at(&mut bytes, 0).unwrap();
    assert_eq!(bytes, [1; 8]);
    // Once no reader looks for it any more, the name alone counts.
    files.forget(1);
    let given = files.open(&storage.disk, (1, 1)).unwrap();
    given.read_at(&mut bytes, 0).unwrap();
    assert_eq!(bytes, [2; 8]);
}

/// Reads from more segments than files are kept open, and says what is owed first of the one of this name.
fn read_others(spool: &Spool, name: &str, owed: &[u64]) -> Seq {
    let own = parse_name(name, ".segment").expect("a segment takes its name");
    let first_of = |segment: &Segment| {
        let first = owed.iter().find(|seq| **seq >= segment.first);
        (segment.id, Seq(*first.expect("each owes something")))
    };
    let firsts: Vec<(u64, Seq)> = {
        let state = spool.inner.lock();
        let sealed = state.segments.iter().filter(|it| it.is_sealed());
        sealed.map(first_of).collect()
    };
    let others: Vec<Seq> = (firsts.iter().filter(|(id, _)| *id != own))
        .map(|(_, seq)| *seq)
        .take(20)
        .collect();
    assert_eq!(others.len(), 20);
    for other in others {
        assert!(spool.read_at(other).unwrap().is_some());
    }
    let first = firsts.iter().find(|(id, _)| *id == own);
    first.expect("it is there").1
}
