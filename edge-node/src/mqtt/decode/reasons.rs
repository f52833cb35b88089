//! Which reason codes a packet may carry. The lists are those of the packets' chapters in MQTT 5.0.

use crate::mqtt::packet::ReasonCode::{self, *};

/// 3.2.2.2
pub(super) const CONNACK: &[ReasonCode] = &[
    Success,
    UnspecifiedError,
    MalformedPacket,
    ProtocolError,
    ImplementationSpecificError,
    UnsupportedProtocolVersion,
    ClientIdentifierNotValid,
    BadUserNameOrPassword,
    NotAuthorized,
    ServerUnavailable,
    ServerBusy,
    Banned,
    BadAuthenticationMethod,
    TopicNameInvalid,
    PacketTooLarge,
    QuotaExceeded,
    PayloadFormatInvalid,
    RetainNotSupported,
    QosNotSupported,
    UseAnotherServer,
    ServerMoved,
    ConnectionRateExceeded,
];

/// 3.4.2.1 and, the same, 3.5.2.1 for PUBREC
pub(super) const PUBACK: &[ReasonCode] = &[
    Success,
    NoMatchingSubscribers,
    UnspecifiedError,
    ImplementationSpecificError,
    NotAuthorized,
    TopicNameInvalid,
    PacketIdentifierInUse,
    QuotaExceeded,
    PayloadFormatInvalid,
];

/// 3.6.2.1 and, the same, 3.7.2.1 for PUBCOMP
pub(super) const PUBREL: &[ReasonCode] = &[Success, PacketIdentifierNotFound];

/// 3.9.3
pub(super) const SUBACK: &[ReasonCode] = &[
    Success,
    GrantedQos1,
    GrantedQos2,
    UnspecifiedError,
    ImplementationSpecificError,
    NotAuthorized,
    TopicFilterInvalid,
    PacketIdentifierInUse,
    QuotaExceeded,
    SharedSubscriptionsNotSupported,
    SubscriptionIdentifiersNotSupported,
    WildcardSubscriptionsNotSupported,
];

/// 3.9.3 of MQTT 3.1.1, where 0x80 says "failure"
pub(super) const SUBACK_V311: &[ReasonCode] =
    &[Success, GrantedQos1, GrantedQos2, UnspecifiedError];

/// 3.11.3
pub(super) const UNSUBACK: &[ReasonCode] = &[
    Success,
    NoSubscriptionExisted,
    UnspecifiedError,
    ImplementationSpecificError,
    NotAuthorized,
    TopicFilterInvalid,
    PacketIdentifierInUse,
];

/// 3.14.2.1, those sent by a client
pub(super) const DISCONNECT_BY_CLIENT: &[ReasonCode] = &[
    Success,
    DisconnectWithWill,
    UnspecifiedError,
    MalformedPacket,
    ProtocolError,
    ImplementationSpecificError,
    TopicNameInvalid,
    ReceiveMaximumExceeded,
    TopicAliasInvalid,
    PacketTooLarge,
    MessageRateTooHigh,
    QuotaExceeded,
    AdministrativeAction,
    PayloadFormatInvalid,
];

/// 3.14.2.1, those sent by a server; `BadAuthenticationMethod` by table 2-6, which names DISCONNECT for it
pub(super) const DISCONNECT_BY_SERVER: &[ReasonCode] = &[
    Success,
    UnspecifiedError,
    MalformedPacket,
    ProtocolError,
    ImplementationSpecificError,
    NotAuthorized,
    ServerBusy,
    ServerShuttingDown,
    BadAuthenticationMethod,
    KeepAliveTimeout,
    SessionTakenOver,
    TopicFilterInvalid,
    TopicNameInvalid,
    ReceiveMaximumExceeded,
    TopicAliasInvalid,
    PacketTooLarge,
    MessageRateTooHigh,
    QuotaExceeded,
    AdministrativeAction,
    PayloadFormatInvalid,
    RetainNotSupported,
    QosNotSupported,
    UseAnotherServer,
    ServerMoved,
    SharedSubscriptionsNotSupported,
    ConnectionRateExceeded,
    MaximumConnectTime,
    SubscriptionIdentifiersNotSupported,
    WildcardSubscriptionsNotSupported,
];

/// 3.15.2.1
pub(super) const AUTH_BY_CLIENT: &[ReasonCode] = &[ContinueAuthentication, ReAuthenticate];
/// 3.15.2.1
pub(super) const AUTH_BY_SERVER: &[ReasonCode] = &[Success, ContinueAuthentication];
