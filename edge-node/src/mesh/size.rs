//! Says RESOURCE_EXHAUSTED of a message that is too large, as an EventMesh runtime does; the gRPC library says
//! OUT_OF_RANGE.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http::HeaderValue;
use tonic::{Code, codegen::Service, server::NamedService};

/// A service whose refusals by size are EventMesh's.
#[derive(Clone)]
pub(super) struct SizeRefusals<S>(pub(super) S);

impl<S: NamedService> NamedService for SizeRefusals<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, Q, P> Service<Q> for SizeRefusals<S>
where
    S: Service<Q, Response = http::Response<P>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Q) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            let status = answer.headers_mut().get_mut("grpc-status");
            // No service of the mesh says so itself.
            if let Some(status) = status
                && *status == (Code::OutOfRange as i32).to_string()
            {
                *status = HeaderValue::from(Code::ResourceExhausted as i32);
            }
            Ok(answer)
        })
    }
}
