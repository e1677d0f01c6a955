//! The calls, and their answers.

use super::codec::wire;
use super::messages::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec, MetricValue,
    ScaledObjectRef,
};
use super::question::{Question, admit};
use crate::access::Access;
use crate::grpc;
use crate::insight::inference::{Inference, Scaling};
use futures::stream::{self, BoxStream, StreamExt};
use prost::Message;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::sleep;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{BoxFuture, Service};
use tonic::server::{Grpc, NamedService, ServerStreamingService, UnaryService};
use tonic::{Code, Status};

/// The metadata of a trigger: a few names, a token, an address.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// Services are looked at twice a minute; who waits for a change hears of it soon after.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// What is scaled by; KEDA asks with the name that it was told.
pub(super) const METRIC: &str = "coulomb-replicas-wanted";
/// The metric is a number of replicas, so each is to have one of it.
const OF_EACH: i64 = 1;

#[derive(Clone)]
pub(super) struct Scaler {
    inference: Inference,
    access: Access,
}

impl NamedService for Scaler {
    const NAME: &'static str = "externalscaler.ExternalScaler";
}

impl Service<Request<Body>> for Scaler {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let scaler = self.clone();
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let token = grpc::token(request.headers());
        Box::pin(async move {
            let token = token.as_deref().map(str::to_owned);
            Ok(match method.as_str() {
                "IsActive" => unary(request, move |object| scaler.is_active(token.as_deref(), &object)).await,
                "GetMetricSpec" => unary(request, move |object| scaler.spec(token.as_deref(), &object)).await,
                "GetMetrics" => unary(request, move |asked| scaler.metrics(token.as_deref(), &asked)).await,
                "StreamIsActive" => {
                    let mut grpc = Grpc::new(wire()).max_decoding_message_size(MESSAGE_BYTES_MAX);
                    grpc.server_streaming(Follows { scaler, token }, request).await
                }
                _ => Status::unimplemented(format!("{} has no such method", Self::NAME)).into_http(),
            })
        })
    }
}

async fn unary<Q, A>(request: Request<Body>, answer: impl Fn(Q) -> Result<A, Status> + Send + 'static) -> Response<Body>
where
    Q: Message + Default + 'static,
    A: Message + 'static,
{
    Grpc::new(wire()).max_decoding_message_size(MESSAGE_BYTES_MAX).unary(Answers(answer), request).await
}

struct Answers<F>(F);

impl<Q, A, F: Fn(Q) -> Result<A, Status>> UnaryService<Q> for Answers<F> {
    type Response = A;
    type Future = Ready<Result<tonic::Response<A>, Status>>;

    fn call(&mut self, request: tonic::Request<Q>) -> Self::Future {
        ready((self.0)(request.into_inner()).map(tonic::Response::new))
    }
}

/// Tells whether a service is active, and again whenever that changes.
struct Follows {
    scaler: Scaler,
    token: Option<String>,
}

impl ServerStreamingService<ScaledObjectRef> for Follows {
    type Response = IsActiveResponse;
    type ResponseStream = BoxStream<'static, Result<IsActiveResponse, Status>>;
    type Future = Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<ScaledObjectRef>) -> Self::Future {
        let object = request.into_inner();
        let begun = admit(&self.scaler.access, self.token.as_deref(), &object).and_then(|()| Question::of(&object));
        let (scaler, token) = (self.scaler.clone(), self.token.clone());
        ready(begun.map(|_| tonic::Response::new(scaler.follow(token, object).boxed())))
    }
}

impl Scaler {
    pub(super) fn new(inference: Inference, access: Access) -> Self {
        Self { inference, access }
    }

    /// What is known of the service that is asked about.
    fn scaling(&self, token: Option<&str>, object: &ScaledObjectRef) -> Result<Scaling, Status> {
        admit(&self.access, token, object)?;
        let Question { service, objective } = Question::of(object)?;
        self.inference.scaling(&service, &objective).ok_or_else(|| {
            let shown: String = service.chars().take(200).collect();
            Status::unavailable(format!("service {shown:?} was not seen within a day, nothing is known of it"))
        })
    }

    pub(super) fn is_active(&self, token: Option<&str>, object: &ScaledObjectRef) -> Result<IsActiveResponse, Status> {
        Ok(IsActiveResponse { result: self.scaling(token, object)?.is_active })
    }

    pub(super) fn spec(&self, token: Option<&str>, object: &ScaledObjectRef) -> Result<GetMetricSpecResponse, Status> {
        admit(&self.access, token, object)?;
        Question::of(object)?;
        let metric_name = METRIC.to_owned();
        let spec = MetricSpec { metric_name, target_size: OF_EACH, target_size_float: OF_EACH as f64 };
        Ok(GetMetricSpecResponse { metric_specs: vec![spec] })
    }

    pub(super) fn metrics(&self, token: Option<&str>, asked: &GetMetricsRequest) -> Result<GetMetricsResponse, Status> {
        let object = asked.scaled_object_ref.clone().unwrap_or_default();
        let scaling = self.scaling(token, &object)?;
        if asked.metric_name != METRIC {
            let shown: String = asked.metric_name.chars().take(100).collect();
            return Err(Status::not_found(format!("no metric {shown:?}, there is {METRIC}")));
        }
        // An autoscaler that hears nothing leaves the number as it is.
        let wanted = scaling.sizing.wanted.ok_or_else(|| Status::unavailable(scaling.sizing.text))?;
        let wanted = i64::try_from(wanted).unwrap_or(i64::MAX);
        let metric_name = METRIC.to_owned();
        let value = MetricValue { metric_name, metric_value: wanted, metric_value_float: wanted as f64 };
        Ok(GetMetricsResponse { metric_values: vec![value] })
    }

    /// Ends when the token does.
    fn follow(
        self,
        token: Option<String>,
        object: ScaledObjectRef,
    ) -> impl stream::Stream<Item = Result<IsActiveResponse, Status>> + Send {
        stream::unfold((self, token, object, None, Pace::Now), |(scaler, token, object, told, pace)| async move {
            let mut pace = pace;
            loop {
                match pace {
                    Pace::Now => {}
                    Pace::Later => sleep(LOOK_EVERY).await,
                    Pace::Never => return None,
                }
                pace = Pace::Later;
                match scaler.is_active(token.as_deref(), &object) {
                    Ok(now) if told != Some(now.result) => {
                        let told = Some(now.result);
                        return Some((Ok(now), (scaler, token, object, told, pace)));
                    }
                    Ok(_) => {}
                    // What is not known is not told.
                    Err(refused) if refused.code() == Code::Unavailable => {}
                    Err(refused) => return Some((Err(refused), (scaler, token, object, told, Pace::Never))),
                }
            }
        })
    }
}

/// When a follower looks again.
enum Pace {
    Now,
    Later,
    Never,
}
