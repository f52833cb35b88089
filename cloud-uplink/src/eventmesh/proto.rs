//! The messages and services of `proto/eventmesh.proto`, client and server, as the compiler makes them.
#![expect(
    missing_docs,
    non_camel_case_types,
    reason = "generated; the documentation stands in proto/eventmesh.proto"
)]

tonic::include_proto!("org.apache.eventmesh.cloudevents.v1");
