//! Routes: what the log says of a record about whom it is owed to, and what each is granted.

use std::rc::Rc;

use spool::{CursorId, Full, RouteId};

use super::{
    Broker,
    journal::Journal,
    session::SessionId,
    subscriptions::{Audience, Grant, Terms},
};
use crate::{
    mqtt::packet::QoS,
    rules::{Judged, OwedUplinks},
};

/// Routes whose terms are remembered; all are forgotten when it is full.
const ROUTES_MAX: usize = 1024;

/// Cursors in these terms.
const TERMS_MAX: usize = 32 * 1024;

impl Broker {
    /// The route of a publish: the cursors of durable sessions (above QoS 0), groups and sinks that hear it.
    pub(crate) fn route(
        &mut self,
        journal: &mut Journal<'_>,
        audience: &Audience,
        qos: QoS,
        publisher: Option<SessionId>,
        judged: &Judged,
    ) -> Result<RouteId, Full> {
        let lane = judged.lane;
        let own = audience.depends_on_publisher
            && publisher.is_some_and(|id| audience.sessions.contains_key(&id));
        let class = (qos != QoS::AtMostOnce, lane);
        if !own
            && let Some(route) = audience.remembered_route(class, &judged.owed)
            && journal.has_route(route)
        {
            return Ok(route);
        }
        let mut terms: Terms = Vec::new();
        if qos != QoS::AtMostOnce {
            for id in audience.sessions.keys() {
                let cursor = self
                    .sessions
                    .get(*id)
                    .and_then(|session| session.kept.cursor);
                let grant = audience.grant(*id, publisher).filter(|grant| grant.qos > 0);
                terms.extend(cursor.zip(grant.cloned()));
            }
        }
        for (id, members) in &audience.groups {
            let Some(group) = self.groups.get(*id) else {
                continue;
            };
            let best = members.values().max_by_key(|grant| grant.qos).cloned();
            // A group of the mesh services has no members here and takes every event.
            if best
                .as_ref()
                .is_none_or(|grant| grant.qos > 0 && qos != QoS::AtMostOnce)
            {
                terms.push((group.cursor, best.unwrap_or_default()));
            }
        }
        let sinks: &[CursorId] = match &judged.owed {
            OwedUplinks::Accepting => &audience.sinks,
            OwedUplinks::Named(cursors) => cursors,
            OwedUplinks::None => &[],
        };
        let bit = 1_u32.checked_shl(u32::from(lane.0)).unwrap_or(0);
        let takes = |cursor: &&CursorId| {
            let lanes = self.sink_lanes.get(cursor);
            judged.owed != OwedUplinks::Accepting || lanes.is_none_or(|lanes| lanes & bit != 0)
        };
        let sinks = sinks.iter().filter(takes);
        terms.extend(sinks.map(|cursor| (*cursor, Grant::default())));
        let route = if terms.is_empty() {
            RouteId::NOBODY
        } else {
            journal.route(terms)?
        };
        if !own {
            audience.remember_route(class, &judged.owed, route);
        }
        Ok(route)
    }

    /// The terms of a route, remembered.
    pub(super) fn terms(
        &mut self,
        journal: &Journal<'_>,
        route: spool::RouteId,
    ) -> Option<Rc<Terms>> {
        if let Some(terms) = self.routes.get(&route) {
            return Some(Rc::clone(terms));
        }
        let terms: Terms = postcard::from_bytes(&journal.route_terms(route)?).ok()?;
        let terms = Rc::new(terms);
        let held: usize = self.routes.values().map(|terms| terms.len()).sum();
        if self.routes.len() >= ROUTES_MAX || held >= TERMS_MAX {
            self.routes.clear();
        }
        self.routes.insert(route, Rc::clone(&terms));
        Some(terms)
    }
}

pub(super) fn grant_of(terms: &Terms, cursor: spool::CursorId) -> Option<Grant> {
    terms
        .iter()
        .find(|(id, _)| *id == cursor)
        .map(|(_, grant)| grant.clone())
}
