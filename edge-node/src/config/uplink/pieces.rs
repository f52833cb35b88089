//! What the parts of an uplink take.

use cloud_uplink::{
    DeadLetters, Limits,
    eventmesh::{
        MeshTopic, Sender,
        sink::{self, GrpcSettings},
    },
    http::{HttpDialect, HttpMode, HttpSettings},
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{SenderConfig, UplinkConfig, UplinkKind};
use crate::config::{Fault, defaults};

/// Who takes the events.
#[derive(Clone, Debug)]
pub enum UplinkReceiver {
    /// Kinds `http` and `eventmesh-http`.
    Http(HttpSettings),
    /// Kind `eventmesh-grpc`.
    Grpc(GrpcSettings),
}

impl UplinkConfig {
    /// Where events go, and in what form.
    pub fn receiver(&self) -> UplinkReceiver {
        let topic = MeshTopic::new(self.topic.clone());
        match self.kind {
            UplinkKind::Http => UplinkReceiver::Http(self.http(HttpDialect::CloudEvents)),
            UplinkKind::EventmeshHttp => {
                UplinkReceiver::Http(self.http(HttpDialect::EventMesh(topic)))
            }
            UplinkKind::EventmeshGrpc => UplinkReceiver::Grpc(GrpcSettings {
                endpoints: self.urls(),
                topic,
                sender: self.sender.clone().unwrap_or_default().sender(),
                answer_within: self
                    .answer_timeout
                    .map_or(sink::ANSWER_WITHIN, |span| span.0),
            }),
        }
    }

    /// What it may hold and send, and how long it waits.
    pub fn limits(&self) -> Limits {
        let number = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        let (batch_events, in_flight) = match (self.kind, self.mode.unwrap_or_default()) {
            (UplinkKind::EventmeshGrpc, _) => (sink::BATCH_EVENTS, sink::IN_FLIGHT),
            (_, HttpMode::Batch) => (
                number(self.batch_events.unwrap_or(defaults::UPLINK_BATCH_EVENTS)),
                number(defaults::UPLINK_IN_FLIGHT),
            ),
            // Events of one batch would be requests one after the other, and each wait for all of them.
            (_, HttpMode::Structured | HttpMode::Binary) => {
                (1, number(defaults::UPLINK_SINGLE_IN_FLIGHT))
            }
        };
        Limits {
            batch_events,
            batch_bytes: self
                .batch_size
                .unwrap_or(defaults::UPLINK_BATCH_SIZE)
                .as_usize(),
            in_flight: self.in_flight.map_or(in_flight, number),
            refused_tries: self.refused_tries,
            connected_for: self.connected_for.0,
            canary_every: self.canary_every.map(|span| span.0),
            ..Limits::default()
        }
    }

    /// What its dead-letter lane may hold.
    pub fn dead_letters_max(&self) -> DeadLetters {
        DeadLetters {
            records: u64::MAX,
            bytes: self.dead_letters.0,
        }
    }

    /// Keys that do not go with its kind, and endpoints its kind cannot use: the key, and what is wrong.
    pub(in crate::config) fn misplaced(&self) -> Option<(String, Fault)> {
        let grpc = self.kind == UplinkKind::EventmeshGrpc;
        let only_http = [
            ("mode", self.mode.is_some()),
            ("headers", !self.headers.is_empty()),
            ("ca", self.ca.is_some()),
            ("token-file", self.token_file.is_some()),
            ("connect-timeout", self.connect_timeout.is_some()),
            ("batch-events", self.batch_events.is_some()),
            ("batch-size", self.batch_size.is_some()),
        ];
        let wrong = |key: &str, what: String| Some((key.to_owned(), Fault::Wrong { what }));
        if let (true, Some((key, _))) = (grpc, only_http.iter().find(|(_, set)| *set)) {
            return wrong(
                key,
                format!("`{key}` does not go with kind \"eventmesh-grpc\"; remove it"),
            );
        }
        let batch_keys = [
            ("batch-events", self.batch_events.is_some()),
            ("batch-size", self.batch_size.is_some()),
        ];
        let single = self.mode.is_some_and(|mode| mode != HttpMode::Batch);
        if let (true, Some((key, _))) = (single, batch_keys.iter().find(|(_, set)| *set)) {
            return wrong(
                key,
                format!("`{key}` goes with mode \"batch\" only; remove it"),
            );
        }
        if !grpc && self.sender.is_some() {
            return wrong(
                "sender",
                "`sender` goes with kind \"eventmesh-grpc\" only; remove it".into(),
            );
        }
        if self.kind == UplinkKind::Http && self.topic.is_some() {
            let what = "`topic` goes with the kinds \"eventmesh-http\" and \"eventmesh-grpc\" only; for \"http\" write \
                        `{topic}` into the endpoint";
            return wrong("topic", what.to_owned());
        }
        if (self.kind, self.mode) == (UplinkKind::EventmeshHttp, Some(HttpMode::Binary)) {
            let what = "EventMesh takes no mode \"binary\"; accepted here: batch, structured";
            return wrong("mode", what.to_owned());
        }
        self.endpoints.iter().enumerate().find_map(|(index, endpoint)| match self.kind {
            UplinkKind::Http => None,
            UplinkKind::EventmeshHttp => endpoint.is_more_than_a_base().then(|| {
                let what = format!(
                    "`{endpoint}` cannot have a path put behind it; for kind \"eventmesh-http\" leave out query and \
                     `{{topic}}`"
                );
                (format!("endpoints.{index}"), Fault::Wrong { what })
            }),
            UplinkKind::EventmeshGrpc => (!endpoint.is_plain_authority()).then(|| {
                let what =
                    format!("`{endpoint}` is not of the form http://host:port, which kind \"eventmesh-grpc\" needs");
                (format!("endpoints.{index}"), Fault::Wrong { what })
            }),
        })
    }

    fn http(&self, dialect: HttpDialect) -> HttpSettings {
        let connect = self
            .connect_timeout
            .unwrap_or(defaults::UPLINK_CONNECT_TIMEOUT);
        let answer = self
            .answer_timeout
            .unwrap_or(defaults::UPLINK_ANSWER_TIMEOUT);
        HttpSettings {
            endpoints: self.urls(),
            dialect,
            mode: self.mode.unwrap_or_default(),
            headers: self.header_map(),
            ca: self.ca.clone(),
            token_file: self.token_file.clone(),
            connect_within: connect.0,
            answer_within: answer.0,
        }
    }

    fn urls(&self) -> Vec<String> {
        self.endpoints
            .iter()
            .map(|endpoint| endpoint.as_str().to_owned())
            .collect()
    }

    fn header_map(&self) -> HeaderMap {
        let headers = self.headers.iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes());
            let value = HeaderValue::from_str(value);
            name.ok()
                .zip(value.ok())
                .expect("headers were checked when they were read")
        });
        headers.collect()
    }
}

impl SenderConfig {
    fn sender(self) -> Sender {
        let usual = Sender::default();
        Sender {
            env: self.env.unwrap_or(usual.env),
            idc: self.idc.unwrap_or(usual.idc),
            sys: self.sys.unwrap_or(usual.sys),
            username: self.username.unwrap_or(usual.username),
            producer_group: self.producer_group.unwrap_or(usual.producer_group),
            ..usual
        }
    }
}
